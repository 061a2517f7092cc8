"""Callers that show a JSON Web Token of an issuer whose keys the policy pins.

The rules (RFC 7519, RFC 8725):

- The keys stand in the policy, inline, and are never fetched: nobody who can answer for a URL can
  add one. An issuer's key rotation is therefore a change of the policy file.
- The algorithm belongs to the key (P-256: ES256, RSA: RS256, Ed25519: EdDSA), never to the token:
  `none` and HMAC cannot be asked for, and a key is named by its `kid` alone.
- `iss`, `aud`, `sub`, `exp` and `iat` are required, and a token lives at most 24 hours.
- A token becomes the caller with exactly that issuer and subject; see `runner.policy`.

A token is never logged and never shown in a problem.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from trust.errors import Problem, problem
from trust.identity import Identity
from trust.outcomes import Failed, Passed

MAX_TOKEN_BYTES = 8 << 10
MAX_LIFETIME_SECONDS = 24 * 3600
LEEWAY_SECONDS = 30
"""How far the issuer's clock may be from the runner's."""
MIN_RSA_BITS = 2048
ALGORITHMS = {("EC", "P-256"): "ES256", ("RSA", None): "RS256", ("OKP", "Ed25519"): "EdDSA"}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer whose tokens are believed.

    Attributes:
        issuer: the exact `iss` of its tokens.
        audience: what `aud` must hold.
        keys: its public keys by `kid`.
    """

    issuer: str
    audience: str
    keys: Mapping[str, jwt.PyJWK] = field(repr=False)


def read_keys(jwks: Mapping[str, Any], where: str) -> tuple[dict[str, jwt.PyJWK], list[Problem]]:
    """Read a JWK set (RFC 7517) of public signing keys.

    Args:
        jwks: the set, valid against the policy's schema.
        where: its JSON pointer.

    Returns:
        The keys by `kid`, and what is wrong with the others.
    """
    keys: dict[str, jwt.PyJWK] = {}
    problems: list[Problem] = []
    for i, each in enumerate(jwks["keys"]):
        place = f"{where}/keys/{i}"
        found = list(_unfit(each, place))
        if each["kid"] in keys:
            found.append(_bad_key("the key's kid is not its own", each["kid"], place))
        if not found:
            try:
                key = jwt.PyJWK(dict(each), _algorithm(each))
            except Exception as error:  # noqa: BLE001 - whatever it cannot read is not a key
                found.append(_bad_key("the key cannot be read", type(error).__name__, place))
            else:
                if isinstance(key.key, rsa.RSAPublicKey) and key.key.key_size < MIN_RSA_BITS:
                    found.append(
                        _bad_key("the RSA key is too short", f"{key.key.key_size} bits", place)
                    )
                keys[each["kid"]] = key
        problems += found
    return keys, problems


def _algorithm(key: Mapping[str, Any]) -> str | None:
    crv = key.get("crv")
    return ALGORITHMS.get((str(key["kty"]), None if crv is None else str(crv)))


def _unfit(key: Mapping[str, Any], where: str) -> Iterator[Problem]:
    private = sorted(_PRIVATE & set(key))
    if private:
        yield _bad_key("the key holds secret members", ", ".join(private), where)
    algorithm = _algorithm(key)
    if algorithm is None:
        kind = f"{key['kty']} {key.get('crv', '')}".strip()
        yield _bad_key("the key is of a kind that is not used", kind, where)
    elif key.get("alg", algorithm) != algorithm:
        yield _bad_key("the key is for another algorithm", key["alg"], where)
    if key.get("use", "sig") != "sig":
        yield _bad_key("the key is not for signatures", key["use"], where)


def _bad_key(what: str, value: object, where: str) -> Problem:
    return problem(
        "policy.issuer-key",
        what,
        value=value,
        expected=f"a public P-256, Ed25519 or RSA key (>= {MIN_RSA_BITS} bits) with a kid",
        advice="take the issuer's published JWK set, without the keys that do not fit",
        where=where,
    )


def issuer_of(token: str, issuers: Mapping[str, Issuer]) -> Issuer | None:
    """Return the issuer that a token claims, if it is one of `issuers`. Nothing is verified.

    Args:
        token: the bearer token as it came; anything.
        issuers: the policy's, by `iss`.
    """
    if token.count(".") != 2 or len(token) > MAX_TOKEN_BYTES:
        return None
    try:
        claimed = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except Exception:  # noqa: BLE001 - what cannot be read is no token of an issuer
        return None
    return issuers.get(claimed) if isinstance(claimed, str) else None


def verify(token: str, issuer: Issuer, now: datetime) -> Passed[Identity] | Failed:
    """Verify a token's signature and claims.

    Args:
        token: a token that claims to be of `issuer`.
        issuer: whose keys count.
        now: the time, aware.

    Returns:
        Who it speaks of, or why it is not believed.
    """
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = issuer.keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            return _refused("key", "the token's key is not one that the policy has")
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=issuer.audience,
            issuer=issuer.issuer,
            # The time is the runner's own (`_untimely`), not the one that the library reads.
            options={
                "require": ["iss", "aud", "sub", "exp", "iat"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidAudienceError:
        return _refused("audience", "the token is for another audience")
    except jwt.MissingRequiredClaimError as error:
        return _refused("claims", f"the token lacks the claim {error.claim}")
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
        return _refused("signature", "the token's signature is not one by its key")
    except Exception:  # noqa: BLE001 - whatever goes wrong with a token, it is not believed
        return _refused("invalid", "the token cannot be verified")
    untimely = _untimely(claims, now.timestamp())
    if untimely is not None:
        return untimely
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject:
        return _refused("claims", "the token names no subject")
    return Passed(Identity(issuer.issuer, subject))


def _untimely(claims: Mapping[str, Any], now: float) -> Failed | None:
    times = [_seconds(claims[name]) for name in ("exp", "iat")]
    times.append(_seconds(claims.get("nbf", claims["iat"])))
    if not all(math.isfinite(each) for each in times):
        return _refused("claims", "the token's times are not numbers")
    exp, iat, nbf = times
    if exp + LEEWAY_SECONDS <= now:
        return _refused("expired", "the token has expired")
    if max(iat, nbf) - LEEWAY_SECONDS > now:
        return _refused("early", "the token is not valid yet")
    if not 0 < exp - iat <= MAX_LIFETIME_SECONDS:
        return _refused("lifetime", "the token lives too long")
    return None


def _seconds(value: object) -> float:
    """Return a NumericDate; NaN for what is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _refused(code: str, what: str) -> Failed:
    """Refuse, with no word of the token: what it says is not believed, and it is a secret."""
    return Failed(
        (
            problem(
                f"caller.token-{code}",
                what,
                expected="a current token of a configured issuer, for this runner's audience, "
                f"that lives at most {MAX_LIFETIME_SECONDS // 3600} hours",
                advice="fetch a new token from the issuer",
            ),
        )
    )
