"""What one container costs in CPU time: python -m benchmarks.runner_bench.cost [--containers 20]

Hardened containers, one after the other, from `create` to `removed`, without a call. The whole
machine's busy time is read from /proc/stat, with that of an equally long idle stretch taken off,
and means nothing unless the machine is quiet. dockerd's and containerd's own is from
/proc/PID/stat, this process's and its children's from getrusage(2), that of the processes in the
container from its cgroup, once it is ready; and, where `perf` is allowed, the processor's time
by the name of the process, which also sees those that live for milliseconds.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.sandbox import Sandbox
from runner.sandbox.container import WarmContainer
from runner.sandbox.engine import Engine
from runner.sandbox.image import ensure
from trust.wheel import Limits

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
OWN = re.compile(r"dockerd|containerd|runc|runsc|exe|docker-init|kworker|memfd")
"""Names of processes that a container's life runs through (`exe` is dockerd starting itself again
inside a namespace)."""
USAGE = (("cpuacct/**/{}/cpuacct.usage", "", 1e-6), ("**/{}/cpu.stat", "usage_usec ", 1e-3))


def busy_ms() -> float:
    """Return the milliseconds that all processors together have been busy since boot."""
    ticks = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) * TICK_MS


def daemons() -> dict[str, list[Path]]:
    """Return the stat files of dockerd and containerd."""
    found: dict[str, list[Path]] = {"dockerd": [], "containerd": []}
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = path.read_text().strip()
        except OSError:  # it has ended
            continue
        if name in found:
            found[name].append(path.with_name("stat"))
    return found


def own_ms(files: list[Path]) -> float:
    """Return the user and system time of processes, without their children's."""
    fields = [path.read_text().rsplit(")", 1)[1].split() for path in files]
    return sum(int(each[11]) + int(each[12]) for each in fields) * TICK_MS


def children_ms() -> tuple[float, float]:
    """Return the user and system time of this process, and of the children that it waited for."""
    own, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own.ru_utime + own.ru_stime) * 1e3, (others.ru_utime + others.ru_stime) * 1e3


def harness_ms(container: WarmContainer) -> float:
    """Return what the container's cgroup has counted; 0 where there is none to ask."""
    for pattern, key, unit in USAGE:
        for path in Path("/sys/fs/cgroup").glob(pattern.format(f"*{container.id}*")):
            text = path.read_text().split("\n", 1)[0]
            return int(text.removeprefix(key)) * unit
    return 0.0


@contextmanager
def sampled(into: Path | None) -> Iterator[None]:
    """Sample all processors by `perf` meanwhile."""
    if into is None:
        yield
        return
    command = ["perf", "record", "-q", "-a", "-e", "cpu-clock", "-F", "999", "-o", str(into)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        time.sleep(0.5)
        try:
            yield
        finally:
            process.terminate()


def by_name(file: Path, containers: int) -> list[tuple[str, float]]:
    """Return milliseconds a container for each process name that `perf` saw."""
    command = ["perf", "script", "-i", str(file), "-F", "comm"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts: dict[str, int] = {}
    for name in map(str.strip, listing.splitlines()):
        if OWN.search(name):
            group = re.sub(r"^(kworker|memfd).*", r"\1", name)
            counts[group] = counts.get(group, 0) + 1
    return sorted(
        ((name, count * 1000 / 999 / containers) for name, count in counts.items()),
        key=lambda line: -line[1],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--containers", type=int, default=20)
    parser.add_argument("--runtime", choices=("runc", "runsc"), default="runc")
    parser.add_argument("--driver", choices=("engine", "oci"), default="engine")
    options = parser.parse_args()
    image, files = ensure(Engine().client), daemons()
    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox.connect(
            image, options.runtime, driver=options.driver, folder=Path(folder) / "images"
        ) as sandbox,
    ):
        perf = Path(folder) / "perf.data" if shutil.which("perf") else None
        sandbox.start_container(Limits(), "warm-up").destroy()
        time.sleep(2)
        before = {name: own_ms(paths) for name, paths in files.items()}
        total, start, ours, harness = busy_ms(), time.monotonic(), children_ms(), 0.0
        with sampled(perf):
            for _ in range(options.containers):
                container = sandbox.start_container(Limits(), "cost")
                harness += harness_ms(container)
                container.destroy()
            then = children_ms()  # before `perf` is one of the children
            time.sleep(1)  # what the engine does after its answer counts as well
        taken = time.monotonic() - start
        used = busy_ms() - total
        parts = {name: own_ms(paths) - before[name] for name, paths in files.items()}
        parts["this process"] = then[0] - ours[0]
        parts["its children"] = then[1] - ours[1]
        parts["in the container"] = harness
        idle_from = busy_ms()
        time.sleep(taken)
        idle = busy_ms() - idle_from
        count = options.containers
        print(f"{count} containers of the driver {options.driver} under {options.runtime},"
              f" {taken / count * 1e3:.0f} ms each")  # fmt: skip
        print(f"  the whole machine, less {idle / taken / 10:.0f} % of a processor when idle:"
              f" {(used - idle) / count:.0f} ms CPU a container")  # fmt: skip
        for name, milliseconds in parts.items():
            print(f"  {name:<18} {milliseconds / count:>6.1f} ms")
        for name, milliseconds in by_name(perf, count) if perf and perf.exists() else ():
            if milliseconds >= 0.5:
                print(f"  {name:<18} {milliseconds:>6.1f} ms by perf")


if __name__ == "__main__":
    main()
