"""The time that the registry's server needs for each of its pages.

python benchmarks/pages.py [--versions 10000] [--queue 2000] [--files 2000] [--rounds 30]

A database is built with that many versions, ten to a plugin, some of them in review, and one
plugin of that many files with two versions, which goes the real way: submitted, scanned, compared.
Then every page is asked for in turn, round after round, through the application itself: what is
measured is the time from the request to the whole reply, without network and browser, and of it
the processor time, which tells more where the machine was busy. The first round, with cold caches,
is reported apart.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from benchmarks._results import FOLDER, header, write
from registry.models import Evidence, Plugin, Scan, TimelineRow, Version
from registry.names import confusable
from registry.review_tools.models import ReviewFacts, ReviewOutline
from registry.review_tools.preparing import Preparing
from registry.risk import Facts, assess
from registry.services import Services
from registry.states import State
from tests.registry.web.stage import Stage
from tests.support.wheels import make_wheel

PER_PLUGIN = 10
BIG = "example-plugin"
GOAL_MS = 100.0

FUNCTION = '''def f{n}(x):
    """Return x and {n}, times {factor}."""
    value = x + {n}
    return value * {factor}


'''


def big_wheel(number: str, files: int, changed: int) -> tuple[str, bytes]:
    """Return a wheel of many modules, every `changed`th of which differs between versions."""
    factor = 3 if number != "1.0.0" else 2
    texts: dict[str, bytes | str | None] = {
        f"example_plugin/part{i % 40}/module{i}.py": "".join(
            FUNCTION.format(n=i * 5 + k, factor=factor if i % changed == 0 else 2) for k in range(5)
        )
        for i in range(files)
    }
    return make_wheel(BIG, number, files=texts)


def build(stage: Stage, versions: int, queue: int, files: int) -> None:
    """Fill the registry."""
    stage.publish(big_wheel("1.0.0", files, 20))
    stage.submit(big_wheel("1.1.0", files, 20))
    stage.publish(make_wheel("small-plugin", "1.0.0"))
    stage.submit(make_wheel("small-plugin", "1.1.0", source="def greet(a):\n    return {'a': a}\n"))
    stage.work()
    services = stage.services
    with services.database.read() as session:
        small = session.scalars(select(Version).join(Plugin).where(Plugin.name == "small-plugin"))
        model = {row.state: row for row in small}
        template = {
            state: {c.name: getattr(row, c.name) for c in Version.__table__.columns}
            for state, row in model.items()
        }
        scan = model[State.PUBLISHED].scan
        assert scan is not None
        scanned = {c.name: getattr(scan, c.name) for c in Scan.__table__.columns}
    began = datetime.now(UTC) - timedelta(days=60)
    plugins = versions // PER_PLUGIN
    in_review = {p: queue // plugins + (p < queue % plugins) for p in range(plugins)}
    for first in range(0, plugins, 100):
        with services.database.write() as session:
            for p in range(first, min(first + 100, plugins)):
                _plugin(session, stage, p, in_review[p], template, scanned, began)


def _plugin(
    session: Any,
    stage: Stage,
    p: int,
    waiting: int,
    template: Mapping[str, Mapping[str, Any]],
    scanned: Mapping[str, Any],
    began: datetime,
) -> None:
    name, plugin_id = f"plugin-{p:05d}", 1_000 + p
    owner = {"issuer": stage.trust.issuer, "subject": stage.trust.author.subject}
    session.execute(
        insert(Plugin),
        [
            {
                "id": plugin_id,
                "name": name,
                "confusable": f"{confusable(name)}#{p}",
                "owner_issuer": owner["issuer"],
                "owner_subject": owner["subject"],
                "claimed_at": began,
            }
        ],
    )
    rows: list[Any] = []
    scans: list[Any] = []
    events: list[Any] = []
    bundles: list[Any] = []
    facts: list[Any] = []
    previous = None
    for n in range(PER_PLUGIN):
        version_id = 10_000 + p * PER_PLUGIN + n
        state = State.IN_REVIEW if n >= PER_PLUGIN - waiting else State.PUBLISHED
        sha256 = hashlib.sha256(f"{name} {n}".encode()).hexdigest()
        at = began + timedelta(minutes=p + n)
        own = {
            "id": version_id,
            "plugin_id": plugin_id,
            "number": f"1.{n}.0",
            "filename": f"{name.replace('-', '_')}-1.{n}.0-py3-none-any.whl",
            "sha256": sha256,
            "previous_sha256": previous,
            "submitted_at": at,
            "in_review_at": at,
            "published_at": at if state == State.PUBLISHED else None,
        }
        rows.append({**template[state], **own})
        if state == State.PUBLISHED:
            previous = sha256
        scans.append({**scanned, "id": version_id, "version_id": version_id, "medium": n % 3})
        events += [
            {
                "version_id": version_id,
                "at": at,
                "event": event,
                "from_state": None,
                "to_state": state,
                "actor_issuer": owner["issuer"],
                "actor_subject": owner["subject"],
                "detail": "made by the benchmark",
                "problems": [],
            }
            for event in ("submitted", "scan-started", "scan-passed")
        ]
        bundles += [
            {
                **owner,
                "version_id": version_id,
                "step": step,
                "sha256": hashlib.sha256(f"{step} {sha256}".encode()).hexdigest(),
                "predicate_type": step,
                "signed_at": at,
                "added_at": at,
            }
            for step in ("submit", "scan")
        ]
        if state == State.IN_REVIEW:
            flags = ("wider-limits",) if n % 2 else ()
            found = Facts(medium=n % 3, lines=p % 900, files=1 + p % 7, flags=flags)
            facts.append(
                {
                    "version_id": version_id,
                    "risk": assess(found).score,
                    "flags": "".join(f",{flag}" for flag in flags) + "," if flags else "",
                    "facts": found.as_dict(),
                }
            )
    for table, values in (
        (Version, rows),
        (Scan, scans),
        (TimelineRow, events),
        (Evidence, bundles),
        (ReviewFacts, facts),
    ):
        if values:
            session.execute(insert(table), values)


def pages() -> dict[str, str]:
    """Return name and address of every page that is measured."""
    big, small = f"/review/{BIG}/1.1.0", "/review/small-plugin/1.1.0"
    file = f"{big}/files?path=example_plugin/part0/module0.py"
    return {
        "home": "/",
        "home, search": "/?q=plugin-004",
        "home, page 40": "/?page=40",
        "plugin": "/plugins/plugin-00400",
        "plugin, 2,000 files": f"/plugins/{BIG}",
        "version": "/plugins/plugin-00400/1.3.0",
        "version, 2,000 files": f"/plugins/{BIG}/1.1.0",
        "submit": "/submit",
        "queue": "/review",
        "queue, page 90": "/review?page=90",
        "queue, by risk": "/review?sort=risk",
        "queue, by flag": "/review?flag=wider-limits&sort=risk",
        "queue, by name": "/review?q=plugin-004",
        "review": small,
        "review, 2,000 files": big,
        "review, 2,000 files, side by side": f"{big}?show=split",
        "review, 2,000 files, part 3": f"{big}?part=3",
        "review, 2,000 files, first version": f"/review/{BIG}/1.0.0?part=5",
        "file": file,
        "file, side by side": f"{file}&show=split",
        "file, whole": f"{file}&show=source",
        "all files": f"{big}/tree",
        "all files, page 5": f"{big}/tree?page=5",
        "search the diff": f"{big}/search?q=value",
        "search everything": f"{big}/search?q=f9999&in=all",
    }


def measure(stage: Stage, rounds: int, only: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ask for every page in turn; yield its name and its figures."""
    client = stage.app.test_client()
    asked = {name: address for name, address in pages().items() if only in name}
    times: dict[str, list[float]] = {name: [] for name in asked}
    work: dict[str, list[float]] = {name: [] for name in asked}
    sizes: dict[str, int] = {}
    for _ in range(rounds + 1):
        for name, address in asked.items():
            start, busy = time.perf_counter(), time.process_time()
            reply = client.get(address)
            data = reply.get_data()
            times[name].append((time.perf_counter() - start) * 1_000)
            work[name].append((time.process_time() - busy) * 1_000)
            if reply.status_code != 200:
                raise SystemExit(f"{address}: {reply.status_code}")
            sizes[name] = len(data)
    for name, (first, *rest) in times.items():
        yield (
            name,
            {
                "address": asked[name],
                "bytes": sizes[name],
                "first_ms": round(first, 1),
                "median_ms": round(statistics.median(rest), 1),
                "processor_median_ms": round(statistics.median(work[name][1:]), 1),
                "p95_ms": round(statistics.quantiles(rest, n=20)[-1], 1),
            },
        )


