"""The Simple API's requests a second and latency, and how they grow with what is published.

python benchmarks/simple_api.py [--sizes 100,10000,100000] [--seconds 4] [--output FILE]

For each size, that many versions are published, ten to a plugin, and `/simple/NAME/` is asked for
one plugin after the other: of our registry, served by waitress as in production, and of
pypiserver and devpi, served by waitress too, with the same wheels (up to 10,000). `wrk` asks
where it is installed (Debian package wrk), with one connection for the latency and with eight for
the throughput; else a small client with threads does, which is slower itself. Then the page of one
plugin is asked for as its own number of versions grows. Servers are processes of their own.
The others are installed from the package index into environments that are thrown away.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks._results import FOLDER, header, write
from benchmarks.simple_api_bench import peers
from benchmarks.simple_api_bench.shop import Shop, fill, plans
from registry.setting_reader import PREFIX
from registry.settings import Settings
from tests.support import ports
from tests.support.evidence import TrustFixture

ROOT = Path(__file__).resolve().parent.parent
PER_PLUGIN = 10
PAGE_SIZES = (10, 100, 1000)
CONNECTIONS = 8
JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"

SERVE = """
import json, sys
from registry.main import serve
from registry.settings import Settings
serve(Settings.from_mapping(json.loads(sys.argv[1])), "127.0.0.1", int(sys.argv[2]))
"""

LUA = """
local paths = {}
for line in io.lines(os.getenv("BENCH_PATHS")) do paths[#paths + 1] = line end
local at = 0
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at], {["Accept"] = "%s", ["Host"] = wrk.host})
end
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests": %%d, "seconds": %%f, "p50_ms": %%f, "p99_ms": %%f, "errors": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""  # noqa: E501 - one line of Lua


@dataclass(frozen=True)
class Environments:
    """Where the others are installed."""

    pypiserver: Path
    devpi: Path


Measure: TypeAlias = Callable[[int, Shop, str, float, str], dict[str, Any]]
"""(port, shop, what to accept, seconds, where the Simple API begins) -> results."""


def answers(port: int, path: str) -> bool:
    """Return whether a server answers, whatever it says of that page."""
    try:
        return fetch(port, path, HTML)[0] < 500
    except OSError:
        return False


@contextmanager
def running(
    command: Sequence[str], port: int, path: str = "/simple/plugin-00000/"
) -> Iterator[None]:
    """Run a server until it is no longer needed; return when it answers."""
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not answers(port, path):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not serve {path}")
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(30)


def fetch(port: int, path: str, accept: str) -> tuple[int, int, float]:
    """Return status, bytes and milliseconds of one request."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path, headers={"Accept": accept})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, len(body), (time.perf_counter() - began) * 1000


def ask(
    port: int, paths: Sequence[str], accept: str, connections: int, seconds: float
) -> dict[str, Any]:
    """Ask for the paths in turn; return requests a second and latencies in milliseconds."""
    asked = by_wrk if shutil.which("wrk") else by_threads
    found = asked(port, paths, accept, connections, seconds)
    if found["errors"]:
        raise RuntimeError(f"{found['errors']} requests failed")
    return {
        "requests_per_s": round(found["requests"] / found["seconds"], 1),
        "p50_ms": round(found["p50_ms"], 2),
        "p99_ms": round(found["p99_ms"], 2),
    }


def by_wrk(
    port: int, paths: Sequence[str], accept: str, connections: int, seconds: float
) -> dict[str, float]:
    """Let wrk ask."""
    with tempfile.TemporaryDirectory() as folder:
        script, listed = Path(folder, "ask.lua"), Path(folder, "paths")
        script.write_text(LUA % accept)
        listed.write_text("\n".join(paths) + "\n")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        done = subprocess.run(
            [*command, "--timeout", "30s", "-s", str(script), f"http://127.0.0.1:{port}/"],
            env=os.environ | {"BENCH_PATHS": str(listed)},
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        )
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("RESULT "))
    result: dict[str, float] = json.loads(line.removeprefix("RESULT "))
    return result


def by_threads(
    port: int, paths: Sequence[str], accept: str, connections: int, seconds: float
) -> dict[str, float]:
    """Ask with threads of this process, each on a connection that it keeps."""
    times: list[float] = []
    errors: list[int] = []
    end = time.perf_counter() + seconds

    def run(at: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.perf_counter() < end:
            at += 1
            began = time.perf_counter()
            connection.request("GET", paths[at % len(paths)], headers={"Accept": accept})
            answer = connection.getresponse()
            answer.read()
            times.append((time.perf_counter() - began) * 1000)
            if answer.status != 200:
                errors.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = statistics.quantiles(times, n=100)
    found = {"requests": len(times), "seconds": seconds, "errors": len(errors)}
    return found | {"p50_ms": cuts[49], "p99_ms": cuts[98]}


def measure(
    port: int, shop: Shop, accept: str, seconds: float, prefix: str = "/simple"
) -> dict[str, Any]:
    """Measure one server in one form of page."""
    paths = [f"{prefix}/{name}/" for name in shop.names]
    for path in paths[:50]:
        fetch(port, path, accept)
    whole = [fetch(port, f"{prefix}/", accept) for _ in range(3)]
    return {
        "one_connection": ask(port, paths, accept, 1, seconds),
        f"{CONNECTIONS}_connections": ask(port, paths, accept, CONNECTIONS, seconds),
        "page_bytes": fetch(port, paths[0], accept)[1],
        "list_of_all": {
            "bytes": whole[0][1],
            "median_ms": round(statistics.median(ms for _, _, ms in whole), 1),
        },
    }


def measure_pages(
    port: int, shop: Shop, accept: str, seconds: float, prefix: str = "/simple"
) -> dict[str, Any]:
    """Measure one server's pages by how many versions they have."""
    pages = zip(PAGE_SIZES, shop.names, strict=True)
    return {str(n): ask(port, [f"{prefix}/{name}/"], accept, 1, seconds) for n, name in pages}


