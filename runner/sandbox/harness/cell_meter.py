"""What one cell uses, read by PID 1 from outside the cell: the kernel's figures, not the plugin's.

A cell's processes are its first one and that one's descendants: whoever loses a parent in a PID
namespace gets the first process of that namespace as the new one.
"""

from __future__ import annotations

import contextlib
import os
import time

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROCESS_CLOCK = 2
"""CPUCLOCK_SCHED, in the clock id of a process (clock_getcpuclockid(3))."""

NICEST = 19


CHUNK = 4096


def _open(proc: int, path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)


def _read(proc: int, path: str) -> bytes:
    fd = _open(proc, path)
    try:
        return os.read(fd, CHUNK)
    finally:
        os.close(fd)


def _own_micros(pid: int) -> int:
    try:
        return time.clock_gettime_ns((~pid << 3) | _PROCESS_CLOCK) // 1000
    except OSError:
        return 0


class Family:
    """All processes of the container at one moment."""

    def __init__(self, proc: int) -> None:
        self._proc = proc
        self._children: dict[int, list[int]] = {}
        self._stat: dict[int, tuple[int, int]] = {}
        for name in os.listdir(proc):
            if name.isdecimal():
                self._add(int(name))

    def _add(self, pid: int) -> None:
        try:
            fields = _read(self._proc, f"{pid}/stat").rpartition(b")")[2].split()
        except OSError:
            return
        self._children.setdefault(int(fields[1]), []).append(pid)
        self._stat[pid] = (int(fields[13]) + int(fields[14]), int(fields[21]))

    def of(self, pid: int) -> list[int]:
        """Return the processes of the cell whose first one is `pid`."""
        found = [pid] if pid in self._stat else []
        for member in found:
            found += self._children.get(member, ())
        return found

    def micros(self, pids: list[int]) -> int:
        """Return the CPU microseconds of processes and of the children that they have reaped."""
        reaped = sum(self._stat[pid][0] for pid in pids)
        return sum(map(_own_micros, pids)) + reaped * 1_000_000 // _TICKS

    def resident(self, pids: list[int], limit: int) -> int:
        """Return the bytes that processes hold; pages that they share count once above `limit`."""
        total = sum(self._stat[pid][1] for pid in pids) * _PAGE
        if total <= limit or len(pids) == 1:
            return total
        return sum(self._proportional(pid) for pid in pids)

    def _proportional(self, pid: int) -> int:
        try:
            words = _read(self._proc, f"{pid}/smaps_rollup").split()
            return int(words[words.index(b"Pss:") + 1]) * 1024
        except (OSError, ValueError, IndexError):
            return self._stat[pid][1] * _PAGE

    def demote(self, pids: list[int]) -> None:
        """Let processes give way to every other call."""
        for pid in pids:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, pid, NICEST)


class Meter:
    """What one cell has used, read while it is still there; descendants that live on are left out.

    Its files are opened while nobody waits.
    """

    def __init__(self, proc: int, pid: int) -> None:
        """Open the files of a process, as far as it is there."""
        self._pid = pid
        self._fds: list[int] = []
        with contextlib.suppress(OSError):
            self._fds.append(_open(proc, f"{pid}/stat"))
            self._fds.append(_open(proc, f"{pid}/status"))

    def read(self) -> tuple[int, int]:
        """Return CPU microseconds and peak KiB."""
        try:
            stat, status = (os.pread(fd, CHUNK, 0) for fd in self._fds)
            fields = stat.rpartition(b")")[2].split()
            words = status[status.index(b"VmHWM:") :].split(maxsplit=2)
            reaped, peak = int(fields[13]) + int(fields[14]), int(words[1])
        except (OSError, ValueError, IndexError):
            return _own_micros(self._pid), 0
        return _own_micros(self._pid) + reaped * 1_000_000 // _TICKS, peak

    def close(self) -> None:
        """Give the descriptors back."""
        while self._fds:
            os.close(self._fds.pop())