def without_preparation(stage: Stage) -> float:
    """Return milliseconds of the big review page whose outline nobody has worked out before."""
    services: Services = stage.services
    from registry.review_tools import preparing

    with services.database.write() as session:
        session.execute(update(ReviewOutline).values(document='{"format": 0}'))
    preparing._made.cache_clear()
    start = time.perf_counter()
    reply = stage.app.test_client().get(f"/review/{BIG}/1.1.0")
    assert reply.status_code == 200
    return (time.perf_counter() - start) * 1_000


def main() -> None:
    """Build, measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--queue", type=int, default=2_000)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", default="", help="only pages with this in their name")
    parser.add_argument("--output", type=Path, default=FOLDER / "pages.json")
    arguments = parser.parse_args()
    results = header("flask", "jinja2", "sqlalchemy")
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        build(stage, arguments.versions, arguments.queue, arguments.files)
        while Preparing(stage.services).once():
            pass
        gc.collect()
        gc.freeze()  # as registry.main does when it begins to serve
        found = dict(measure(stage, arguments.rounds, arguments.only))
        cold = without_preparation(stage)
        stage.services.close()
    for name, figures in found.items():
        mark = "" if figures["median_ms"] < GOAL_MS else "  over the goal"
        work = f"processor {figures['processor_median_ms']:>6} ms"
        p95 = f"p95 {figures['p95_ms']:>7} ms"
        print(f"{name:<38}{figures['median_ms']:>7} ms  {p95}  {work}{mark}")
    print(f"{'review, 2,000 files, not prepared':<38}{cold:>8.1f} ms, once")
    results["machine"]["load_average_after"] = os.getloadavg()
    results |= {
        "versions": arguments.versions,
        "queue": arguments.queue,
        "files": arguments.files,
        "rounds": arguments.rounds,
        "goal_ms": GOAL_MS,
        "not_prepared_ms": round(cold, 1),
        "pages": found,
    }
    write(arguments.output, results)


if __name__ == "__main__":
    main()
