"""Who signed: a Sigstore identity is an OIDC issuer together with a subject.

Comparison is exact and case-sensitive on both parts, as the certificate carries them
(https://github.com/sigstore/fulcio/blob/main/docs/oidc.md): an identity that differs in case is
another identity.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """A Sigstore identity.

    Attributes:
        issuer: the OIDC issuer URL (Fulcio extension 1.3.6.1.4.1.57264.1.8).
        subject: the certificate's subject alternative name, an e-mail address or a URI.
    """

    issuer: str
    subject: str

    @property
    def keyid(self) -> str:
        """The functionary's key id in an in-toto layout: SHA-256 of issuer, newline, subject."""
        return hashlib.sha256(f"{self.issuer}\n{self.subject}".encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"

    def as_dict(self) -> dict[str, str]:
        """Return the identity as a JSON-serialisable object."""
        return {"issuer": self.issuer, "subject": self.subject}
