"""One cell, as PID 1 sees it: its pipes, what has come out of them, and how its call ended.

Whatever a cell writes is a plugin's. It is counted, cut and passed on, never read into.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import time
from typing import Any

from . import cell_meter, cell_protocol, protocol
from .live import Live, Outlet

CHUNK = 1 << 16
TOP = 0xFFFFFFFF


class Call:
    """What PID 1 must know of a call while it runs."""

    def __init__(self, header: tuple[Any, ...]) -> None:
        """Take the fields of `cell_protocol.CALL`, checked by `well_formed`."""
        _, self.number, self.length, self.module, self.name, wall, flags = header[:7]
        self.tag, self.nonce = header[7:]
        self.live = flags == protocol.LIVE
        self.names = b""
        self.arguments: bytes | None = None
        """None until it may begin."""
        self.end = math.inf
        self._seconds = wall / 1000

    def go(self, arguments: bytes) -> None:
        """Let it begin, and its wall clock."""
        self.arguments = arguments
        self.end = time.monotonic() + self._seconds

    def never_begun(self) -> bytes:
        """Return the response to a call that was cancelled while it waited for a cell."""
        return cell_protocol.RESPONSE.pack(
            cell_protocol.RESPONSE_MAGIC, self.number, cell_protocol.STOPPED, *[0] * 8, self.nonce
        )

    @staticmethod
    def well_formed(header: tuple[Any, ...]) -> bool:
        """Whether every field is in its bounds."""
        magic, _, arguments, module, name, wall, flags, _, _ = header
        return bool(
            magic == cell_protocol.CALL_MAGIC
            and 0 < arguments <= protocol.MAX_ARGUMENTS
            and 0 < module <= protocol.MAX_NAME
            and 0 < name <= protocol.MAX_NAME
            and wall > 0
            and flags in (0, protocol.LIVE)
        )

    def log_frame(self, stream: int, left_out: int, data: bytes) -> bytes:
        """Return a frame with output for the runner."""
        header = cell_protocol.LOG.pack(
            cell_protocol.LOG_MAGIC, self.number, stream, len(data), left_out, self.tag
        )
        return header + data


class Cell:
    """A cell, from its birth to its end; it takes one call."""

    def __init__(
        self, serial: int, pid: int, ends: list[int], output_bytes: int, proc: int
    ) -> None:
        """Take the number, the PID, a PID descriptor, PID 1's ends of the pipes, and /proc."""
        self.serial = serial
        self.pid = pid
        self._handle, self.task, self.answer, *self.logs = ends
        self.open = set(ends)
        self._meter = cell_meter.Meter(proc, pid)
        self.ready = False
        self.call: Call | None = None
        self.live: Live | None = None
        self.report: tuple[int, int, int] | None = None
        """Exit code, CPU microseconds and peak KiB, once the cell has been reaped."""
        self.peak = 0
        self._output_bytes = output_bytes
        self._answer = bytearray()
        self._out = [bytearray(), bytearray()]
        for fd in (self.answer, *self.logs):
            os.set_blocking(fd, False)

    def kill(self) -> None:
        """End the cell; the kernel ends everything in its PID namespace with it."""
        if self.report is None:
            # what is dead and not yet reported is no other process: the descriptor says which
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def close(self) -> None:
        """Give every descriptor back."""
        for fd in self.open:
            os.close(fd)
        self.open.clear()
        self._meter.close()

    def announced(self) -> tuple[int, int] | None:
        """Read what the cell says of itself before it has seen a plugin: failed step and errno.

        None: it has not said all of it yet.
        """
        size = cell_protocol.ANNOUNCE.size
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.answer, size - len(self._answer))
            if not data:
                return -1, 0
            self._answer += data
        if len(self._answer) < size:
            return None
        magic, step, number = cell_protocol.ANNOUNCE.unpack(self._answer)
        self._answer.clear()
        if magic != cell_protocol.ANNOUNCE_MAGIC:
            return -1, 0
        self.ready = step == 0
        return step, number

    def begin(self, call: Call, outlet: Outlet) -> None:
        """Send what the call is of, and its arguments if they are there; what it writes goes to
        `outlet` as it comes, if that is wanted.
        """
        self.call = call
        if call.live:
            self.live = Live(outlet, call.log_frame)
        self._send(cell_protocol.TASK.pack(call.length, call.module, call.name) + call.names)

    def go(self) -> None:
        """Send the call's arguments, which are there."""
        self._send(b"")

    def _send(self, data: bytes) -> None:
        arguments = None if self.call is None else self.call.arguments
        self._hand_over(data + (arguments or b""))
        if arguments is not None:
            os.close(self.task)
            self.open.discard(self.task)

    def _hand_over(self, data: bytes) -> None:
        view = memoryview(data)
        # a cell that is no more has its report on the way
        with contextlib.suppress(BrokenPipeError):
            while view:
                view = view[os.write(self.task, view) :]

    def _take_answer(self, data: bytes) -> int | None:
        self._answer += data
        size = protocol.ANSWER.size
        if len(self._answer) < size:
            return None
        ending, length = protocol.ANSWER.unpack(self._answer[:size])
        if ending not in (protocol.RESULT, protocol.EXCEPTION, protocol.RESULT_LIMIT):
            return protocol.BAD_ANSWER
        cap = self._output_bytes if ending == protocol.RESULT else protocol.MAX_ERROR
        if ending == protocol.RESULT_LIMIT or length > cap:
            return protocol.RESULT_LIMIT
        return int(ending) if len(self._answer) >= size + length else None

    def _take_log(self, which: int, data: bytes) -> int | None:
        room = self._output_bytes - len(self._out[0]) - len(self._out[1])
        self._out[which] += data[:room]
        if self.live is not None:
            self.live.take(which, data[:room], time.monotonic())
        return protocol.OUTPUT_LIMIT if len(data) > room else None

    def take(self, fd: int) -> int | None:
        """Read once from a pipe that has something; return an ending once there is one."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return None
        if not data:
            os.close(fd)
            self.open.discard(fd)
            return None
        if fd == self.answer:
            return self._take_answer(data)
        return self._take_log(self.logs.index(fd), data)

    def drain(self, ending: int | None) -> int:
        """Take what is left in the pipes, in bounds, and return how the call ended."""
        fds = self.logs if ending is not None else [self.answer, *self.logs]
        if ending == protocol.OUTPUT_LIMIT:
            fds = []
        waiting = select.poll()
        for fd in self.open.intersection(fds):
            waiting.register(fd, select.POLLIN)
        said = {fd for fd, _ in waiting.poll(0)}
        for fd in fds:
            while fd in said:
                try:
                    data = os.read(fd, CHUNK)
                except BlockingIOError:
                    break
                if not data:
                    break
                if fd == self.answer:
                    ending = self._take_answer(data)
                    if ending is not None:
                        break
                elif self._take_log(self.logs.index(fd), data) is not None:
                    break
        if ending is None:
            return protocol.BAD_ANSWER if self._answer else protocol.DIED
        return ending

    def response(self, ending: int, killed: int) -> bytes:
        """Return the frame for the runner; no cell answers for processes that were denied."""
        if self.call is None:
            raise ValueError("a cell without a call")
        size = protocol.ANSWER.size
        payload = b""
        if ending in (protocol.RESULT, protocol.EXCEPTION):
            length = protocol.ANSWER.unpack(self._answer[:size])[1]
            payload = bytes(self._answer[size : size + length])
        if self.report is not None:
            code, micros, peak = self.report
        else:
            code, (micros, peak) = 0, self._meter.read()
        stdout, stderr = map(bytes, self._out)
        header = cell_protocol.RESPONSE.pack(
            cell_protocol.RESPONSE_MAGIC,
            self.call.number,
            ending,
            len(payload),
            len(stdout),
            len(stderr),
            code,
            *(min(n, TOP) for n in (micros, max(peak, self.peak), killed, 0)),
            self.call.nonce,
        )
        return header + payload + stdout + stderr
