"""What the operator says about accounts: who administers, who may exchange tokens, how often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UPLOADS_PER_MINUTE = 120
SIGN_INS_PER_MINUTE = 120


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """What the operator says about accounts.

    Attributes:
        admins: subjects of the sign-in's issuer who administer the registry.
        publisher_issuers: the file (JSON) of CI services and their keys; None: no trusted
            publishing.
        uploads_per_minute: uploads of one client in a minute; 0 for no bound.
        sign_ins_per_minute: sign-ins, and changes of tokens, of one client in a minute; 0 for no
            bound.
    """

    admins: frozenset[str] = frozenset()
    publisher_issuers: Path | None = None
    uploads_per_minute: int = UPLOADS_PER_MINUTE
    sign_ins_per_minute: int = SIGN_INS_PER_MINUTE
