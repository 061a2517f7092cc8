"""The audit trail, fail-closed: a record is on disk before what it allows happens.

Group commit: one writer thread takes what many calls have queued, appends it in one transaction
with one fsync, and wakes each caller; nobody is told "durable" before their own record is.

Anything in the way of that - a full disk, a locked, removed or replaced database, a writer that
does not answer in time - is `AuditUnavailable`, and the caller must not go on. Records that are
owed (the outcome of a call whose outcome could not be written) are appended before any other as
soon as the log works again.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.copies import Copier, Copy, FilesThread
from runner.copy_files import CopyFiles
from runner.receipts import make_receipt
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.log import MAX_ENTRY_BYTES, LogUnavailable, MerkleLog, NoteSigner
from trust.log.tail import Tail

APPEND_SECONDS = 10.0
"""How long a call waits for its record."""
MAX_BATCH = 512
MAX_OWED = 10_000
RETRY_SECONDS = 1.0
GATHER_SECONDS = 0.02
"""How long durable records wait for others before they are handed to who copies them: the calls
they belong to go on first, and many lines are one write."""

_logger = logging.getLogger(__name__)

Record = Mapping[str, Any]


class AuditUnavailable(SealgateError):
    """The record is not known to be durable: what it was to allow must not happen."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A durable record: its index in the log, its exact bytes, and what proves that it is there."""

    index: int
    entry: bytes
    tail: Tail = field(repr=False)


class _Waiting:
    """A record on its way; `done` is locked until it is answered."""

    __slots__ = ("answered", "done", "entry", "error", "given_up", "if_late", "recorded")

    def __init__(self, entry: bytes, if_late: Callable[[int], Record] | None) -> None:
        self.entry = entry
        self.if_late = if_late
        # a bare lock wakes its one waiter with less work than an event
        self.done = threading.Lock()
        self.done.acquire()
        self.answered = False
        self.recorded: Recorded | None = None
        self.error: Exception | None = None
        self.given_up = False


def _unavailable(what: str, value: object) -> AuditUnavailable:
    return AuditUnavailable(
        problem(
            "audit.unavailable",
            f"the audit log cannot take the record: {what}",
            value=value,
            expected="a record that is durable",
            advice="try again later; the operator should look at the audit log's disk",
        )
    )


class Appending:
    """A record that is being appended; for one thread."""

    def __init__(self, waiting: _Waiting, lock: threading.Lock, seconds: float) -> None:
        self._waiting = waiting
        self._lock = lock
        self._end = time.monotonic() + seconds
        self._seconds = seconds

    def wait(self) -> Recorded:
        """Return once the record is on disk; may be asked again.

        Raises:
            AuditUnavailable: it is not, or was not in time.
        """
        waiting = self._waiting
        if not waiting.answered and not waiting.given_up:
            waiting.done.acquire(timeout=max(0.0, self._end - time.monotonic()))
        with self._lock:
            if not waiting.answered or waiting.given_up:
                waiting.given_up = True
                raise _unavailable("it does not answer in time", f"{self._seconds} s")
        if waiting.recorded is None:
            error = waiting.error
            raise _unavailable("it failed", error) from error
        return waiting.recorded


def encode(record: Record) -> bytes:
    """Return the record's bytes; problems that do not fit are cut, the rest always fits."""
    entry = strictjson.dumps(record)
    if len(entry) > MAX_ENTRY_BYTES:
        entry = strictjson.dumps({**record, "problems": list(record["problems"])[:5]})
    return entry


