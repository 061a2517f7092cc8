"""The append-only Merkle log: RFC 6962 hashing, SQLite, C2SP checkpoints and tiles.

It serves two masters: the authority's transparency log and the runner's audit trail.
"""

from __future__ import annotations

from trust.log.check import verify_log
from trust.log.errors import LogCorrupt, LogError, LogUnavailable, NoteRefused, ProofRefused
from trust.log.hashing import HASH_SIZE, empty_root, leaf_hash, node_hash
from trust.log.head import TreeHead
from trust.log.merkle import MAX_ENTRY_BYTES, MerkleLog
from trust.log.note import Checkpoint, NoteSigner, NoteVerifier
from trust.log.proofs import verify_consistency, verify_inclusion
from trust.log.receipt import Receipt

__all__ = [
    "HASH_SIZE",
    "MAX_ENTRY_BYTES",
    "Checkpoint",
    "LogCorrupt",
    "LogError",
    "LogUnavailable",
    "MerkleLog",
    "NoteRefused",
    "NoteSigner",
    "NoteVerifier",
    "ProofRefused",
    "Receipt",
    "TreeHead",
    "empty_root",
    "leaf_hash",
    "node_hash",
    "verify_consistency",
    "verify_inclusion",
    "verify_log",
]
