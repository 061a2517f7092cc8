"""The head of a log: what its last append committed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A log's size in entries, its root (32 bytes) and, if it has a signer, its checkpoint."""

    size: int
    root: bytes
    note: str
