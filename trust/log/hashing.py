"""The two hashes of a Merkle tree (RFC 6962 section 2.1; the same in RFC 9162 section 2.1.1).

The one-byte prefixes separate the domains, so that no interior node can pass for an entry.
"""

from __future__ import annotations

import hashlib

HASH_SIZE = 32
"""Bytes of a SHA-256 digest."""


def empty_root() -> bytes:
    """Return the root of the tree without entries: SHA-256 of the empty string."""
    return hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 || `entry`), 32 bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || `left` || `right`), 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()
