"""Revocations: signed statements that take something back, and what they stop.

`target` names what can be revoked, `statement` makes and reads the statements, `judge` decides,
`head` proves that a log of them is fresh.
"""

from trust.revocation.head import FreshHead
from trust.revocation.judge import Authority, Facts, Revocations
from trust.revocation.statement import (
    MAX_BUNDLE_BYTES,
    REVOCATION,
    Action,
    Revocation,
    RevocationRefused,
    check_parts,
    lift_statement,
    read_revocation,
    revocation_statement,
    verify_revocation,
)
from trust.revocation.target import KINDS, Kind, Target

__all__ = [
    "KINDS",
    "MAX_BUNDLE_BYTES",
    "REVOCATION",
    "Action",
    "Authority",
    "Facts",
    "FreshHead",
    "Kind",
    "Revocation",
    "RevocationRefused",
    "Revocations",
    "Target",
    "check_parts",
    "lift_statement",
    "read_revocation",
    "revocation_statement",
    "verify_revocation",
]
