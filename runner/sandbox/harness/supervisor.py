"""The supervisor: PID 1 of the container. It runs no line of a plugin's code.

Rules, in order:

1. It loads what plugins need, then forks the worker; nothing secret has arrived yet.
2. It makes itself undumpable: the worker, which has the same uid, can then neither open its
   descriptors through /proc nor trace it.
3. It writes READY and reads one request from stdin. The worker gets everything but the nonce.
4. It takes one answer from the result pipe, and stdout and stderr from theirs, all bounded; if
   the request asked for it, these are told as they come, without ever waiting for the runner.
5. It writes one response with the nonce, kills every process, and exits when stdin ends, which
   is when the runner has answered its caller, or soon.

Anything that it does not expect ends the container without a response, which the runner reads as
a violation of the protocol. When stdin ends, the runner is gone, and so is the container.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import os
import resource
import select
import signal
import sys
import time
from typing import Any, NoReturn

from . import protocol, walk, wheelfinder, worker
from .live import Live, Outlet
from .meters import Meters

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
STACK_BYTES = 8 << 20
TICK_SECONDS = 0.05
LINGER_SECONDS = 1.0
"""The longest wait, after the response, for the runner to end the container. Its end costs the
host more processor time than the call did, and would take it from the answer to the caller."""
CHUNK = 1 << 16
TASK_FD = 3
ANSWER_FD = 4

EXIT_END_OF_INPUT = 70
EXIT_BAD_REQUEST = 71
EXIT_NOT_HIDDEN = 72

_libc = ctypes.CDLL(None, use_errno=True)


def _read(fd: int, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = os.read(fd, min(CHUNK, count - len(data)))
        if not chunk:
            os._exit(EXIT_END_OF_INPUT)
        data += chunk
    return bytes(data)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _become_worker(
    task: int, answer: int, stdout: int, stderr: int, null: int, walked: bytes
) -> NoReturn:
    """Give up what the supervisor has and run the task; only ever called in the child."""
    try:
        # lift them out of the way first, then put each in its place: 0 to 4, and nothing else
        lifted = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in (null, stdout, stderr, task, answer)]
        for number, fd in enumerate(lifted):
            os.dup2(fd, number)
        os.closerange(len(lifted), 256)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, STACK_BYTES))
        _make_first_victim()
        os.environ.clear()
        os.environ.update({"HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8"})  # noqa: S108
        for name in ("stdout", "stderr"):
            stream: Any = getattr(sys, name)
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        walk.along(wheelfinder.WheelLoader(walked))
        worker.run(TASK_FD, ANSWER_FD)
    finally:
        os._exit(77)


def _make_first_victim() -> None:
    """Let the kernel take the worker, never the supervisor, when memory or CPU run short."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:  # gVisor has no such file; there the whole container goes
        pass
    else:
        os.write(fd, b"1000")
        os.close(fd)
    os.nice(19)


class _Call:
    """One request, from the moment when it arrived to its response."""

    def __init__(self, header: tuple[Any, ...], pid: int, meters: Meters) -> None:
        self.wall = header[5] / 1000
        self.cpu_milliseconds = header[6] * 1000
        self.output_bytes = header[7]
        self.tag: bytes = header[9]
        self.nonce: bytes = header[10]
        self.live: Live | None = None
        self._pid = pid
        self._meters = meters
        self._answer = bytearray()
        self._logs = {0: bytearray(), 1: bytearray()}
        self._exit_code: int | None = None

    def _take_answer(self, data: bytes) -> int | None:
        """Add what the result pipe gave; return an ending once there is one."""
        self._answer += data
        size = protocol.ANSWER.size
        if len(self._answer) < size:
            return None
        ending, length = protocol.ANSWER.unpack(self._answer[:size])
        if ending not in (protocol.RESULT, protocol.EXCEPTION, protocol.RESULT_LIMIT):
            return protocol.BAD_ANSWER
        cap = self.output_bytes if ending == protocol.RESULT else protocol.MAX_ERROR
        if ending == protocol.RESULT_LIMIT or length > cap:
            return protocol.RESULT_LIMIT
        return int(ending) if len(self._answer) >= size + length else None

    def _take_log(self, which: int, data: bytes) -> int | None:
        room = self.output_bytes - len(self._logs[0]) - len(self._logs[1])
        self._logs[which] += data[:room]
        if self.live is not None:
            self.live.take(which, data[:room], time.monotonic())
        return protocol.OUTPUT_LIMIT if len(data) > room else None

    def _reap(self) -> None:
        """Collect every child that has ended; as PID 1 we get the orphans as well."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._exit_code = os.waitstatus_to_exitcode(status)

    def watch(self, stdin: int, answer: int, logs: tuple[int, int], wake: int) -> int:
        """Wait until the call has ended; return how."""
        end = time.monotonic() + self.wall
        watched = [stdin, answer, *logs, wake]
        for fd in watched:
            os.set_blocking(fd, False)
        while True:
            if self._exit_code is not None:
                return self._drain(answer, logs)
            now = time.monotonic()
            left = end - now
            if self.live is not None:
                self.live.tick(now)
            if left <= 0:
                self._drain(answer, logs)
                return protocol.WALL_LIMIT
            if self._meters.cpu() > self.cpu_milliseconds:
                self._drain(answer, logs)
                return protocol.CPU_LIMIT
            for fd in select.select(watched, [], [], min(left, TICK_SECONDS))[0]:
                if fd == wake:
                    os.read(wake, CHUNK)
                    self._reap()
                    continue
                data = os.read(fd, CHUNK)
                if fd == stdin:
                    os._exit(EXIT_BAD_REQUEST if data else EXIT_END_OF_INPUT)
                if not data:
                    watched.remove(fd)
                    continue
                ending = (
                    self._take_answer(data)
                    if fd == answer
                    else self._take_log(logs.index(fd), data)
                )
                if ending is not None:
                    if ending != protocol.OUTPUT_LIMIT:
                        self._drain(-1, logs)
                    return ending

    def _drain(self, answer: int, logs: tuple[int, int]) -> int:
        """Take what is already in the pipes, in bounds; return the ending that it makes."""
        ending: int | None = None
        for fd in (answer, *logs):
            while fd >= 0:
                try:
                    data = os.read(fd, CHUNK)
                except BlockingIOError:
                    break
                if not data:
                    break
                if fd == answer:
                    ending = self._take_answer(data)
                    if ending is not None:
                        break
                elif self._take_log(logs.index(fd), data) is not None:
                    break
        if ending is None:
            return protocol.BAD_ANSWER if self._answer else protocol.DIED
        return ending

    def log_frame(self, stream: int, left_out: int, data: bytes) -> bytes:
        """Return a frame with output for the runner."""
        header = protocol.LOG.pack(protocol.LOG_MAGIC, stream, len(data), left_out, self.tag)
        return header + data

    def response(self, ending: int) -> bytes:
        """Return the frame for the runner."""
        size = protocol.ANSWER.size
        payload = b""
        if ending in (protocol.RESULT, protocol.EXCEPTION):
            length = protocol.ANSWER.unpack(self._answer[:size])[1]
            payload = bytes(self._answer[size : size + length])
        stdout, stderr = bytes(self._logs[0]), bytes(self._logs[1])
        header = protocol.RESPONSE.pack(
            protocol.RESPONSE_MAGIC,
            ending,
            *_usage_first(self._meters, (len(payload), len(stdout), len(stderr), self._exit_code)),
            self.nonce,
        )
        return header + payload + stdout + stderr


def _usage_first(meters: Meters, parts: tuple[int, int, int, int | None]) -> tuple[int, ...]:
    """Return the middle of a response's header, in its order."""
    source, cpu, peak, killed, denied = meters.totals()
    top = 0xFFFFFFFF
    result, stdout, stderr, exit_code = parts
    numbers = (min(n, top) for n in (cpu, peak, killed, denied))
    return (source, result, stdout, stderr, exit_code or 0, *numbers)


