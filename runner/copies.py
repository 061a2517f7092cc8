"""Copies of the audit records: JSON lines on stdout, and in the rotating `entrypoint.log`.

The log is the truth; copies are for people and for log shippers. They are written by threads of
their own after a record is durable, so that a full pipe or disk never holds up a call. What cannot
be written to stdout is counted; the file is made from the log (`runner.copy_files`), and what
cannot be written now is written later. Each line is the record's exact bytes.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Sequence
from typing import Protocol

from runner.copy_files import CopyFiles
from trust.errors import SealgateError
from trust.log import MerkleLog

QUEUE_LINES = 20_000
RETRY_SECONDS = 1.0
"""How long the file waits after it could not be written."""

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


class FilesThread:
    """Keeps the files of a log, in a thread of its own."""

    def __init__(self, files: CopyFiles, log: MerkleLog, retry: float = RETRY_SECONDS) -> None:
        """Take the files, the log, which it alone reads from, and the pause after a failure."""
        self._files = files
        self._log = log
        self._retry = retry
        self._new = threading.Event()
        self._closed = threading.Event()
        self.behind = False
        """Whether the last turn failed: the files have less than the log."""
        self._new.set()
        self._thread = threading.Thread(target=self._run, name="audit-files", daemon=True)
        self._thread.start()

    def note(self) -> None:
        """Say that the log has more; never waits."""
        self._new.set()

    def close(self, timeout: float = 5.0) -> None:
        """Write what there is and end the thread, within `timeout` seconds."""
        self._closed.set()
        self._new.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._new.wait()
            self._new.clear()
            closed = self._closed.is_set()
            try:
                self._files.catch_up(self._log.entries, lambda: self._log.size)
                self.behind = False
            except (OSError, SealgateError) as error:
                if not self.behind:
                    _logger.warning("the audit log's files cannot be written: %s", error)
                self.behind = True
                self._closed.wait(self._retry)
                self._new.set()
            if closed:
                self._log.close()
                return
