"""Where the time of a warm call goes: python -m benchmarks.runner_bench.where [--calls 100]

Calls one at a time, with pauses in which the pool refills. Prints the median of each part of the
road, measured inside the runner's process, and of the whole call, measured by the caller.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.runner_bench.measure import percentile, settle
from benchmarks.runner_bench.phases import NAMES
from benchmarks.runner_bench.service import WARM_UP, Deployment
from runner.sandbox.engine import Engine
from runner.sandbox.image import ensure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--level", choices=("container", "cell"), default="container")
    parser.add_argument("--driver", choices=("engine", "oci"), default="engine")
    options = parser.parse_args()
    image = ensure(Engine().client)
    plugin = {} if options.level == "container" else {"cell_versions": "*"}
    sandbox = {"runtime": "runc", "driver": options.driver}
    whole: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "phases.json"
        with Deployment(image, sandbox, plugin, phases=file).run() as client:
            for number in range(WARM_UP + options.calls):
                if number >= WARM_UP:
                    settle(1.0)
                start = time.perf_counter()
                reply = client.invoke()
                taken = time.perf_counter() - start
                if reply["status"] != "ok":
                    raise SystemExit(json.dumps(reply["error"]))
                if number >= WARM_UP:
                    whole.append(taken * 1e3)
        parts: dict[str, list[float]] = json.loads(file.read_text(encoding="utf-8"))
    print(f"{'milliseconds':<18} {'least':>8} {'median':>8} {'p95':>8}")
    for name, told in NAMES.items():
        if name not in parts:
            continue
        each = 2 if name in ("append", "schema") else 1  # twice in each call
        line(name, parts[name][WARM_UP * each :], f"{each} x {told}" if each > 1 else told)
    line("the caller", whole, "the whole call over HTTP, waitress and the socket included")


def line(name: str, samples: list[float], told: str) -> None:
    """Print one part."""
    figures = (min(samples), statistics.median(samples), percentile(samples, 0.95))
    print(f"{name:<18} {' '.join(f'{figure:>8.3f}' for figure in figures)}  {told}")


if __name__ == "__main__":
    main()
