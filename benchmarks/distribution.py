"""A refresh and a download through TUF, beside `pip download` of the same file.

python benchmarks/distribution.py [--sizes 100,10000,100000] [--rounds 7] [--output FILE]

For each size, that many versions are published, ten to a plugin, in the registry's database and in
its TUF repository; one server, waitress as in production, hands out both. Then, in turn:

- `pip download --no-deps NAME==VERSION` from the Simple API, in a process of its own;
- the runner's TUF client in a process of its own that knows nothing but the pinned root;
- the same client in a process that runs already, as in a runner: a refresh where nothing has
  changed, a refresh after a publication, and one version found and downloaded with its evidence.

It also says how many bytes and requests each takes, how large the metadata is, and how long the
worker takes to publish one more version. The clocks are those of one machine; nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# before this file's own folder: `import runner` is the package, not benchmarks/runner.py
sys.path.insert(0, str(ROOT))

from benchmarks._results import FOLDER, header, timed, write  # noqa: E402
from benchmarks.simple_api import running  # noqa: E402
from benchmarks.simple_api_bench.shop import fill  # noqa: E402
from registry.services import Services  # noqa: E402
from registry.setting_reader import PREFIX  # noqa: E402
from registry.tuf.keys import OnlineKeys  # noqa: E402
from registry.tuf.repository import Release, Repository  # noqa: E402
from registry.tuf.store import Store  # noqa: E402
from runner.clock import SystemClock  # noqa: E402
from runner.distribution.follower import Follower  # noqa: E402
from runner.distribution.registry import TufRegistry  # noqa: E402
from runner.http_get import Bounds, get  # noqa: E402
from sealgate.ceremony import local  # noqa: E402
from tests.support import ports  # noqa: E402
from tests.support.evidence import TrustFixture  # noqa: E402
from tests.support.wheels import make_wheel  # noqa: E402
from trust.tuf import names  # noqa: E402

PER_PLUGIN = 10
MOST_FILES = 10_000
"""Versions whose files are all written; of more, those of a few plugins."""
NAME, VERSION = "plugin-00000", "1.0.0"
BUNDLE_BYTES = 11_000
"""What a Sigstore bundle takes; a version has five."""

SERVE = """
import json, sys
from registry.main import serve
from registry.settings import Settings
serve(Settings.from_mapping(json.loads(sys.argv[1])), "127.0.0.1", int(sys.argv[2]))
"""

CLIENT = """
import sys
from pathlib import Path
from runner.clock import SystemClock
from runner.distribution.follower import Follower
from runner.distribution.registry import TufRegistry
url, root, folder, name, version = sys.argv[1:]
follower = Follower(url, Path(root).read_bytes(), Path(folder), SystemClock(), max_age_seconds=60)
assert follower.refresh() is None
registry = TufRegistry(follower)
offer = registry.offer(name, version)
Path(folder, "wheel").write_bytes(registry.wheel(offer))
assert registry.evidence(offer)
"""


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    return timed(work) * 1000


def summary(samples: list[float]) -> dict[str, float]:
    """Return the median and the range, in milliseconds."""
    return {
        "median_ms": round(statistics.median(samples), 2),
        "min_ms": round(min(samples), 2),
        "max_ms": round(max(samples), 2),
        "samples": len(samples),
    }


def releases(count: int) -> Iterator[Release]:
    """Yield so many versions, ten to a plugin, one bin after the other; one is a real wheel."""
    plugins = [f"plugin-{number:05d}" for number in range(count // PER_PLUGIN)]
    bundles = [b'{"bundle": "' + b"x" * BUNDLE_BYTES + b'"}'] * 5
    for name in sorted(plugins, key=names.bin_of):
        for number in range(PER_PLUGIN):
            text = f"1.{number}.0"
            if name == NAME:
                filename, wheel = make_wheel(name, text)
                yield Release(name, text, filename, wheel, bundles)
                continue
            filename = f"{name.replace('-', '_')}-{text}-py3-none-any.whl"
            yield Release(name, text, filename, filename.encode(), [b"{}"])


def batches(count: int, size: int = 1000) -> Iterator[list[Release]]:
    """Yield the versions as the worker takes them."""
    batch: list[Release] = []
    for release in releases(count):
        batch.append(release)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


class ThinStore(Store):
    """Writes a few plugins' files only: the metadata is whole, and it is made in less time."""

    def put(self, path: str, sha256: str, data: bytes) -> None:
        """Write the file of a measured plugin."""
        if "/plugin-0000" in path:
            super().put(path, sha256, data)


