"""What a plugin writes, told to the runner as it comes, beside the response that has all of it.

Nothing here ever waits for the runner: where the stream is full, output is left out, and the next
frame says how much. The response has it all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from . import protocol


class Outlet:
    """A pipe to the runner that takes whole frames, in order."""

    def __init__(self, fd: int) -> None:
        """Take the pipe; it is made non-blocking until `finish`."""
        self._fd = fd
        self._backlog = bytearray()

    def offer(self, frame: bytes) -> bool:
        """Take a frame for which there is room; return whether it was taken. Never waits."""
        if len(self._backlog) + len(frame) > protocol.MAX_BACKLOG:
            return False
        self._backlog += frame
        self.pump()
        return True

    def pump(self) -> None:
        """Write what the pipe takes now."""
        if not self._backlog:
            return
        os.set_blocking(self._fd, False)
        try:
            while self._backlog:
                del self._backlog[: os.write(self._fd, self._backlog[: 1 << 16])]
        except BlockingIOError:
            pass
        finally:
            os.set_blocking(self._fd, True)

    def finish(self, frame: bytes) -> None:
        """Write what is left, and then this frame, however long that takes."""
        os.set_blocking(self._fd, True)  # without an engine, stdin and stdout are one socket
        view = memoryview(bytes(self._backlog) + frame)
        self._backlog.clear()
        while view:
            view = view[os.write(self._fd, view) :]


class Live:
    """The output of one call on its way: gathered a little, then put in frames."""

    def __init__(self, outlet: Outlet, pack: Callable[[int, int, bytes], bytes]) -> None:
        """Take the pipe, and who makes a frame of (stream, bytes left out before it, data)."""
        self._outlet = outlet
        self._pack = pack
        self._pending = (bytearray(), bytearray())
        self._left_out = [0, 0]
        self._due = 0.0

    def take(self, stream: int, data: bytes, now: float) -> None:
        """Take what the plugin wrote, 0: to stdout, 1: to stderr; at most one pipe's read."""
        self._pending[stream].extend(data)
        if len(self._pending[stream]) >= protocol.LOG_BYTES:
            self._flush(now)
        else:
            self.tick(now)

    def tick(self, now: float) -> None:
        """Send what has waited long enough."""
        if now >= self._due:
            self._flush(now)
        self._outlet.pump()

    def _flush(self, now: float) -> None:
        self._due = now + protocol.LOG_SECONDS
        for stream, pending in enumerate(self._pending):
            if not pending:
                continue
            if self._outlet.offer(self._pack(stream, self._left_out[stream], bytes(pending))):
                self._left_out[stream] = 0
            else:
                self._left_out[stream] += len(pending)
            pending.clear()
