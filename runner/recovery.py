"""What a runner learns from its audit log when it starts.

- Calls that were admitted and have no outcome, by a runner process that is dead: each gets the
  outcome `interrupted`. A process lives as long as it holds the lock of its file in `instances/`,
  which the kernel frees however it dies; so two runners may share one log.
- Which digest each admitted name and version has (`runner.admission` keeps to it).
- Whether the log is still the one it was: its last checkpoint is kept beside it, and a log that
  was cut short, replaced or rewritten since is refused.

What was learned is kept in `audit-index.json` with the size and root it was learned at, so that
only what came later is read again; the file may be deleted at any time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import records
from runner.audit import Audit
from runner.clock import Clock
from runner.records import Origin
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.log import Checkpoint, MerkleLog, NoteVerifier

CHUNK = 1000
MAX_INDEX_BYTES = 256 << 20


class LogRolledBack(SealgateError):
    """The audit log is not the one, or no longer has what, this runner wrote before."""


@dataclass(slots=True)
class Learned:
    """What the first `size` entries of a log say.

    Attributes:
        size: entries that were read.
        open: request id -> (index, record) of admitted calls without an outcome.
        bindings: (plugin, version) -> wheel digest, the first one that was admitted.
    """

    size: int = 0
    open: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    bindings: dict[tuple[str, str], str] = field(default_factory=dict)

    def take(self, index: int, entry: bytes) -> None:
        """Learn from one more entry."""
        record = strictjson.loads(entry)
        if not isinstance(record, dict):
            record = {}
        if record.get("type") == "decision" and record.get("decision") == "admitted":
            self.open[record["request_id"]] = (index, record)
            self.bindings.setdefault((record["plugin"], record["version"]), record["wheel_sha256"])
        elif record.get("type") == "outcome":
            self.open.pop(record["request_id"], None)
        self.size = index + 1

    def catch_up(self, log: MerkleLog) -> None:
        """Read what the log has beyond `size`."""
        end = log.size
        while self.size < end:
            start = self.size
            for offset, entry in enumerate(log.entries(start, min(CHUNK, end - start))):
                self.take(start + offset, entry)

    def save(self, path: Path, log: MerkleLog) -> None:
        """Write the index file, atomically."""
        document = {
            "size": self.size,
            "root": log.root(self.size).hex(),
            "open": [[index, record] for index, record in self.open.values()],
            "bindings": [[*key, digest] for key, digest in self.bindings.items()],
        }
        _write(path, strictjson.dumps(document))

    @classmethod
    def load(cls, path: Path, log: MerkleLog) -> Learned:
        """Read the index file; an empty index if it is not one of this log."""
        try:
            document = strictjson.loads(path.read_bytes(), max_bytes=MAX_INDEX_BYTES)
            size = int(document["size"])
            if not 0 <= size <= log.size or log.root(size).hex() != document["root"]:
                return cls()
            return cls(
                size,
                {record["request_id"]: (index, record) for index, record in document["open"]},
                {(name, version): digest for name, version, digest in document["bindings"]},
            )
        except (OSError, SealgateError, KeyError, TypeError, ValueError):
            return cls()


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)


class Instance:
    """The lock that says that this runner process lives."""

    def __init__(self, state: Path, runner_id: str) -> None:
        folder = state / "instances"
        folder.mkdir(mode=0o700, exist_ok=True)
        self.path = folder / f"{runner_id}.lock"
        # Under the recovery lock: nobody takes the new file for one of the dead meanwhile.
        with _locked(state / "recovery.lock"):
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        """Say that the process is done; its file goes."""
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_dead(folder: Path, runner_id: str) -> bool:
    try:
        descriptor = os.open(folder / f"{runner_id}.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def recover(audit: Audit, origin: Origin, clock: Clock, state: Path) -> Learned:
    """Learn from the log, and give every interrupted call its outcome.

    Args:
        audit: the open log.
        origin: of this runner, whose own calls are never interrupted.
        clock: the time.
        state: the runner's state folder.

    Raises:
        AuditUnavailable: an outcome could not be recorded.
        LogError: the log cannot be read.
    """
    folder = state / "instances"
    folder.mkdir(mode=0o700, exist_ok=True)
    with _locked(state / "recovery.lock"):
        learned = Learned.load(state / "audit-index.json", audit.reader)
        learned.catch_up(audit.reader)
        dead: dict[str, bool] = {origin.runner_id: False}
        for index, record in list(learned.open.values()):
            owner = str(record["runner_id"])
            if owner not in dead:
                dead[owner] = _is_dead(folder, owner)
            if dead[owner]:
                audit.append(records.interrupted(origin, record, index, clock.now()))
        for path in folder.glob("*.lock"):
            if path.stem != origin.runner_id and _is_dead(folder, path.stem):
                path.unlink(missing_ok=True)
        learned.catch_up(audit.reader)
        learned.save(state / "audit-index.json", audit.reader)
    return learned


def check_not_rolled_back(log: MerkleLog, verifier: NoteVerifier, path: Path) -> None:
    """Check that the log extends the checkpoint that was kept at `path`, if there is one.

    Raises:
        LogRolledBack: it does not.
    """
    try:
        kept = Checkpoint.verify(path.read_text(encoding="utf-8"), verifier)
        if log.size < kept.size or log.root(kept.size) != kept.root:
            raise LogRolledBack(
                problem(
                    "audit.rolled-back",
                    "the audit log is not the one this runner wrote",
                    value=f"{log.size} entries",
                    expected=f"a log that extends the checkpoint of {kept.size} entries in {path}",
                    advice="put the log back from a backup; to begin a new log on purpose, move "
                    "both files away and keep them",
                )
            )
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise LogRolledBack(
            problem(
                "audit.checkpoint",
                "the kept checkpoint of the audit log cannot be read",
                value=f"{path}: {error}",
                expected="a checkpoint that this log's key signed",
                advice="put the file back from a backup",
            )
        ) from error


def keep_checkpoint(log: MerkleLog, path: Path) -> None:
    """Keep the log's present checkpoint at `path`, for the next start."""
    note = log.head().note
    if note:
        _write(path, note.encode())
