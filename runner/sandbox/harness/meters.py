"""What the container's cgroup counts, v1 or v2, read by the supervisor."""

from __future__ import annotations

import os
import resource

from . import protocol

_CPU = (
    ("/sys/fs/cgroup/cpu.stat", "usage_usec", 1000),
    ("/sys/fs/cgroup/cpuacct/cpuacct.usage", "", 1_000_000),
    ("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "", 1_000_000),
)
_PEAK = (
    ("/sys/fs/cgroup/memory.peak", "", 1024),
    ("/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "", 1024),
)
_KILLED = (
    ("/sys/fs/cgroup/memory.events", "oom_kill", 1),
    ("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill", 1),
)
_DENIED = (
    ("/sys/fs/cgroup/pids.events", "max", 1),
    ("/sys/fs/cgroup/pids/pids.events", "max", 1),
)


class Counter:
    """One number of the cgroup's, in the unit that the response wants; None where there is none."""

    def __init__(self, places: tuple[tuple[str, str, int], ...]) -> None:
        self._fd = -1
        self._key = ""
        self._unit = 1
        for path, key, unit in places:
            try:
                self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            self._key, self._unit = key, unit
            return

    def read(self) -> int | None:
        """Return the number now."""
        if self._fd < 0:
            return None
        try:
            words = os.pread(self._fd, 4096, 0).decode().split()
            value = words[0] if not self._key else words[words.index(self._key) + 1]
            return int(value) // self._unit
        except (OSError, ValueError, IndexError):
            return None

    def close(self) -> None:
        """Give the descriptor back; the worker must not inherit it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Meters:
    """CPU milliseconds, peak memory in KiB, processes killed for memory, processes denied."""

    def __init__(self) -> None:
        self._cpu = Counter(_CPU)
        self._peak = Counter(_PEAK)
        self._killed = Counter(_KILLED)
        self._denied = Counter(_DENIED)
        self._start = 0
        self._before = (0, 0)

    def begin(self) -> None:
        """Count CPU time, and processes killed and denied, from here on.

        The runtime's own start runs under the same limits, in threads that come and go.
        """
        self._start = self._cpu.read() or 0
        self._before = (self._killed.read() or 0, self._denied.read() or 0)

    def cpu(self) -> int:
        """CPU milliseconds of the whole container since `begin`, 0 where the host hides them."""
        now = self._cpu.read()
        return 0 if now is None else max(0, now - self._start)

    def killed(self) -> int:
        """Processes killed for memory since the container began."""
        return self._killed.read() or 0

    def totals(self) -> tuple[int, int, int, int, int]:
        """Return the source, CPU milliseconds, peak KiB, killed and denied processes."""
        now, peak = self._cpu.read(), self._peak.read()
        killed = max(0, (self._killed.read() or 0) - self._before[0])
        denied = max(0, (self._denied.read() or 0) - self._before[1])
        if now is not None and peak is not None:
            return protocol.FROM_CGROUP, max(0, now - self._start), peak, killed, denied
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        milliseconds = int((used.ru_utime + used.ru_stime) * 1000)
        return protocol.FROM_RUSAGE, milliseconds, used.ru_maxrss, killed, denied

    def close(self) -> None:
        """Give every descriptor back."""
        for counter in (self._cpu, self._peak, self._killed, self._denied):
            counter.close()
