"""The zygote: the process that cells are forked from.

It holds the wheel, as opaque bytes, and what the compiler cell made of it, as opaque bytes. It is
forked from PID 1 before the first call arrives and never gets any part of one: neither arguments
nor nonces can be in the memory that a cell inherits. It runs no line of a plugin's code and looks
into nothing that a plugin made.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

from . import cell_protocol, cell_steps, cell_worker, protocol
from .cell_steps import CellLimits, StepFailed, Steps

COMPILE_SECONDS = 10.0
CHUNK = 1 << 16


class Zygote:
    """Forks cells, reaps them, kills them; told so by PID 1 over a socket pair."""

    def __init__(
        self, steps: Steps, limits: CellLimits, program: bytes, wheel: bytes, proc: int
    ) -> None:
        self._steps = steps
        self._limits = limits
        self._program = program
        self._wheel = wheel
        self._compiled = b""
        self._proc = proc
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._pids: dict[int, int] = {}
        self._serials: dict[int, int] = {}

    def run(self, control: socket.socket) -> NoReturn:
        """Serve PID 1 until the socket pair ends."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        try:
            if self._steps.user_namespace and self._steps.drop_capabilities:
                # what a cell needs, it has in the user namespace that it is made in
                cell_steps.drop_capabilities()
            self._compile()
            failed = (0, 0)
        except StepFailed as error:
            failed = (error.step, error.number)
        report = cell_protocol.REPORT.pack(
            cell_protocol.STARTED, bool(self._compiled), *failed, 0, 0
        )
        control.send(report)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        gc.collect()
        gc.freeze()
        while True:
            for fd in select.select([control.fileno(), woken], [], [])[0]:
                if fd != woken:
                    self._obey(control)
                else:
                    os.read(woken, CHUNK)
                    self._reap(control)

    def _obey(self, control: socket.socket) -> None:
        order = control.recv(cell_protocol.ORDER.size)
        if not order:
            os._exit(0)
        kind, serial = cell_protocol.ORDER.unpack(order)
        if kind == cell_protocol.SPAWN:
            self._spawn(control, serial)
        elif serial in self._pids:
            # not reaped yet, so the number is still this cell's
            os.kill(self._pids[serial], signal.SIGKILL)

    def _reap(self, control: socket.socket) -> None:
        while self._serials:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            serial = self._serials.pop(pid)
            del self._pids[serial]
            code = os.waitstatus_to_exitcode(status)
            micros = int((usage.ru_utime + usage.ru_stime) * 1e6)
            control.send(
                cell_protocol.REPORT.pack(
                    cell_protocol.DEAD, serial, pid, code, micros, usage.ru_maxrss
                )
            )

    def _fork(self, ends: tuple[int, int, int, int]) -> int:
        """Clone; in the child, arrange the descriptors and take every step."""
        pid = cell_steps.clone(self._steps.namespaces())
        if pid:
            return pid
        task, answer, stdout, stderr = ends
        # lift them out of the way first, then put each in its place: 0 to 4, and /proc after them
        given = (self._null, stdout, stderr, task, answer, self._proc)
        lifted = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in given]
        for number, fd in enumerate(lifted):
            os.dup2(fd, number)
        try:
            signal.set_wakeup_fd(-1)
            for caught in (signal.SIGCHLD, signal.SIGINT):
                signal.signal(caught, signal.SIG_DFL)
            cell_steps.enter(self._steps, self._limits, self._program, 5, 5)
        except StepFailed as error:
            os.write(
                cell_worker.ANSWER_FD,
                cell_protocol.ANNOUNCE.pack(cell_protocol.ANNOUNCE_MAGIC, error.step, error.number),
            )
            os._exit(1)
        return 0

    def _spawn(self, control: socket.socket, serial: int) -> None:
        task, answer, stdout, stderr = (os.pipe() for _ in range(4))
        try:
            pid = self._fork((task[0], answer[1], stdout[1], stderr[1]))
        except StepFailed as error:
            control.send(
                cell_protocol.REPORT.pack(cell_protocol.REFUSED, serial, 0, error.number, 0, 0)
            )
        else:
            if pid == 0:
                self._become(control)
            self._pids[serial], self._serials[pid] = pid, serial
            report = cell_protocol.REPORT.pack(cell_protocol.BORN, serial, pid, 0, 0, 0)
            socket.send_fds(control, [report], [task[1], answer[0], stdout[0], stderr[0]])
        for pair in (task, answer, stdout, stderr):
            os.close(pair[0])
            os.close(pair[1])

    def _become(self, control: socket.socket) -> NoReturn:
        try:
            if self._steps.close_descriptors:
                control.detach()  # closed already
            wheel, compiled = self._wheel, self._compiled
            output_bytes = self._limits.output_bytes
            self._serials.clear()
            self._pids.clear()
            cell_worker.run(wheel, compiled, output_bytes)
        finally:
            os._exit(77)

    def _compile(self) -> None:
        """Let a cell compile the wheel; it is killed if that takes long."""
        answer_read, answer_write = os.pipe()
        pid = self._fork((self._null, answer_write, self._null, self._null))
        if pid == 0:
            try:
                cell_worker.compile_all(self._wheel, cell_worker.ANSWER_FD)
            finally:
                os._exit(77)
        os.close(answer_write)
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
    """Import what nearly every plugin imports, and walk the worker's road once."""
    import io
    import json
    import traceback
    import zipfile

    from . import wheelfinder, worker

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_warm_up.py", "def run(value): return value\n")
    loader = wheelfinder.install(buffer.getvalue())
    worker.call(loader, "_warm_up", "run", b'{"a": [1, 2.5, "x", null, true]}')
    json.dumps(traceback.format_exception(ValueError("x")))
    sys.meta_path.remove(loader)
    del sys.modules["_warm_up"]
