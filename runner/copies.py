"""Copies of the audit records: JSON lines on stdout and in the rotating `entrypoint.log`.

The log is the truth; copies are for people and for log shippers. They are written by a thread of
their own after a record is durable, so that a full pipe or disk never holds up a call; what cannot
be written is counted. Each line is the record's exact bytes.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

ROTATE_BYTES = 16 << 20
KEPT_FILES = 8
QUEUE_LINES = 20_000
GATHER_SECONDS = 0.02
"""How long the first line waits for others: a call that has just become durable goes on first, and
many lines are one write."""

_logger = logging.getLogger(__name__)


class Copy(Protocol):
    """A place that takes lines."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, each without its newline. May raise OSError or ValueError."""


class StandardOutput:
    """The process's stdout."""

    def write(self, lines: Sequence[bytes]) -> None:
        sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))
        sys.stdout.buffer.flush()


class RotatingFile:
    """A file that is renamed to .1, .2, ... when it is full; safe for several processes."""

    def __init__(self, path: Path, max_bytes: int = ROTATE_BYTES, kept: int = KEPT_FILES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._kept = kept

    def write(self, lines: Sequence[bytes]) -> None:
        data = b"".join(line + b"\n" for line in lines)
        lock = os.open(self._numbered("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.path.exists() and self.path.stat().st_size + len(data) > self._max_bytes:
                self._rotate()
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            with os.fdopen(os.open(self.path, flags, 0o600), "wb") as file:
                file.write(data)
        finally:
            os.close(lock)

    def _numbered(self, suffix: object) -> Path:
        return self.path.with_name(f"{self.path.name}.{suffix}")

    def _rotate(self) -> None:
        for number in range(self._kept, 0, -1):
            source = self.path if number == 1 else self._numbered(number - 1)
            if source.exists():
                source.replace(self._numbered(number))


class Copier:
    """Writes lines to every copy, in order, in a thread of its own."""

    def __init__(self, copies: Sequence[Copy]) -> None:
        self._copies = copies
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_LINES)
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="audit-copies", daemon=True)
        self._thread.start()

    def put(self, lines: Sequence[bytes]) -> None:
        """Take lines without waiting; what does not fit in the queue is counted as lost."""
        for line in lines:
            try:
                self._queue.put_nowait(line)
            except queue.Full:
                self.lost += 1

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued and end the thread, within `timeout` seconds."""
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            time.sleep(GATHER_SECONDS)
            lines = [line]
            ended = False
            while not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    ended = True
                    break
                lines.append(more)
            for copy in self._copies:
                try:
                    copy.write(lines)
                except (OSError, ValueError) as error:
                    self.lost += len(lines)
                    _logger.warning("a copy of the audit log failed: %s", error)
            if ended:
                return
