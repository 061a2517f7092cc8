"""Roots and proofs over stored nodes, without storage of their own (RFC 6962 section 2.1).

Only the nodes of *complete* subtrees are stored: node (level, index) covers the entries
[index * 2**level, (index + 1) * 2**level) and never changes once written. Everything else, the
right edge of the tree, is computed from at most log2(size) of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from trust.log.hashing import empty_root, node_hash

Node: TypeAlias = tuple[int, int]
"""Where a complete subtree stands: (level, index)."""

ReadNode: TypeAlias = Callable[[int, int], bytes]
"""Returns the stored hash of the complete subtree at (level, index)."""


def split(count: int) -> int:
    """Return the largest power of two smaller than `count` (which is at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def frontier(size: int) -> list[Node]:
    """Return the complete subtrees that cover [0, `size`), from the left, largest first."""
    nodes: list[Node] = []
    start = 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            nodes.append((level, start >> level))
            start += 1 << level
    return nodes


def fold(hashes: Iterable[bytes]) -> bytes:
    """Return the root over a frontier's hashes, given from the left."""
    root: bytes | None = None
    for digest in reversed(list(hashes)):
        root = digest if root is None else node_hash(digest, root)
    return empty_root() if root is None else root


def subtree_root(read: ReadNode, start: int, end: int) -> bytes:
    """Return MTH of the entries [`start`, `end`), where `start` is a subtree's left edge."""
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return read(level, start >> level)
    half = split(count)
    return node_hash(
        read(half.bit_length() - 1, start // half), subtree_root(read, start + half, end)
    )


def root(read: ReadNode, size: int) -> bytes:
    """Return the Merkle tree hash of the first `size` entries."""
    return subtree_root(read, 0, size) if size else empty_root()


def inclusion_path(read: ReadNode, index: int, size: int) -> list[bytes]:
    """Return PATH(`index`, D[`size`]) (RFC 6962 section 2.1.1), from the leaf upwards."""
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(subtree_root(read, middle, end))
            end = middle
        else:
            path.append(subtree_root(read, start, middle))
            start = middle
    path.reverse()
    return path


def consistency_path(read: ReadNode, old: int, new: int) -> list[bytes]:
    """Return PROOF(`old`, D[`new`]) (RFC 6962 section 2.1.2) for 0 < `old` < `new`."""
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + split(end - start)
        if old <= middle:
            path.append(subtree_root(read, middle, end))
            end = middle
        else:
            path.append(subtree_root(read, start, middle))
            start, whole = middle, False
    if not whole:
        path.append(subtree_root(read, start, end))
    path.reverse()
    return path


class Growing:
    """The right edge of a growing tree: yields each complete subtree as an entry closes it."""

    def __init__(self, size: int, edge: Iterable[bytes]) -> None:
        """Start from `size` entries, whose `frontier` hashes are `edge`, from the left."""
        self.size = size
        self._edge = list(edge)

    def push(self, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add a leaf hash; yield (level, index, hash) of every subtree it completes."""
        index, level, digest = self.size, 0, leaf
        yield level, index, digest
        while index & 1:
            digest = node_hash(self._edge.pop(), digest)
            level, index = level + 1, index >> 1
            yield level, index, digest
        self._edge.append(digest)
        self.size += 1

    @property
    def edge(self) -> list[bytes]:
        """The hashes of the `frontier` of everything pushed so far, from the left."""
        return list(self._edge)

    def root(self) -> bytes:
        """Return the Merkle tree hash of everything pushed so far."""
        return fold(self._edge)