def _forward(stdin: int, task: int, header: tuple[Any, ...]) -> None:
    """Hand the request's four parts, but not the nonce, to the worker as they come.

    The last part may be long in coming. A worker that did not live to take it has an exit code.
    """
    _, wheel, arguments, module, name, _, cpu, output, *_ = header
    with contextlib.suppress(BrokenPipeError):
        _write(task, protocol.TASK.pack(wheel, arguments, module, name, cpu, output))
    left = wheel + arguments + module + name
    while left:
        chunk = os.read(stdin, min(CHUNK, left))
        if not chunk:
            os._exit(EXIT_END_OF_INPUT)
        with contextlib.suppress(BrokenPipeError):
            _write(task, chunk)
        left -= len(chunk)
    os.close(task)


def _well_formed(header: tuple[Any, ...]) -> bool:
    magic, wheel, arguments, module, name, wall, cpu, output, flags, _, _ = header
    return bool(
        magic == protocol.REQUEST_MAGIC
        and 0 < wheel <= protocol.MAX_WHEEL
        and 0 < arguments <= protocol.MAX_ARGUMENTS
        and 0 < module <= protocol.MAX_NAME
        and 0 < name <= protocol.MAX_NAME
        and wall > 0
        and cpu > 0
        and 0 < output <= protocol.MAX_OUTPUT
        and flags in (0, protocol.LIVE)
    )


def main() -> NoReturn:
    """Be PID 1 for one call."""
    walked = _warm_up()
    stdin, stdout, null = os.dup(0), os.dup(1), os.open("/dev/null", os.O_RDWR)
    task_read, task_write = os.pipe()
    answer_read, answer_write = os.pipe()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    wake_read, wake_write = os.pipe()
    # PID 1 ignores, from inside its namespace, every signal that it has no handler for
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        _become_worker(task_read, answer_write, out_write, err_write, null, walked)
    meters = Meters()
    for fd in (task_read, answer_write, out_write, err_write):
        os.close(fd)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    if _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        os._exit(EXIT_NOT_HIDDEN)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    _write(stdout, protocol.READY)
    header = protocol.REQUEST.unpack(_read(stdin, protocol.REQUEST.size))
    if not _well_formed(header):
        os._exit(EXIT_BAD_REQUEST)
    meters.begin()
    call = _Call(header, pid, meters)
    _forward(stdin, task_write, header)
    outlet = Outlet(stdout)
    if header[8] == protocol.LIVE:
        call.live = Live(outlet, call.log_frame)
    ending = call.watch(stdin, answer_read, (out_read, err_read), wake_read)
    frame = call.response(ending)
    outlet.finish(frame)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    select.select([stdin], [], [], LINGER_SECONDS)
    os._exit(0)


def _warm_up() -> bytes:
    """Import what nearly every plugin imports, and walk the worker's road; return what it takes."""
    wheel = walk.wheel()
    walk.along(wheelfinder.WheelLoader(wheel))
    gc.freeze()
    gc.enable()
    return wheel
