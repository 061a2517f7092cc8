"""Following a revocation log that is not believed: a pure state machine.

A follower keeps every entry, the right edge of their tree and the youngest head. A page of the
log is taken only if, in this order:
 1. its head is signed by the pinned key and not in the future;
 2. the log has not shrunk (`rollback`);
 3. the head's tree extends the one that is known (`fork`), and is not too long (`too-long`);
 4. the head is not older than the one that is known (`replay`);
 5. the entries that came are those under the head's root (`entries`).
Silence is not refused here: the head that is known grows old (`Known.age`), and who relies on it
stops.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from trust import strictjson
from trust.errors import SealgateError, problem
from trust.log import Checkpoint, NoteVerifier, ProofRefused, leaf_hash, verify_consistency
from trust.log.tree import Growing, fold
from trust.revocation.head import FreshHead

MAX_PAGE_ENTRIES: Final = 64
MAX_PAGE_BYTES: Final = 8 << 20
MAX_LOG_ENTRIES: Final = 20_000
"""A log that is longer is not followed: it would fill memory and disk of its readers."""
HEAD_SKEW: Final = timedelta(seconds=60)
"""How far in the future a head may be signed: clocks differ."""


class LogMisbehaves(SealgateError):
    """What the log says cannot be reconciled with what it said before, or is not its own."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a revocation log, as it is sent.

    Attributes:
        since: how many entries the reader has.
        head: the fresh head (signed note).
        entries: bundles from number `since` on, at most `MAX_PAGE_ENTRIES`.
        consistency: the proof from `since` entries to the head's size, 32 bytes each.
    """

    since: int
    head: str
    entries: tuple[bytes, ...]
    consistency: tuple[bytes, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the page as a JSON-serialisable object; bytes in base64."""
        return {
            "since": self.since,
            "head": self.head,
            "entries": [base64.b64encode(entry).decode() for entry in self.entries],
            "consistency": [base64.b64encode(node).decode() for node in self.consistency],
        }

    @classmethod
    def parse(cls, data: bytes) -> Page:
        """Read what `as_dict` wrote, from somebody who is not believed.

        Raises:
            LogMisbehaves: it is malformed.
        """
        try:
            document = strictjson.loads(data, max_bytes=MAX_PAGE_BYTES)
            since, head = document["since"], document["head"]
            entries, proof = document["entries"], document["consistency"]
            if type(since) is not int or not isinstance(head, str):
                raise TypeError("since must be a number and head a string")
            if len(entries) > MAX_PAGE_ENTRIES or len(proof) > 64:
                raise ValueError("too many entries or hashes")
            return cls(since, head, tuple(map(_bytes, entries)), tuple(map(_bytes, proof)))
        except (SealgateError, KeyError, TypeError, ValueError) as error:
            value = error.problem.what if isinstance(error, SealgateError) else error
            _misbehaves(
                "malformed",
                "the revocation log's answer cannot be read",
                value,
                "since, head, entries and consistency",
                error,
            )


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _misbehaves(
    code: str, what: str, value: object, expected: str, cause: BaseException | None = None
) -> NoReturn:
    raise LogMisbehaves(
        problem(
            f"revocation-log.{code}",
            what,
            value=value,
            expected=expected,
            advice="ask the registry's operator what happened to the log; keep what is known",
        )
    ) from cause


@dataclass(frozen=True, slots=True)
class Known:
    """What a follower knows of a log.

    Attributes:
        size: entries.
        edge: the hashes of the complete subtrees that cover them, from the left.
        head: the youngest head; None before the first.
    """

    size: int = 0
    edge: tuple[bytes, ...] = ()
    head: FreshHead | None = None

    @property
    def root(self) -> bytes:
        """The Merkle tree hash of the entries, 32 bytes."""
        return fold(self.edge)

    def age(self, now: datetime) -> timedelta | None:
        """Return how old the youngest head is at `now`; None where there is none."""
        return None if self.head is None else now - self.head.signed_at

    def check(self, page: Page, key: NoteVerifier, now: datetime) -> FreshHead:
        """Return the head of a page that starts where this ends, once it may be believed.

        Args:
            page: what came.
            key: the log's pinned key.
            now: the time, aware.

        Raises:
            LogMisbehaves: rules 1 to 4.
        """
        try:
            head = FreshHead.verify(page.head, key)
        except SealgateError as error:
            _misbehaves(
                "signature",
                "the revocation log's head is not signed as it must be",
                error.problem.what,
                f"signed by {key.vkey}",
                error,
            )
        new = head.checkpoint
        if head.signed_at > now + HEAD_SKEW:
            _misbehaves(
                "future",
                "the revocation log's head is signed in the future",
                head.signed_at.isoformat(),
                f"at most {(now + HEAD_SKEW).isoformat()}",
            )
        if new.size > MAX_LOG_ENTRIES:
            _misbehaves(
                "too-long",
                "the revocation log is too long",
                f"{new.size} entries",
                f"at most {MAX_LOG_ENTRIES} entries",
            )
        if new.size < self.size:
            _misbehaves(
                "rollback",
                "the revocation log was rolled back",
                f"{new.size} entries",
                f"at least {self.size} entries, which it had before",
            )
        try:
            verify_consistency(self.size, self.root, new.size, new.root, page.consistency)
        except ProofRefused as error:
            _misbehaves(
                "fork",
                "the revocation log does not extend what it said before",
                error.problem.value,
                f"root {self.root.hex()} at {self.size} entries",
                error,
            )
        if self.head is not None and head.signed_at < self.head.signed_at:
            _misbehaves(
                "replay",
                "the revocation log shows an older head than before",
                head.signed_at.isoformat(),
                f"at least {self.head.signed_at.isoformat()}",
            )
        return head

    def extend(self, entries: Sequence[bytes], head: FreshHead) -> Known:
        """Return what is known after `entries`, all of those up to `head`.

        Raises:
            LogMisbehaves: rule 5.
        """
        growing = Growing(self.size, self.edge)
        edge = list(self.edge)
        for entry in entries:
            *_, (level, _, digest) = growing.push(leaf_hash(entry))
            edge = [*edge[: len(edge) - level], digest]
        new = Known(growing.size, tuple(edge), head)
        if (new.size, new.root) != (head.checkpoint.size, head.checkpoint.root):
            _misbehaves(
                "entries",
                "the entries are not those of the revocation log",
                f"{new.size} entries, root {new.root.hex()}",
                _describe(head.checkpoint),
            )
        return new


def _describe(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.size} entries, root {checkpoint.root.hex()}"