def side_by_side(
    shop: Shop, environments: Environments, measured: Measure, seconds: float
) -> dict[str, Any]:
    """Measure our registry, and the others where the wheels are there."""
    found: dict[str, Any] = {}
    command, port = sealgate(shop)
    with running(command, port):
        for label, accept in (("JSON", JSON), ("HTML", HTML)):
            found[f"sealgate {label}"] = measured(port, shop, accept, seconds, "/simple")
    if shop.folder is None:
        return found
    port = ports.free()[0]
    with running(peers.pypiserver(environments.pypiserver, shop.folder, port), port):
        found["pypiserver HTML"] = measured(port, shop, HTML, seconds, "/simple")
    if measured is measure_pages:
        return found  # devpi takes minutes to be given a project of a thousand versions
    port = ports.free()[0]
    state = shop.folder.parent / "devpi"
    with running(peers.devpi(environments.devpi, state, port), port, "/+api"):
        began = time.perf_counter()
        peers.upload_to_devpi(port, shop.folder)
        found["devpi uploads_seconds"] = round(time.perf_counter() - began, 1)
        for label, accept in (("JSON", JSON), ("HTML", HTML)):
            found[f"devpi {label}"] = measured(port, shop, accept, seconds, peers.DEVPI_PREFIX)
    return found


def sealgate(shop: Shop) -> tuple[list[str], int]:
    """Return the command of our registry, and its port."""
    port = ports.free()[0]
    known = {field.name: getattr(shop.settings, field.name) for field in fields(Settings)}
    values = {
        f"{PREFIX}{name.upper()}": " ".join(value) if isinstance(value, frozenset) else str(value)
        for name, value in known.items()
        if isinstance(value, str | int | Path | frozenset)
    }
    return [sys.executable, "-c", SERVE, json.dumps(values), str(port)], port


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,10000,100000")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--output", type=Path, default=FOLDER / "simple_api.json")
    arguments = parser.parse_args()
    results: dict[str, Any] = {
        **header("flask", "sqlalchemy", "waitress"),
        "versions_per_plugin": PER_PLUGIN,
        "sizes": {},
    }
    results["machine"]["client"] = "wrk" if shutil.which("wrk") else "threads"
    trust = TrustFixture()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environments = Environments(
            peers.install(folder / "pypiserver", "pypiserver[cache]", "waitress"),
            peers.install(folder / "devpi-server", "devpi-server"),
        )
        results["peers"] = {
            **peers.versions(environments.pypiserver, "pypiserver", "waitress"),
            **peers.versions(environments.devpi, "devpi-server"),
        }
        for size in map(int, arguments.sizes.split(",")):
            shop = fill(folder / str(size), trust, [PER_PLUGIN] * (size // PER_PLUGIN))
            found = side_by_side(shop, environments, measure, arguments.seconds)
            found["query_plans"] = plans(shop.settings, shop.names[0])
            results["sizes"][str(size)] = found
            write(arguments.output, results)
            print(json.dumps({size: found}, indent=2), flush=True)
        shop = fill(folder / "pages", trust, PAGE_SIZES)
        results["page_by_its_versions"] = side_by_side(shop, environments, measure_pages, 2.0)
        print(json.dumps(results["page_by_its_versions"], indent=2))
    write(arguments.output, results)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
