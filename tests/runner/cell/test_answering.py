"""PID 1's last steps for a call, with a real process and real pipes in the place of the cell."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
from typing import cast

import pytest

from runner.sandbox.harness import cell_protocol, protocol
from runner.sandbox.harness.cell_calls import Call, Cell
from runner.sandbox.harness.cell_init import Inlet, Supervisor
from runner.sandbox.harness.cell_steps import CellLimits
from runner.sandbox.harness.meters import Meters

LIMITS = CellLimits(64 << 20, 16, 1, 1 << 20, 256, 1 << 20, 1 << 20, 64)


class _Meters:
    """No process was killed for memory."""

    def killed(self) -> int:
        return 0


class _Outlet:
    """Where the frame leaves: it looks whether the cell still runs."""

    def __init__(self, cell: Cell, pidfd: int) -> None:
        self.cell, self.pidfd = cell, pidfd
        self.frames: list[tuple[bytes, bool, bool]] = []

    def finish(self, frame: bytes) -> None:
        ended = bool(select.select([self.pidfd], [], [], 1.0)[0])
        self.frames.append((frame, ended, bool(self.cell.open)))


def test_a_cell_is_killed_before_its_answer_leaves_and_closed_after_it() -> None:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(1)
    pipes = [os.pipe() for _ in range(4)]
    watch = os.pidfd_open(pid)
    ours, theirs = socket.socketpair()
    stdin, stdout = os.pipe()
    proc = os.open("/proc", os.O_RDONLY)
    try:
        ends = [os.pidfd_open(pid), pipes[0][1], *(read for read, _ in pipes[1:])]
        cell = Cell(1, pid, ends, 1 << 20, proc)
        header = (cell_protocol.CALL_MAGIC, 7, 2, 1, 1, 1000, 0, bytes(16), b"n" * 32)
        cell.call = Call(header)
        cell._answer += protocol.ANSWER.pack(protocol.RESULT, 1) + b"1"
        supervisor = Supervisor(Inlet(stdin), stdout, ours, proc, LIMITS, cast(Meters, _Meters()))
        outlet = _Outlet(cell, watch)
        supervisor._outlet = outlet  # type: ignore[assignment]
        supervisor._running[1] = cell
        supervisor._watch(cell, [cell.answer, *cell.logs])
        supervisor._finish(cell, protocol.RESULT)
        ((frame, ended, held),) = outlet.frames
        assert ended, "the cell may run on while its answer is told"
        assert held, "what only PID 1 waits for comes after the answer"
        assert struct.unpack_from(">4sI", frame) == (cell_protocol.RESPONSE_MAGIC, 7)
        assert frame.endswith(b"n" * 32 + b"1")
        assert cell.open == set()
        with pytest.raises(KeyError):
            supervisor._poll.unregister(ends[2])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ours.close()
        theirs.close()
        kept = [pipes[0][0], *(write for _, write in pipes[1:])]
        for fd in (watch, stdin, stdout, proc, *kept):
            os.close(fd)
