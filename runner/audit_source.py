"""Where an auditor reads records from: the log's database, or an export. Read-only, both.

Nothing here is believed: what is read is recomputed by `runner.audit_verify`.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trust import strictjson
from trust.errors import SealgateError, problem
from trust.log import MerkleLog, Receipt

RECORDS = "records.jsonl"
CHECKPOINT = "checkpoint"
PARTIAL = "partial"
"""An empty file that says that an export has only some of the records."""
MAX_LINE = 1 << 20


class SourceUnreadable(SealgateError):
    """The place is not an audit log or an export of one."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry as it was found.

    Attributes:
        index: its place in the log.
        entry: its bytes.
        leaf: the leaf hash that stands beside it, if there is one.
        proof: its inclusion proof in the source's checkpoint, only in exports.
    """

    index: int
    entry: bytes
    leaf: bytes | None = None
    proof: tuple[bytes, ...] | None = None


class Source(Protocol):
    """Records and the checkpoint over them."""

    name: str
    checkpoint: str
    """The signed note; "" for an empty log."""
    partial: bool
    """Whether it says of itself that it has only some of the log's records."""

    def items(self) -> Iterator[Item]:
        """Yield the entries in order."""


def _unreadable(path: Path, value: object, expected: str) -> SourceUnreadable:
    return SourceUnreadable(
        problem(
            "audit.unreadable",
            "the audit log cannot be read",
            value=f"{path}: {value}",
            expected=expected,
            advice="name the log's database, or a folder that `sealgate audit export` made",
        )
    )


class DatabaseSource:
    """The log's database, through one read transaction of its own connection."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.name = str(path)
        self.partial = False
        self._path = path
        self._db = db
        try:
            db.execute("BEGIN")
            row = db.execute("SELECT note FROM head").fetchone()
        except sqlite3.Error as error:
            raise _unreadable(path, error, "an audit log") from error
        self.checkpoint: str = row[0] if row else ""

    def items(self) -> Iterator[Item]:
        try:
            rows = self._db.execute(
                "SELECT entry.idx, entry.body, node.hash FROM entry LEFT JOIN node"
                " ON node.level = 0 AND node.idx = entry.idx ORDER BY entry.idx"
            )
            for index, body, leaf in rows:
                yield Item(index, bytes(body), None if leaf is None else bytes(leaf))
        except sqlite3.Error as error:
            raise _unreadable(self._path, error, "readable entries") from error


class ExportSource:
    """A folder that `write_export` wrote."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        try:
            self.checkpoint = (path / CHECKPOINT).read_text(encoding="utf-8")
            self.partial = (path / PARTIAL).exists()
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(path, error, f"a folder with {CHECKPOINT} and {RECORDS}") from error

    def items(self) -> Iterator[Item]:
        try:
            with (self._path / RECORDS).open("rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), 1):
                    yield self._item(number, line)
        except OSError as error:
            raise _unreadable(self._path, error, RECORDS) from error

    def _item(self, number: int, line: bytes) -> Item:
        try:
            data = strictjson.loads(line)
            receipt = Receipt.from_dict({**data, "checkpoint": self.checkpoint})
            entry = data["entry"].encode()
        except (SealgateError, TypeError, KeyError, AttributeError, binascii.Error) as error:
            raise _unreadable(
                self._path / RECORDS, f"line {number}: {error}", "one exported record a line"
            ) from error
        return Item(receipt.index, entry, receipt.leaf_hash, receipt.inclusion_proof)


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a database file or an export folder, read-only.

    Raises:
        SourceUnreadable: it is neither.
    """
    if path.is_dir():
        yield ExportSource(path)
        return
    if not path.is_file():
        raise _unreadable(path, "no such file", "an audit log")
    # A log whose writer has gone may lack the files beside it that a reader of a write-ahead
    # log needs; then nobody writes, and it is safe to call it immutable.
    wal = path.with_name(path.name + "-wal")
    mode = "mode=ro" if wal.exists() else "mode=ro&immutable=1"
    try:
        db = sqlite3.connect(
            f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=30, isolation_level=None
        )
    except sqlite3.Error as error:
        raise _unreadable(path, error, "a readable database") from error
    with closing(db):
        yield DatabaseSource(path, db)


def write_export(log: MerkleLog, folder: Path, indexes: Iterable[int] | None = None) -> int:
    """Write records with their proofs and the checkpoint into a new folder; return how many.

    Args:
        log: the log; its present head is what the proofs lead to.
        folder: made here.
        indexes: which entries; None for all, which also lets a verifier recompute the root.

    Raises:
        SourceUnreadable: the folder exists, or the log is empty.
        LogError: the log cannot be read.
    """
    head = log.head()
    if not head.note:
        raise _unreadable(folder, "the log is empty", "at least one record")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise _unreadable(folder, error, "a folder that does not exist yet") from error
    count = 0
    with (folder / RECORDS).open("w", encoding="utf-8") as file:
        for index in range(head.size) if indexes is None else indexes:
            proof = log.inclusion_proof(index, head.size)
            line: dict[str, Any] = {
                "index": index,
                "leaf_hash": base64.b64encode(log.leaf_hash(index)).decode(),
                "inclusion_proof": [base64.b64encode(digest).decode() for digest in proof],
                "entry": log.entry(index).decode(),
            }
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    (folder / CHECKPOINT).write_text(head.note, encoding="utf-8")
    if indexes is not None:
        (folder / PARTIAL).touch()
    return count
