"""Authorization codes (RFC 6749 section 4.1.2) with PKCE (RFC 7636, S256 only).

A code lives for a minute in this process's memory, under its SHA-256, and is gone with the first
attempt to redeem it, right or wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from authority.errors import CodeRefused
from trust.errors import problem

LIFETIME = timedelta(seconds=60)
MAX_CODES = 10_000
"""A code costs a right password, so this is far away; the oldest goes first."""

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def challenge_of(verifier: str) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody allowed on the login page.

    Attributes:
        subject: who they are.
        client_id: for which client.
        redirect_uri: where the code was sent to.
        challenge: the client's PKCE challenge.
        nonce: goes into the token; "" for none.
        audience: the token's audience.
        statement_digest: SHA-256 of the DSSE encoding of the statement that the token is for, ""
            for a sign-in.
        authenticated_at: when the password was right.
    """

    subject: str
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str
    audience: str
    statement_digest: str
    authenticated_at: datetime


def _refuse(what: str, expected: str) -> NoReturn:
    raise CodeRefused(
        problem(
            "authority.code",
            what,
            expected=expected,
            advice="start again from the page; a code serves once, for a minute",
        )
    )


class Codes:
    """The codes that were given out and not yet redeemed. `clock` returns the time in UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._grants: OrderedDict[bytes, tuple[datetime, Grant]] = OrderedDict()

    def issue(self, grant: Grant) -> str:
        """Return a new code for the grant."""
        code = secrets.token_urlsafe(32)
        with self._lock:
            self._grants[_key(code)] = (self._clock() + LIFETIME, grant)
            while len(self._grants) > MAX_CODES:
                self._grants.popitem(last=False)
        return code

    def redeem(self, code: str, client_id: str, redirect_uri: str, verifier: str) -> Grant:
        """Return what the code stands for, once.

        Raises:
            CodeRefused: the code is unknown, used or too old; it was given to another client or
                redirect URI; or the verifier is not the one of its challenge.
        """
        with self._lock:
            expires, grant = self._grants.pop(_key(code), (None, None))
        if expires is None or grant is None:
            _refuse("the code is unknown or was used", "a code that was not redeemed yet")
        if self._clock() >= expires:
            _refuse("the code has expired", "a code of the last minute")
        if (client_id, redirect_uri) != (grant.client_id, grant.redirect_uri):
            _refuse("the code belongs to another client", "the client and redirect URI it is for")
        if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(
            challenge_of(verifier), grant.challenge
        ):
            _refuse("the code verifier is wrong", "the verifier of the code's challenge (RFC 7636)")
        return grant


def _key(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
