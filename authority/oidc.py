"""Identity tokens (OpenID Connect Core section 2): minting our own and verifying them.

One issuer, one key, one algorithm. The algorithm is fixed here and never read from the token, so
`none` and HS256-with-the-public-key have nothing to work on (RFC 8725 section 3.1).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from authority.errors import Unauthenticated
from authority.keys import spki
from authority.subjects import check_subject, is_email
from trust.errors import problem
from trust.identity import Identity

ALGORITHM = "ES256"
SIGSTORE_AUDIENCE = "sigstore"
RUNNER_AUDIENCE = "sealgate-runner"
"""Of tokens to call plugins with. A runner takes them where its policy names this issuer."""
LIFETIME = timedelta(minutes=5)
RUNNER_LIFETIME = timedelta(minutes=10)
LEEWAY_SECONDS = 5
MAX_TOKEN = 8192
"""Characters of the longest token that is looked at."""
STATEMENT_CLAIM = "sealgate_statement_sha256"
"""SHA-256 of the DSSE encoding of the one statement that a token may be used to sign."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


def _refuse(what: str, value: object, expected: str) -> NoReturn:
    raise Unauthenticated(
        problem(
            "authority.token",
            what,
            value=value,
            expected=expected,
            advice="get a fresh identity token with `sealgate token ACCOUNT`",
        )
    )


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says.

    Attributes:
        identity: who authenticated.
        statement_digest: SHA-256 of the DSSE encoding of the one statement that it may sign; None
            for a token that is not bound to one.
    """

    identity: Identity
    statement_digest: str | None


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """An OIDC issuer with one P-256 key. `clock` returns the time in UTC."""

    issuer: str
    key: ec.EllipticCurvePrivateKey
    clock: Callable[[], datetime]

    @property
    def key_id(self) -> str:
        """The key's `kid`."""
        return hashlib.sha256(spki(self.key.public_key())).hexdigest()[:16]

    def jwks(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set (RFC 7517 section 5, RFC 7518 6.2)."""
        numbers = self.key.public_key().public_numbers()
        return {
            "keys": [
                {
                    "kty": "EC",
                    "crv": "P-256",
                    "x": _base64url(numbers.x),
                    "y": _base64url(numbers.y),
                    "alg": ALGORITHM,
                    "use": "sig",
                    "kid": self.key_id,
                }
            ]
        }

    def mint(
        self,
        subject: str,
        audience: str = SIGSTORE_AUDIENCE,
        lifetime: timedelta = LIFETIME,
        extra: Mapping[str, str | int] | None = None,
    ) -> str:
        """Return a token that says `subject` authenticated just now.

        Args:
            subject: the account.
            audience: for whom the token is.
            lifetime: how long it serves.
            extra: more claims; those of this function cannot be replaced.

        Raises:
            RequestRefused: the subject is neither an e-mail address nor a URI.
        """
        issued = int(self.clock().timestamp())
        claims: dict[str, Any] = dict(extra or {}) | {
            "iss": self.issuer,
            "sub": check_subject(subject),
            "aud": audience,
            "iat": issued,
            "exp": issued + int(lifetime.total_seconds()),
        }
        if is_email(subject):
            claims |= {"email": subject, "email_verified": True}
        return jwt.encode(claims, self.key, ALGORITHM, headers={"kid": self.key_id})

    def verify(self, token: str) -> Identity:
        """Return who a token for Sigstore's audience stands for; see `read`."""
        return self.read(token).identity

    def read(self, token: str) -> Verified:
        """Return who a token for Sigstore's audience stands for, and what it may sign.

        Raises:
            Unauthenticated: the token is malformed, signed otherwise than by this issuer's key,
                for another audience, expired, or not yet valid.
            RequestRefused: its subject cannot stand in a certificate.
        """
        if len(token) > MAX_TOKEN:
            _refuse("the token is too long", f"{len(token)} characters", f"at most {MAX_TOKEN}")
        try:
            claims = jwt.decode(
                token,
                self.key.public_key(),
                algorithms=[ALGORITHM],
                audience=SIGSTORE_AUDIENCE,
                issuer=self.issuer,
                options={
                    "require": ["iss", "sub", "aud", "iat", "exp"],
                    "strict_aud": True,
                    # Times are checked below, against the injected clock.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            _refuse("the identity token is refused", error, f"a token of {self.issuer}")
        now = self.clock().timestamp()
        for name in ("iat", "exp", "nbf"):
            if name in claims and type(claims[name]) not in (int, float):
                _refuse("a time in the identity token is malformed", claims[name], "a number")
        if now >= claims["exp"]:
            _refuse("the identity token has expired", claims["exp"], f"later than {int(now)}")
        if max(claims["iat"], claims.get("nbf", 0)) > now + LEEWAY_SECONDS:
            _refuse("the identity token is not valid yet", claims["iat"], f"at most {int(now)}")
        digest = claims.get(STATEMENT_CLAIM)
        if STATEMENT_CLAIM in claims and not (
            isinstance(digest, str) and _DIGEST.fullmatch(digest)
        ):
            _refuse("the statement's digest in the token is malformed", digest, "SHA-256 in hex")
        return Verified(Identity(self.issuer, check_subject(claims["sub"])), digest)
