"""The full re-check of a log: the tree is computed anew from the entries alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from trust.errors import Problem, problem
from trust.log.errors import NoteRefused, damage
from trust.log.hashing import empty_root, leaf_hash
from trust.log.head import TreeHead
from trust.log.note import Checkpoint, NoteVerifier
from trust.log.tree import Growing
from trust.outcomes import Failed, Incomplete, Passed

Checked: TypeAlias = Passed[TreeHead] | Failed | Incomplete

_BATCH = 1024


class _Damage(Exception):
    def __init__(self, found: Problem) -> None:
        super().__init__(found.what)
        self.problem = found


def _damage(what: str, value: object, expected: str, where: str) -> _Damage:
    return _Damage(damage(what, value, expected, where))


def check(
    db: sqlite3.Connection,
    verifier: NoteVerifier | None,
    witnessed: Sequence[Checkpoint] = (),
) -> Checked:
    """Recompute everything inside one read transaction, in memory O(log n).

    Args:
        db: a connection without an open transaction.
        verifier: the log's key; without it the checkpoint's signature is not checked.
        witnessed: checkpoints of this log kept elsewhere, whose signatures are already checked;
            a log that was cut back or rewritten since does not lead to them.

    Returns:
        `Passed` with the head; `Failed` with the first entry or node that disagrees; or
        `Incomplete` if the database could not be read to its end.
    """
    try:
        db.execute("BEGIN")
        try:
            return Passed(_recompute(db, verifier, witnessed))
        finally:
            db.execute("ROLLBACK")
    except _Damage as found:
        return Failed((found.problem,))
    except NoteRefused as refused:
        return Failed(refused.problems)
    except (sqlite3.Error, OSError) as error:
        return _unread(error)


def verify_log(
    path: Path, verifier: NoteVerifier | None, witnessed: Sequence[Checkpoint] = ()
) -> Checked:
    """Re-check the log in the file `path`, which need not be fit to be opened for appending.

    Others may append meanwhile. See `check` for the other arguments and the outcomes.
    """
    try:
        uri = f"{path.resolve().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            db.execute("PRAGMA query_only = ON")
            db.execute("PRAGMA trusted_schema = OFF")
            return check(db, verifier, witnessed)
    except (sqlite3.Error, OSError) as error:
        return _unread(error)


def _unread(error: Exception) -> Failed | Incomplete:
    """A file that SQLite calls malformed is damaged; any other error leaves the check undone."""
    found = problem(
        "log.unavailable",
        "the log could not be read to its end",
        value=error,
        expected="a readable log",
        advice="check the disk and the file, then run the verification again",
    )
    return Failed((found,)) if type(error) is sqlite3.DatabaseError else Incomplete((found,))


def _recompute(
    db: sqlite3.Connection, verifier: NoteVerifier | None, witnessed: Sequence[Checkpoint]
) -> TreeHead:
    growing = Growing(0, ())
    levels: dict[int, Iterator[tuple[int, bytes]]] = {}
    roots = {size: growing.root() for size in (0,)}
    sizes = {checkpoint.size for checkpoint in witnessed}
    for index, body in db.execute("SELECT idx, body FROM entry ORDER BY idx"):
        if index != growing.size:
            raise _damage("an entry is missing", index, "the next index", f"entry {growing.size}")
        for level, place, digest in growing.push(leaf_hash(body)):
            if level not in levels:
                levels[level] = _nodes(db, level)
            stored = next(levels[level], None)
            if stored != (place, digest):
                raise _damage(
                    "an entry is not the one that was logged"
                    if level == 0
                    else f"a stored node at level {level} is not its children's",
                    stored[1].hex() if stored else "nothing",
                    digest.hex(),
                    f"entry {place << level}",
                )
        if growing.size in sizes:
            roots[growing.size] = growing.root()
    _no_more_nodes(db, growing.size)
    head = _head(db)
    root = growing.root()
    if (head.size, head.root) != (growing.size, root):
        raise _damage(
            "the entries do not lead to the stored head",
            f"{growing.size} entries, root {root.hex()}",
            f"{head.size} entries, root {head.root.hex()}",
            "head",
        )
    if verifier is not None and head.size:
        signed = Checkpoint.verify(head.note, verifier)
        if (signed.size, signed.root) != (growing.size, root):
            raise _damage(
                "the entries do not lead to the signed checkpoint",
                f"{growing.size} entries, root {root.hex()}",
                f"{signed.size} entries, root {signed.root.hex()}",
                "checkpoint",
            )
    for checkpoint in witnessed:
        if roots.get(checkpoint.size) != checkpoint.root:
            raise _damage(
                "the log does not extend a checkpoint kept elsewhere",
                f"{growing.size} entries",
                f"root {checkpoint.root.hex()} at {checkpoint.size} entries",
                "checkpoint",
            )
    return head


def _nodes(db: sqlite3.Connection, level: int) -> Iterator[tuple[int, bytes]]:
    cursor = db.execute("SELECT idx, hash FROM node WHERE level = ? ORDER BY idx", (level,))
    cursor.arraysize = _BATCH
    for index, digest in cursor:
        yield index, bytes(digest)


def _no_more_nodes(db: sqlite3.Connection, size: int) -> None:
    """A tree of n entries has 2n - popcount(n) complete subtrees; any other node is foreign."""
    (count,) = db.execute("SELECT count(*) FROM node").fetchone()
    expected = 2 * size - size.bit_count()
    if count != expected:
        raise _damage("the log has foreign nodes", count, f"{expected} nodes", f"entry {size}")


def _head(db: sqlite3.Connection) -> TreeHead:
    row = db.execute("SELECT size, root, note FROM head").fetchone()
    return TreeHead(0, empty_root(), "") if row is None else TreeHead(*row)
