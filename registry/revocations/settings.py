"""What the operator says about revocations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trust.identity import Identity

HEAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class RevocationSettings:
    """What the operator says about revocations.

    Attributes:
        log: the file of the revocation log; None: this registry has none and takes no revocation.
        revokers: identities that may revoke anything, besides the registry's admins.
    """

    log: Path | None = None
    revokers: frozenset[Identity] = frozenset()


@dataclass(frozen=True, slots=True)
class LogKeeping:
    """How the worker keeps the log.

    Attributes:
        key: the file with the log's signing key; None: this worker does not keep the log.
        head_seconds: the pause between two signed heads, in seconds.
    """

    key: Path | None = None
    head_seconds: float = HEAD_SECONDS


def parse_revokers(text: str) -> frozenset[Identity]:
    """Read identities, each `ISSUER|SUBJECT`, separated by blanks.

    Raises:
        ValueError: one of them has another form.
    """
    found = set()
    for word in text.split():
        issuer, separator, subject = word.partition("|")
        if not (issuer and separator and subject):
            raise ValueError(word)
        found.add(Identity(issuer, subject))
    return frozenset(found)