class Audit:
    """The one writer of this process to the audit log; its methods may be called by any thread."""

    def __init__(
        self,
        path: Path,
        signer: NoteSigner,
        copies: Sequence[Copy] = (),
        *,
        files: CopyFiles | None = None,
        append_seconds: float = APPEND_SECONDS,
    ) -> None:
        """Open the log and start the writer.

        Args:
            path: the log's database.
            signer: signs the checkpoints.
            copies: further places for each record.
            files: files that have every record too.
            append_seconds: how long `append` waits.

        Raises:
            LogError: the log cannot be opened, or is damaged.
        """
        self.path = path
        self.verifier = signer.verifier
        self._append_seconds = append_seconds
        self._log = MerkleLog(path, signer)
        self.reader = MerkleLog(path, signer)
        self._files = _Files(path)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._owed: list[bytes] = []
        self._uncopied: list[bytes] = []
        self._copies_due = math.inf
        self._lock = threading.Lock()
        self._closed = False
        self._copier = Copier(copies)
        self._copied = FilesThread(files, MerkleLog(path, None)) if files else None
        self._writer = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._writer.start()

    def append(self, record: Record) -> Recorded:
        """Append a record and return once it is on disk.

        Args:
            record: valid against `audit.schema.json`.

        Raises:
            AuditUnavailable: it is not, or not in time.
        """
        return self.begin(record).wait()

    def begin(self, record: Record, *, if_late: Callable[[int], Record] | None = None) -> Appending:
        """Begin to append a record. It counts for nothing until `wait` has returned.

        Args:
            record: valid against `audit.schema.json`.
            if_late: makes the record that is owed if this one becomes durable after its caller
                gave up waiting; it is given the late record's index.

        Raises:
            AuditUnavailable: the log is closed.
        """
        waiting = _Waiting(encode(record), if_late)
        with self._lock:
            if self._closed:
                raise _unavailable("it is closed", self.path)
            self._queue.put(waiting)
        return Appending(waiting, self._lock, self._append_seconds)

    def owe(self, record: Record) -> None:
        """Have a record appended as soon as the log works, before any other; never waits."""
        with self._lock:
            if len(self._owed) < MAX_OWED:
                self._owed.append(encode(record))
            else:
                _logger.error("too many audit records are owed; one is dropped")

    @property
    def owed(self) -> int:
        """How many records wait for the log to work again."""
        with self._lock:
            return len(self._owed)

    @property
    def lost_copies(self) -> int:
        """How many lines could not be copied to stdout."""
        return self._copier.lost

    @property
    def behind(self) -> bool:
        """Whether `entrypoint.log` cannot be written now; what is missing is written later."""
        return self._copied is not None and self._copied.behind

    def receipt(self, recorded: Recorded) -> dict[str, Any]:
        """Return the receipt of a durable record, against the checkpoint that it was written with.

        Raises:
            AuditUnavailable: none can be made.
        """
        try:
            return make_receipt(recorded.tail.receipt(recorded.index), recorded.entry)
        except (SealgateError, LookupError) as error:
            raise _unavailable("no receipt can be made", error) from error

    def check(self) -> None:
        """Check, for a readiness probe, that the log is there and has room for a record.

        Raises:
            AuditUnavailable: it is not.
        """
        try:
            self._files.check()
            stat = os.statvfs(self.path.parent)
            size = self.reader.size
        except (OSError, SealgateError) as error:
            raise _unavailable("it cannot be read", error) from error
        if stat.f_bavail * stat.f_frsize < 4 * MAX_ENTRY_BYTES:
            raise _unavailable("its disk is full", f"{stat.f_bavail * stat.f_frsize} bytes left")
        if self.owed:
            raise _unavailable("records are owed", f"{self.owed} after {size}")

    def close(self, timeout: float = 10.0) -> None:
        """Append what is queued, end the threads, and close the log."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._writer.join(timeout)
        self._copier.close()
        if self._copied is not None:
            self._copied.close()
        self._log.close()
        self.reader.close()

    def _take(self) -> tuple[list[_Waiting], bool]:
        due = self._copies_due - time.monotonic()
        try:
            first = self._queue.get(timeout=max(0.0, min(due, RETRY_SECONDS)))
        except queue.Empty:
            return [], False
        batch: list[_Waiting] = []
        while first is not None:
            batch.append(first)
            if len(batch) == MAX_BATCH:
                return batch, False
            try:
                first = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._take()
            if time.monotonic() >= self._copies_due:
                self._hand_to_copies()
            with self._lock:
                batch = [waiting for waiting in batch if not waiting.given_up]
                owed = list(self._owed)
            if not batch and not owed:
                continue
            try:
                entries = owed + [waiting.entry for waiting in batch]
                self._files.check()
                start = self._log.append_many(entries).start
                self._files.check()
                tail = self._log.tail
                if tail is None:
                    raise RuntimeError("an append without a tail")
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing is durable
                _logger.error("the audit log failed: %s", error)
                self._failed(batch, error)
                if not batch:
                    time.sleep(RETRY_SECONDS)
                continue
            with self._lock:
                del self._owed[: len(owed)]
            self._answer(batch, start + len(owed), tail)
            if not self._uncopied:
                self._copies_due = time.monotonic() + GATHER_SECONDS
            self._uncopied += entries
        self._hand_to_copies()

    def _hand_to_copies(self) -> None:
        entries, self._uncopied = self._uncopied, []
        self._copies_due = math.inf
        if not entries:
            return
        self._copier.put(entries)
        if self._copied is not None:
            self._copied.note()

    def _failed(self, batch: list[_Waiting], error: Exception) -> None:
        with self._lock:
            for waiting in batch:
                waiting.error = error
                waiting.answered = True
                waiting.done.release()

    def _answer(self, batch: list[_Waiting], start: int, tail: Tail) -> None:
        late = []
        with self._lock:
            for index, waiting in enumerate(batch, start):
                waiting.recorded = Recorded(index, waiting.entry, tail)
                waiting.answered = True
                if waiting.given_up and waiting.if_late is not None:
                    late.append(waiting.if_late(index))
        for waiting in batch:
            waiting.done.release()
        for record in late:
            self.owe(record)


class _Files:
    """The identity of the log's files: SQLite goes on writing to a file that was removed."""

    def __init__(self, path: Path) -> None:
        self._paths = (str(path), f"{path}-wal")
        self._known: dict[str, tuple[int, int]] = {}
        self.check()

    def check(self) -> None:
        """Raise LogUnavailable if a file is no longer the one that was opened."""
        for path in self._paths:
            try:
                stat = os.stat(path)  # noqa: PTH116 - twice each call: without the wrapper
            except OSError as error:
                if path in self._known or path == self._paths[0]:
                    raise self._gone(path, error) from error
                continue
            found = (stat.st_dev, stat.st_ino)
            if self._known.setdefault(path, found) != found:
                raise self._gone(path, "another file stands in its place")

    def _gone(self, path: str, error: object) -> LogUnavailable:
        return LogUnavailable(
            problem(
                "audit.removed",
                "the audit log's file was removed or replaced while the runner was running",
                value=f"{path}: {error}",
                expected="the file that was opened at the start",
                advice="stop the runner, put the file back, run `sealgate audit verify`, then "
                "start it again",
            )
        )