class Counted:
    """The bounded GET, counting."""

    def __init__(self) -> None:
        self.bytes = self.requests = 0

    def __call__(self, url: str, bounds: Bounds) -> bytes:
        """Fetch, and count."""
        self.requests += 1
        data = get(url, bounds)
        self.bytes += len(data)
        return data

    def taken(self) -> dict[str, int]:
        """Return what was counted, and begin anew."""
        found = {"requests": self.requests, "bytes": self.bytes}
        self.bytes = self.requests = 0
        return found


def metadata_bytes(repository: Repository, folder: Path) -> dict[str, int]:
    """Return the size of each kind of metadata, the measured plugin's bin among it."""
    versions = repository.store.versions()
    bins = [role for role in versions if role.startswith("published-")]
    sizes = {
        role: (folder / "metadata" / f"{versions[role]}.{role}.json").stat().st_size
        for role in ("root", "targets", "snapshot", "published", *bins)
    }
    found = {role: sizes[role] for role in ("root", "targets", "snapshot", "published")}
    found["timestamp"] = (folder / "metadata" / "timestamp.json").stat().st_size
    found["bins"] = len(bins)
    found["largest_bin"] = max(sizes[role] for role in bins)
    return found


def in_process(
    url: str, root: Path, folder: Path, publish: Callable[[], object], rounds: int
) -> dict[str, Any]:
    """Measure a client that runs already."""
    count = Counted()
    clock = SystemClock()

    def follower(where: str) -> Follower:
        return Follower(
            url, root.read_bytes(), folder / where, clock, max_age_seconds=60, fetch=count
        )

    kept = follower("kept")
    kept.refresh()
    count.taken()
    unchanged = [milliseconds(kept.refresh) for _ in range(rounds)]
    found: dict[str, Any] = {"refresh_unchanged": summary(unchanged)}
    found["refresh_unchanged"] |= {k: v // rounds for k, v in count.taken().items()}
    after = []
    for _ in range(rounds):
        publish()
        count.taken()
        after.append(milliseconds(kept.refresh))
    found["refresh_after_a_publication"] = summary(after) | count.taken()
    first, again = [], []
    for number in range(rounds):
        fresh = follower(f"fresh-{number}")
        fresh.refresh()
        registry = TufRegistry(fresh)

        def download(registry: TufRegistry = registry) -> None:
            offer = registry.offer(NAME, VERSION)
            registry.wheel(offer)
            registry.evidence(offer)

        count.taken()
        first.append(milliseconds(download))
        taken = count.taken()
        again.append(milliseconds(download))
        second = count.taken()
    found["first_version_of_a_plugin"] = summary(first) | taken
    found["the_same_once_more"] = summary(again) | second
    return found


def measure(count: int, folder: Path, trust: TrustFixture, rounds: int) -> dict[str, Any]:
    """Publish so many versions and measure."""
    shop = fill(folder / "shop", trust, [PER_PLUGIN] * (count // PER_PLUGIN))
    _put_wheels(shop.settings)
    tuf, root = folder / "tuf", folder / "tuf-root.json"
    local.initialise(tuf, folder / "offline", folder / "online", root, {})
    store = ThinStore(tuf) if count > MOST_FILES else Store(tuf)
    repository = Repository(
        store, root.read_bytes(), OnlineKeys(folder / "online"), lambda: datetime.now(UTC)
    )
    began = time.perf_counter()
    for batch in batches(count):
        repository.publish(batch)
    found: dict[str, Any] = {
        "all_files_written": count <= MOST_FILES,
        "seconds_to_publish_all": round(time.perf_counter() - began, 1),
        "worker_start_reads_what_is_published_ms": round(milliseconds(repository.known), 1),
    }
    number = iter(range(1, 10_000))

    def publish() -> None:
        text = f"9.{next(number)}.0"
        filename, wheel = make_wheel("plugin-00001", text)
        repository.publish([Release("plugin-00001", text, filename, wheel, [b"{}"])])

    found["publish_one_more"] = summary([milliseconds(publish) for _ in range(rounds)])
    found["metadata_bytes"] = metadata_bytes(repository, tuf)
    port = ports.free()[0]
    settings = shop.settings
    values = {
        f"{PREFIX}{name}": str(value)
        for name, value in {
            "DATABASE_URL": settings.database_url,
            "BLOB_DIR": settings.blob_dir,
            "TRUSTED_ROOT": settings.trusted_root,
            "LAYOUT": settings.layout,
            "LAYOUT_OWNERS": settings.layout_owners,
            "TRUSTED_ISSUERS": " ".join(settings.trusted_issuers),
            "BASE_URL": f"http://127.0.0.1:{port}",
            "TUF_DIR": tuf,
        }.items()
    }
    command = [sys.executable, "-c", SERVE, json.dumps(values), str(port)]
    with running(command, port):
        base = f"http://127.0.0.1:{port}"
        pip, client = [], []
        for turn in range(rounds):
            pip.append(milliseconds(lambda: _pip(base, folder / "pip")))
            where = folder / f"client-{turn}"
            client.append(milliseconds(lambda where=where: _client(f"{base}/tuf", root, where)))
        _, wheel = make_wheel(NAME, VERSION)
        if (folder / "client-0" / "wheel").read_bytes() != wheel:
            raise RuntimeError("the client downloaded other bytes")
        found["process"] = {"pip_download": summary(pip), "tuf_client": summary(client)}
        found["in_process"] = in_process(f"{base}/tuf", root, folder, publish, rounds)
    return found


def _put_wheels(settings: Any) -> None:
    """Put the measured plugin's wheels into the registry, under the digests of its rows."""
    from sqlalchemy import select

    from registry import coremetadata
    from registry.models import Plugin, Version

    services = Services.open(settings)
    with services.recording() as (session, batch):
        rows = session.scalars(select(Version).join(Plugin).where(Plugin.name == NAME))
        for row in rows:
            _, wheel = make_wheel(NAME, row.number)
            row.sha256, row.size = batch.put(wheel), len(wheel)
            row.metadata_sha256 = coremetadata.read(wheel).sha256
    services.close()


def _pip(base: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    command = [
        sys.executable, "-m", "pip", "download", "--isolated", "--no-deps", "--no-cache-dir",
        "--disable-pip-version-check", "--quiet", "--no-input", "--index-url", f"{base}/simple/",
        "--dest", str(folder), f"{NAME}=={VERSION}",
    ]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    subprocess.run(command, check=True, timeout=120, env=environment)
    if not list(folder.glob("*.whl")):
        raise RuntimeError("pip downloaded nothing")


def _client(url: str, root: Path, folder: Path) -> None:
    command = [sys.executable, "-c", CLIENT, url, str(root), str(folder), NAME, VERSION]
    subprocess.run(command, check=True, timeout=120, cwd=ROOT)


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,10000,100000")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=FOLDER / "tuf.json")
    arguments = parser.parse_args()
    results: dict[str, Any] = {
        **header("tuf", "securesystemslib", "pip"),
        "versions_per_plugin": PER_PLUGIN,
        "sizes": {},
    }
    trust = TrustFixture()
    for size in map(int, arguments.sizes.split(",")):
        with tempfile.TemporaryDirectory() as temporary:
            found = measure(size, Path(temporary), trust, arguments.rounds)
        results["sizes"][str(size)] = found
        print(json.dumps({size: found}, indent=2), flush=True)
    write(arguments.output, results)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
