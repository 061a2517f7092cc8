"""What one append knows of the tree: enough to prove its entries without reading the log again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trust.log import tree
from trust.log.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Tail:
    """The entries of one append, and the signed checkpoint that it made.

    Attributes:
        start: the index of the first of them.
        size: the tree's size with them.
        note: the checkpoint of that size.
        nodes: the complete subtrees along the right edge of the tree before the append, and those
            that the append completed. Every subtree beside a path from one of the entries to the
            root is made of these: what lies to its left is complete and ends at the old edge or
            after it, and what lies to its right is new.
    """

    start: int
    size: int
    note: str
    nodes: Mapping[tree.Node, bytes]

    def _node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of entry `index` in the tree of `size` entries.

        Raises:
            IndexError: it is not an entry of this append.
        """
        if not self.start <= index < self.size:
            raise IndexError(index)
        proof = tree.inclusion_path(self._node, index, self.size)
        return Receipt(index, self.nodes[0, index], self.note, tuple(proof))
