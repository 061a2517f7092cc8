"""A receipt: what its holder needs to prove alone that an entry is in the log."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trust.errors import problem
from trust.log.errors import ProofRefused
from trust.log.hashing import leaf_hash
from trust.log.note import Checkpoint, NoteVerifier
from trust.log.proofs import verify_inclusion


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an entry is in a log.

    Attributes:
        index: the entry's place, from 0.
        leaf_hash: RFC 6962 hash of the entry, 32 bytes.
        checkpoint: a C2SP checkpoint (signed note) whose tree holds the entry.
        inclusion_proof: the sibling hashes from the leaf upwards, 32 bytes each.
    """

    index: int
    leaf_hash: bytes
    checkpoint: str
    inclusion_proof: tuple[bytes, ...]

    def verify(self, verifier: NoteVerifier, entry: bytes | None = None) -> Checkpoint:
        """Check everything and return the checkpoint.

        Args:
            verifier: the log's key, obtained from elsewhere than the receipt.
            entry: the entry's bytes, if the holder has them.

        Raises:
            NoteRefused: the checkpoint is malformed or not signed by the log.
            ProofRefused: the entry is another, or the proof does not lead to the checkpoint.
        """
        if entry is not None and leaf_hash(entry) != self.leaf_hash:
            raise ProofRefused(
                problem(
                    "log.other-entry",
                    "the receipt is for another entry",
                    value=leaf_hash(entry).hex(),
                    expected=f"an entry with leaf hash {self.leaf_hash.hex()}",
                    advice="ask for the receipt of this entry",
                )
            )
        checkpoint = Checkpoint.verify(self.checkpoint, verifier)
        verify_inclusion(
            self.leaf_hash, self.index, checkpoint.size, self.inclusion_proof, checkpoint.root
        )
        return checkpoint

    def as_dict(self) -> dict[str, Any]:
        """Return the receipt as a JSON-serialisable object; hashes in base64."""
        return {
            "index": self.index,
            "leaf_hash": base64.b64encode(self.leaf_hash).decode(),
            "checkpoint": self.checkpoint,
            "inclusion_proof": [base64.b64encode(h).decode() for h in self.inclusion_proof],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Receipt:
        """Read what `as_dict` wrote.

        Raises:
            ProofRefused: a member is missing or of the wrong type.
        """
        try:
            index, checkpoint, hashes = data["index"], data["checkpoint"], data["inclusion_proof"]
            if type(index) is not int or not isinstance(checkpoint, str):
                raise TypeError("index must be an integer and checkpoint a string")
            return cls(
                index,
                base64.b64decode(data["leaf_hash"], validate=True),
                checkpoint,
                tuple(base64.b64decode(text, validate=True) for text in hashes),
            )
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ProofRefused(
                problem(
                    "log.receipt",
                    "the receipt is malformed",
                    value=error,
                    expected="index, leaf_hash, checkpoint and inclusion_proof",
                    advice="pass the `receipt` object of a reply unchanged",
                )
            ) from error
