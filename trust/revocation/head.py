"""The head of a revocation log, signed anew every few seconds, so that silence is detectable.

A C2SP checkpoint (https://c2sp.org/tlog-checkpoint) with one extension line, `time SECONDS`, the
POSIX time of the signature. It says: "at this time the log had these entries and no more". Who has
no head that is young enough knows that something may be withheld.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from trust.errors import problem
from trust.log import Checkpoint, NoteRefused, NoteSigner, NoteVerifier

_TIME = re.compile(r"time (0|[1-9][0-9]{0,11})")


@dataclass(frozen=True, slots=True)
class FreshHead:
    """What a revocation log vouches for at one time.

    Attributes:
        checkpoint: origin, size and root.
        signed_at: when, UTC, whole seconds.
    """

    checkpoint: Checkpoint
    signed_at: datetime

    def sign(self, signer: NoteSigner) -> str:
        """Return the head as a note signed by `signer`, whose origin it must have.

        Raises:
            NoteRefused: the signer has another origin.
        """
        if signer.origin != self.checkpoint.origin:
            raise NoteRefused(
                problem(
                    "note.origin",
                    "the signer has another origin",
                    value=signer.origin,
                    expected=self.checkpoint.origin,
                    advice="sign with the revocation log's own key",
                )
            )
        return signer.sign(f"{self.checkpoint.text()}time {int(self.signed_at.timestamp())}\n")

    @classmethod
    def verify(cls, note: str, verifier: NoteVerifier) -> FreshHead:
        """Return the head in `note` once signature, origin and form are right.

        Its age is for the caller to judge.

        Raises:
            NoteRefused: it is malformed, has no time, or another key signed it.
        """
        checkpoint = Checkpoint.verify(note, verifier)
        lines = verifier.verify(note).removesuffix("\n").split("\n")
        match = _TIME.fullmatch(lines[3]) if len(lines) == 4 else None
        if match is None:
            raise NoteRefused(
                problem(
                    "note.time",
                    "the log's head does not say when it was signed",
                    value="; ".join(lines[3:]),
                    expected="one extension line: time and POSIX seconds",
                    advice="ask the log for its fresh head, not for a plain checkpoint",
                )
            )
        return cls(checkpoint, datetime.fromtimestamp(int(match[1]), UTC))
