"""Who computes how long for a saturated call: python -m benchmarks.runner_bench.saturated

Calls of the level `cell` from lean clients, with either driver. CPU time a call: of the runner's
process and of the engine's daemons from /proc/PID/stat, of everything in the cells' container from
its cgroup. What else the machine does is not in the figures, except that busy neighbours make each
of them larger.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks.runner_bench.measure import burst_of_processes
from benchmarks.runner_bench.service import Deployment, Http
from runner.sandbox.cell.sandbox import LABEL_WHEEL
from runner.sandbox.engine import Engine
from runner.sandbox.image import ensure
from runner.sandbox.oci.driver import RUN

WARM_UP = 10
SERVE = "benchmarks.runner_bench.serve"
DAEMONS = ("dockerd ", "/usr/bin/dockerd ", "/usr/sbin/dockerd ", "/usr/bin/containerd-shim")
LOOK_SECONDS = 0.2
_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_COUNTERS = ("cpuacct/**/*{}*/cpuacct.usage", "**/*{}*/cpu.stat")


def process_ms(chosen: Callable[[str, int], bool]) -> float:
    """Return the CPU milliseconds of processes that are chosen by command line and parent."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            fields = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if chosen(line, int(fields[1])):
            total += int(fields[11]) + int(fields[12])
    return total * _TICK_MS


def container_ms(container: str) -> float | None:
    """Return the CPU milliseconds of all processes that a container had (cgroup v1 or v2)."""
    for pattern in _COUNTERS:
        for path in Path("/sys/fs/cgroup").glob(pattern.format(container)):
            words = path.read_text(encoding="ascii").split()
            if "usage_usec" in words:
                return int(words[words.index("usage_usec") + 1]) / 1e3
            if path.name == "cpu.stat" or not words:  # v1's tells of throttling; or it has gone
                continue
            return int(words[0]) / 1e6
    return None


def of_engine(engine: Engine) -> set[str]:
    """Return the engine's containers of cells."""
    found = engine.client.containers(filters={"label": LABEL_WHEEL})
    return {str(each["Id"]) for each in found}


def of_runtime() -> set[str]:
    """Return the containers of cells that the driver `oci` has made, whichever runner's."""
    found = set()
    for bundle in RUN.glob("*/bundles/*"):
        with suppress(OSError, ValueError):  # it is being written or removed
            document = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
            if LABEL_WHEEL in document["annotations"]:
                found.add(bundle.name)
    return found


class Containers:
    """The containers of cells that were started since this was made; some are renewed meanwhile.

    They are looked at all the time: what one has used since the last look is lost when it goes.
    """

    def __init__(self, ids: Callable[[], set[str]]) -> None:
        self._ids = ids
        self._others = ids()
        self._known: dict[str, float] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            self.ms()

    def ms(self) -> float:
        """Return their CPU milliseconds; of one that is gone, what it had when last looked at."""
        with self._lock:
            for container in self._ids() - self._others:
                now = container_ms(container)
                if now is not None:
                    self._known[container] = now
            return sum(self._known.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", choices=("cell",), default="cell")
    parser.add_argument("--driver", choices=("engine", "oci"), default="engine")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    engine = Engine()
    image = ensure(engine.client)
    cells = {"cell_versions": "*"}
    service = Http(
        "saturated",
        "",
        Deployment(image, {"runtime": "runc", "driver": options.driver}, cells),
        level=options.level,
        runtime="runc",
        driver=options.driver,
    )
    made_by_engine = options.driver == "engine"
    containers = Containers(partial(of_engine, engine) if made_by_engine else of_runtime)
    me = os.getpid()
    with service.open():
        for _ in range(WARM_UP):
            service.call()
        parts: dict[str, Callable[[], float]] = {
            "runner": lambda: process_ms(lambda line, parent: SERVE in line and parent == me),
            "container": containers.ms,
            "engine": lambda: process_ms(lambda line, _: line.startswith(DAEMONS)),
        }
        kind, settings = service.worker()
        print(f"{'clients':>7} {'calls/s':>8}  ms of CPU a call")
        for clients in options.clients * options.rounds:
            start = {name: part() for name, part in parts.items()}
            count, _ = burst_of_processes(kind, settings, clients, options.seconds, 0.0)
            told = "  ".join(f"{n} {(part() - start[n]) / count:.2f}" for n, part in parts.items())
            print(f"{clients:>7} {count / options.seconds:>8.0f}  {told}")


if __name__ == "__main__":
    main()
