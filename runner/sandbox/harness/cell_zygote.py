"""The zygote and its berths: the processes that cells are forked from.

The zygote holds the wheel, as opaque bytes, and what the compiler cell made of it, as opaque bytes.
It is forked from PID 1 before the first call arrives, and the berths from it. None of them ever
gets any part of a call: neither arguments nor nonces can be in the memory that a cell inherits.
They run no line of a plugin's code and look into nothing that a plugin made.

A berth has one cell at a time, and forks the next one when the kernel has ended everything in the
last one's namespaces. So the network namespace, which costs more than all else of a cell, can be
the berth's: nobody else is in it, and nobody has a capability over it (docs/adr/0020).
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from typing import NoReturn

from . import cell_protocol, cell_steps, cell_worker, protocol, walk, wheelfinder
from .cell_steps import CellLimits, Filter, StepFailed, Steps

COMPILE_SECONDS = 10.0
AGAIN_SECONDS = 0.05
"""How long a berth waits after the kernel has made it no process."""
REST_SECONDS = 0.003
"""How long a berth is empty. The call that has just ended is about to be answered, and other berths
have a cell for the next one; making one takes a processor for longer than that answer."""
CHUNK = 1 << 16
FIRST_FREE = 5
"""The first descriptor that a cell does not have."""
EXIT_NO_BERTH = 77
WALKS = 16
"""How often the worker's road is walked ahead: until then the interpreter changes its code, and
each change would be another page that a cell copies."""
WALK = cell_worker.compiled(wheelfinder.WheelLoader(walk.wheel()))


def _lay_out(control: socket.socket, proc: int) -> tuple[socket.socket, int]:
    """Put /dev/null where a cell has its descriptors; return what must stay, moved above them."""
    above = socket.socket(fileno=fcntl.fcntl(control, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE))
    proc = fcntl.fcntl(proc, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in range(FIRST_FREE):
        os.dup2(null, fd)
    return above, proc


def _report(control: socket.socket, kind: bytes, *fields: int, fds: Sequence[int] = ()) -> None:
    report = cell_protocol.REPORT.pack(kind, *fields, *[0] * (5 - len(fields)))
    socket.send_fds(control, [report], fds)


class Zygote:
    """Has the wheel compiled, and forks the berths, each of which goes on as one more of its kind.

    It takes no orders. PID 1 hears what it does over a socket pair, and ends cells by itself.
    """

    def __init__(
        self, steps: Steps, limits: CellLimits, program: bytes, wheel: bytes, proc: int
    ) -> None:
        """Take what every cell gets: walls, limits, the seccomp filter, the wheel, and /proc to
        begin with.

        Raises:
            ValueError: the filter is none.
        """
        self._steps = steps
        self._limits = limits
        self._filter = Filter(program)
        self._wheel = wheel
        self._compiled = b""
        self._proc = proc
        self._mapped = 0
        self._flags = steps.namespaces()

    def run(self, control: socket.socket, berths: int) -> NoReturn:
        """Report that the wheel is compiled, or what failed, and fork the berths."""
        control, self._proc = _lay_out(control, self._proc)
        failed = (0, 0)
        try:
            cell_steps.prepare(self._steps, self._limits, self._proc)
            self._mapped = cell_steps.mapped_bytes(self._proc)
            self._compile()
        except StepFailed as error:
            failed = (error.step, error.number)
        _report(control, cell_protocol.STARTED, bool(self._compiled), *failed)
        gc.collect()
        gc.freeze()
        zygote = os.getpid()
        for number in range(berths):
            if os.fork() == 0:
                self._be_berth(control, zygote, number, berths)
        os.wait()  # a berth does not end before the container
        os._exit(EXIT_NO_BERTH)

    def _be_berth(self, control: socket.socket, zygote: int, serial: int, berths: int) -> NoReturn:
        try:
            cell_steps.prepare(self._steps, self._limits, self._proc)
            cell_steps.die_with(zygote)
            self._mapped = cell_steps.mapped_bytes(self._proc)
            while True:
                self._one_cell(control, serial)
                serial = (serial + berths) & 0xFFFFFFFF
        except StepFailed as error:
            _report(control, cell_protocol.REFUSED, serial, error.step, error.number)
        finally:
            os._exit(EXIT_NO_BERTH)

    def _one_cell(self, control: socket.socket, serial: int) -> None:
        """Fork a cell, hand it over, and wait until the kernel has ended all that was in it."""
        task, answer, stdout, stderr = (os.pipe() for _ in range(4))
        theirs = (task[0], answer[1], stdout[1], stderr[1])
        pid, number = -1, 0
        cell: tuple[int, ...] = ()
        try:
            pid = self._fork(theirs)
        except StepFailed as error:
            number = error.number
        if pid == 0:
            self._be_cell(control)
        if pid > 0:
            cell = (os.pidfd_open(pid),)
            ends = (*cell, task[1], answer[0], stdout[0], stderr[0])
            _report(control, cell_protocol.BORN, serial, pid, fds=ends)
        for fd in (*theirs, *cell, task[1], answer[0], stdout[0], stderr[0]):
            os.close(fd)
        if pid < 0:
            _report(control, cell_protocol.REFUSED, serial, cell_steps.CLONE, number)
            time.sleep(AGAIN_SECONDS)
            return
        _, status, usage = os.wait4(pid, 0)
        micros = int((usage.ru_utime + usage.ru_stime) * 1e6)
        code = os.waitstatus_to_exitcode(status)
        _report(control, cell_protocol.DEAD, serial, pid, code, micros, usage.ru_maxrss)
        time.sleep(REST_SECONDS)

    def _fork(self, ends: tuple[int, int, int, int]) -> int:
        """Clone; in the child, where 0 is returned, put the descriptors in place and take every
        step.
        """
        pid = cell_steps.clone(self._flags)
        if pid:
            return pid
        for end, place in zip(ends, cell_worker.PLACES, strict=True):
            os.dup2(end, place)
        try:
            cell_steps.enter(
                self._steps, self._limits, self._filter, self._proc, self._mapped, FIRST_FREE
            )
        except StepFailed as error:
            os.write(
                cell_worker.ANSWER_FD,
                cell_protocol.ANNOUNCE.pack(cell_protocol.ANNOUNCE_MAGIC, error.step, error.number),
            )
            os._exit(1)
        return 0

    def _be_cell(self, control: socket.socket) -> NoReturn:
        try:
            if self._steps.close_descriptors:
                control.detach()  # closed already
            cell_worker.run(self._wheel, self._compiled, WALK, self._limits.output_bytes)
        finally:
            os._exit(EXIT_NO_BERTH)

    def _compile(self) -> None:
        """Let a cell compile the wheel; it is killed if that takes long."""
        answer_read, answer_write = os.pipe()
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        pid = self._fork((null, answer_write, null, null))
        if pid == 0:
            try:
                cell_worker.compile_all(self._wheel, cell_worker.ANSWER_FD)
            finally:
                os._exit(EXIT_NO_BERTH)
        os.close(answer_write)
        os.close(null)
        end = time.monotonic() + COMPILE_SECONDS
        answer = bytearray()
        while (left := end - time.monotonic()) > 0 and len(answer) <= cell_protocol.MAX_COMPILED:
            if not select.select([answer_read], [], [], left)[0]:
                break
            data = os.read(answer_read, CHUNK)
            if not data:
                break
            answer += data
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(answer_read)
        if bytes(answer[:4]) == cell_protocol.ANNOUNCE_MAGIC:
            raise StepFailed(
                *cell_protocol.ANNOUNCE.unpack(answer[: cell_protocol.ANNOUNCE.size])[1:]
            )
        size = protocol.ANSWER.size
        if len(answer) > size:
            ending, length = protocol.ANSWER.unpack(answer[:size])
            if ending == protocol.RESULT and len(answer) == size + length:
                self._compiled = bytes(answer[size:])


def warm_up() -> None:
    """Import what nearly every plugin imports, and walk the worker's road."""
    import json
    import traceback

    walk.along(cell_worker.CompiledWheelLoader(b"", WALK), WALKS)
    json.dumps(traceback.format_exception(ValueError("x")))
