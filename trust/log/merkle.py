"""The append-only Merkle log on SQLite.

One transaction appends: it takes the write lock (BEGIN IMMEDIATE), reads the size, compares the
tree's right edge with the stored head, writes entries, nodes and the new signed head, and commits
with one fsync. Two processes therefore never fork a log, and a crash leaves all of an append or
nothing. Any error raises: an entry whose append returned is on disk.

The right edge is not read again where it cannot have changed: under the write lock, SQLite's
`data_version` says whether another connection has committed since this one did
(https://www.sqlite.org/pragma.html#pragma_data_version).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from trust.errors import problem
from trust.log import check, store, tiles, tree
from trust.log.errors import LogCorrupt, LogError, damage
from trust.log.hashing import HASH_SIZE, empty_root, leaf_hash
from trust.log.head import TreeHead
from trust.log.note import Checkpoint, NoteSigner, NoteVerifier
from trust.log.receipt import Receipt
from trust.log.tail import Tail

MAX_ENTRY_BYTES = (1 << 16) - 1
"""The largest entry: its length is a 16-bit number in a C2SP entry bundle."""


def corrupt(what: str, value: object, expected: str, where: str) -> NoReturn:
    """Raise `LogCorrupt`."""
    raise LogCorrupt(damage(what, value, expected, where))


class MerkleLog:
    """An append-only log. Instances may be shared by threads, files by processes."""

    def __init__(self, path: Path | None, signer: NoteSigner | None) -> None:
        """Open the log, creating it if need be, and check its right edge against its head.

        Args:
            path: the database file; None keeps the log in memory.
            signer: signs the checkpoints, under the log's origin. Without one, a log that was
                ever signed can be read but not appended to.

        Raises:
            LogUnavailable: the file cannot be opened or read.
            LogCorrupt: the file is not a log, its nodes do not lead to its head's root, or the
                head is not signed by `signer`.
        """
        self.path = path
        self._signer = signer
        self._lock = threading.Lock()
        self._edge: tuple[int, TreeHead, list[bytes]] | None = None
        self._tail: Tail | None = None
        with store.database_errors(path, "opening it"):
            self._db = store.connect(path)
        try:
            with self._transaction("BEGIN", "opening it"):
                self._checked_head(signer.verifier if signer else None)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self, begin: str, doing: str) -> Iterator[None]:
        with self._lock, store.database_errors(self.path, doing):
            self._db.execute(begin)
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._edge = None
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _node(self, level: int, index: int) -> bytes:
        row = self._db.execute(
            "SELECT hash FROM node WHERE level = ? AND idx = ?", (level, index)
        ).fetchone()
        if row is None or len(row[0]) != HASH_SIZE:
            corrupt(
                "a stored node is missing or malformed",
                f"level {level}, index {index}",
                "a 32-byte hash",
                f"entry {index << level}",
            )
        return bytes(row[0])

    def _count(self) -> int:
        (size,) = self._db.execute("SELECT coalesce(max(idx) + 1, 0) FROM entry").fetchone()
        return int(size)

    def _head(self) -> TreeHead:
        row = self._db.execute("SELECT size, root, note FROM head").fetchone()
        return TreeHead(0, empty_root(), "") if row is None else TreeHead(*row)

    def _checked_head(self, verifier: NoteVerifier | None) -> tuple[TreeHead, list[bytes]]:
        """Return the stored head and the right edge, once they agree with each other."""
        head, size = self._head(), self._count()
        if head.size != size:
            corrupt("entries and head disagree", f"{size} entries", f"{head.size} entries", "head")
        edge = [self._node(*node) for node in tree.frontier(size)]
        if tree.fold(edge) != head.root:
            corrupt("nodes and head disagree", tree.fold(edge).hex(), head.root.hex(), "head")
        if verifier is not None and size and head.note:
            signed = Checkpoint.verify(head.note, verifier)
            if (signed.size, signed.root) != (head.size, head.root):
                corrupt("head and signed checkpoint disagree", head.size, str(signed.size), "head")
        return head, edge

    def _right_edge(self) -> tuple[int, TreeHead, list[bytes]]:
        """Return data version, head and right edge; to be called under the write lock."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if self._edge is not None and self._edge[0] == version:
            return self._edge
        return version, *self._checked_head(None)

    @property
    def tail(self) -> Tail | None:
        """What the last append of this instance knows; for the thread that appended."""
        return self._tail

    def append(self, entry: bytes) -> int:
        """Append one entry and return its index, once it is on disk. See `append_many`."""
        return self.append_many([entry]).start

    def append_many(self, entries: Iterable[bytes]) -> range:
        """Append entries in one transaction with one fsync; return their indexes.

        Raises:
            LogError: an entry is larger than `MAX_ENTRY_BYTES`, or the log needs its signer.
            LogUnavailable: the database failed; no entry was stored.
            LogCorrupt: the stored right edge does not match the head; no entry was stored.
        """
        bodies = [bytes(entry) for entry in entries]
        for body in bodies:
            if len(body) > MAX_ENTRY_BYTES:
                raise LogError(
                    problem(
                        "log.entry-too-large",
                        "the entry is too large for the log",
                        value=f"{len(body)} bytes",
                        expected=f"at most {MAX_ENTRY_BYTES} bytes",
                        advice="record a digest of the large part instead of the part",
                    )
                )
        with self._transaction("BEGIN IMMEDIATE", "appending"):
            version, head, edge = self._right_edge()
            if head.note and self._signer is None:
                raise LogError(
                    problem(
                        "log.no-signer",
                        "this log has signed checkpoints and was opened without its signer",
                        value=self.path or "in memory",
                        expected="the log's signing key",
                        advice="append through the service that owns the log",
                    )
                )
            growing = tree.Growing(head.size, edge)
            nodes = [node for body in bodies for node in growing.push(leaf_hash(body))]
            self._db.executemany("INSERT INTO entry VALUES(?, ?)", enumerate(bodies, head.size))
            self._db.executemany("INSERT INTO node VALUES(?, ?, ?)", nodes)
            root = growing.root()
            now = TreeHead(growing.size, root, self._sign(growing.size, root))
            self._db.execute(
                "INSERT OR REPLACE INTO head VALUES(0, ?, ?, ?)", (now.size, now.root, now.note)
            )
            known = dict(zip(tree.frontier(head.size), edge, strict=True))
            known.update(((level, index), digest) for level, index, digest in nodes)
            self._tail = Tail(head.size, now.size, now.note, known)
            self._edge = (version, now, growing.edge)  # forgotten if the commit fails
        return range(head.size, growing.size)

    def _sign(self, size: int, root: bytes) -> str:
        if self._signer is None:
            return ""
        return Checkpoint(self._signer.origin, size, root).sign(self._signer)

    @property
    def size(self) -> int:
        """How many entries the log has now; other processes may be appending."""
        with self._transaction("BEGIN", "reading its size"):
            return self._count()

    def _within(self, size: int | None) -> int:
        count = self._count()
        if size is None:
            return count
        if not 0 <= size <= count:
            self._out_of_range("the tree size is out of range", size, f"0 to {count}")
        return size

    @staticmethod
    def _out_of_range(what: str, value: object, expected: str) -> NoReturn:
        raise LogError(
            problem(
                "log.range",
                what,
                value=value,
                expected=expected,
                advice="ask for the checkpoint to learn the log's size",
            )
        )

    def root(self, size: int | None = None) -> bytes:
        """Return the Merkle tree hash of the first `size` entries (default: of all)."""
        with self._transaction("BEGIN", "reading a root"):
            return tree.root(self._node, self._within(size))

    def entry(self, index: int) -> bytes:
        """Return the entry at `index`; raise `LogError` if there is none."""
        return self.entries(index, 1)[0]

    def entries(self, start: int, count: int) -> list[bytes]:
        """Return `count` entries from `start`; raise `LogError` if any of them is not there."""
        if not 0 <= start < 1 << 62:
            self._out_of_range("the log has no such entry", start, "an index of the log")
        with self._transaction("BEGIN", "reading entries"):
            rows = self._db.execute(
                "SELECT body FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx",
                (start, start + count),
            ).fetchall()
            if len(rows) != count:
                self._out_of_range("the log has no such entry", start, f"below {self._count()}")
        return [bytes(body) for (body,) in rows]

    def hashes(self, level: int, start: int, count: int) -> list[bytes]:
        """Return `count` stored nodes of one level of the tree, from index `start`."""
        if not (0 <= level <= 62 and start >= 0 and (start + count) << level < 1 << 63):
            self._out_of_range("the log has no such node", (level, start), "a node of the tree")
        with self._transaction("BEGIN", "reading nodes"):
            if (start + count) << level > self._count():
                self._out_of_range("the log has no such node", (level, start), "a complete subtree")
            rows = self._db.execute(
                "SELECT hash FROM node WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx",
                (level, start, start + count),
            ).fetchall()
        if len(rows) != count:
            corrupt("stored nodes are missing", len(rows), f"{count} nodes", f"level {level}")
        return [bytes(digest) for (digest,) in rows]

    def tile(self, level: int, index: int, width: int = tiles.WIDTH) -> bytes:
        """Return a C2SP hash tile: `width` nodes of tree level 8 * `level`, 32 bytes each."""
        return b"".join(self.hashes(8 * level, index * tiles.WIDTH, width))

    def entry_bundle(self, index: int, width: int = tiles.WIDTH) -> bytes:
        """Return a C2SP entry bundle: `width` entries, each behind its 16-bit length."""
        return tiles.pack_bundle(self.entries(index * tiles.WIDTH, width))

    def leaf_hash(self, index: int) -> bytes:
        """Return the stored RFC 6962 leaf hash of the entry at `index`."""
        return self.hashes(0, index, 1)[0]

    def _inclusion(self, index: int, size: int) -> list[bytes]:
        if not 0 <= index < size:
            self._out_of_range("the entry is not in the tree", index, f"0 to {size - 1}")
        return tree.inclusion_path(self._node, index, size)

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the proof that entry `index` is in the first `size` entries, leaf upwards."""
        with self._transaction("BEGIN", "proving inclusion"):
            return self._inclusion(index, self._within(size))

    def consistency_proof(self, old: int, new: int | None = None) -> list[bytes]:
        """Return the proof that the first `new` entries extend the first `old`."""
        with self._transaction("BEGIN", "proving consistency"):
            size = self._within(new)
            if not 0 <= old <= size:
                self._out_of_range("the older size is out of range", old, f"0 to {size}")
            return tree.consistency_path(self._node, old, size) if 0 < old < size else []

    def head(self) -> TreeHead:
        """Return the head that the last append committed."""
        with self._transaction("BEGIN", "reading the head"):
            return self._head()

    def _checkpoint(self, size: int) -> str:
        head = self._head()
        if head.note and head.size == size:
            return head.note
        if self._signer is None:
            raise LogError(
                problem(
                    "log.no-signer",
                    "the log was opened without a signer",
                    value=f"checkpoint of size {size}",
                    expected="the log's signing key",
                    advice="ask for the latest checkpoint, or ask the service that owns the log",
                )
            )
        return self._sign(size, tree.root(self._node, size))

    def checkpoint(self, size: int | None = None) -> str:
        """Return the signed checkpoint (C2SP tlog-checkpoint) of the first `size` entries."""
        with self._transaction("BEGIN", "making a checkpoint"):
            return self._checkpoint(self._within(size))

    def receipt(self, index: int, size: int | None = None) -> Receipt:
        """Return the receipt of entry `index` in the tree of `size` entries (default: of all)."""
        with self._transaction("BEGIN", "making a receipt"):
            within = self._within(size)
            proof: Sequence[bytes] = self._inclusion(index, within)
            return Receipt(index, self._node(0, index), self._checkpoint(within), tuple(proof))

    def verify(
        self, verifier: NoteVerifier | None = None, witnessed: Sequence[Checkpoint] = ()
    ) -> check.Checked:
        """Recompute the whole tree from the entries; see `check.check`.

        A log on disk is read over a connection of its own, so that appends go on meanwhile.
        """
        if verifier is None and self._signer is not None:
            verifier = self._signer.verifier
        if self.path is None:
            with self._lock:
                return check.check(self._db, verifier, witnessed)
        return check.verify_log(self.path, verifier, witnessed)
