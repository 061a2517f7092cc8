"""What a subject may be: an e-mail address of a person, or the URI of a workload.

It becomes the certificate's subject alternative name, which holds IA5 (ASCII) only, and it is
compared byte for byte ever after: so it must be plain, and there must be one way to write it.
"""

from __future__ import annotations

import re

from cryptography import x509

from authority.errors import RequestRefused
from trust.errors import problem

MAX_SUBJECT = 254
"""The longest e-mail address that SMTP can carry (RFC 5321 section 4.5.3.1.3)."""

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_URI = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?")


def is_email(subject: str) -> bool:
    """Tell an e-mail address from a URI."""
    return "://" not in subject


def check_subject(subject: object) -> str:
    """Return `subject` if it is an e-mail address or an http(s) URI in plain ASCII.

    Raises:
        RequestRefused: it is neither.
    """
    if (
        not isinstance(subject, str)
        or len(subject) > MAX_SUBJECT
        or not (_EMAIL if is_email(subject) else _URI).fullmatch(subject)
    ):
        raise RequestRefused(
            problem(
                "authority.subject",
                "the subject is neither an e-mail address nor a URI",
                value=subject,
                expected=f"an address or an http(s) URI, ASCII, at most {MAX_SUBJECT} characters",
                advice="use the account's name exactly as it was created",
            )
        )
    return subject


def general_name(subject: str) -> x509.GeneralName:
    """Return the subject alternative name (RFC 5280 section 4.2.1.6) of a checked subject."""
    return (
        x509.RFC822Name(subject) if is_email(subject) else x509.UniformResourceIdentifier(subject)
    )
