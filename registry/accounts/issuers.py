"""The CI services whose identity tokens may be exchanged, and what their tokens say.

The operator names them in a file, each with its keys (a JSON Web Key Set, RFC 7517): the registry
asks nobody for keys. A kind of service says which claims a publisher is registered by, and which
of a token's ids never change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt

from registry.accounts.errors import Unauthenticated
from registry.errors import Unavailable
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.evidence.bundles import is_plain

MAX_TOKEN = 16 * 1024
MAX_LIFETIME_SECONDS = 24 * 3600
LEEWAY_SECONDS = 30
ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
"""By the key's type, never by the token's word (RFC 8725 section 3.1)."""

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A claim that a publisher is registered by.

    Attributes:
        name: the name in forms and rows.
        label: in words.
        pattern: what it must match, whole.
        hint: an example.
        required: whether it may not be left out.
    """

    name: str
    label: str
    pattern: str
    hint: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of CI service.

    Attributes:
        title: its name.
        fields: what a publisher is registered by.
        pins: claims that name the same things by ids which are never given out again.
        matches: tells whether a token's claims are of the registered publisher.
    """

    title: str
    fields: tuple[Field, ...]
    pins: tuple[str, ...]
    matches: Callable[[Mapping[str, str], Claims], bool]


def _github(registered: Mapping[str, str], claims: Claims) -> bool:
    """https://docs.github.com/actions/concepts/security/openid-connect"""
    repository = registered["repository"]
    workflow = f"{repository}/.github/workflows/{registered['workflow']}"
    return (
        claims.get("repository") == repository
        and claims.get("job_workflow_ref")
        in {f"{workflow}@{claims.get(at)}" for at in ("ref", "sha") if claims.get(at)}
        and _environment(registered, claims)
    )


def _gitlab(registered: Mapping[str, str], claims: Claims) -> bool:
    """https://docs.gitlab.com/ci/secrets/id_token_authentication/"""
    host = str(claims.get("iss", "")).partition("://")[2]
    workflow = f"{host}/{registered['project']}//{registered['workflow']}"
    return (
        claims.get("project_path") == registered["project"]
        and claims.get("ci_config_ref_uri") == f"{workflow}@{claims.get('ref_path')}"
        and _environment(registered, claims)
    )


def _environment(registered: Mapping[str, str], claims: Claims) -> bool:
    wanted = registered.get("environment", "")
    return not wanted or claims.get("environment") == wanted


def _subject(registered: Mapping[str, str], claims: Claims) -> bool:
    return claims.get("sub") == registered["sub"]


_ENVIRONMENT = Field("environment", "Environment", r"[!-~]{1,255}", "release", required=False)
_PART = r"[A-Za-z0-9._-]+"

KINDS: Mapping[str, Kind] = {
    "github": Kind(
        "GitHub Actions",
        (
            Field("repository", "Repository", rf"{_PART}/{_PART}", "owner/repository"),
            Field("workflow", "Workflow file", rf"{_PART}\.ya?ml", "release.yml"),
            _ENVIRONMENT,
        ),
        ("repository_id", "repository_owner_id"),
        _github,
    ),
    "gitlab": Kind(
        "GitLab CI",
        (
            Field("project", "Project", rf"{_PART}(/{_PART})+", "group/project"),
            Field("workflow", "CI file", rf"{_PART}(/{_PART})*\.ya?ml", ".gitlab-ci.yml"),
            _ENVIRONMENT,
        ),
        ("project_id", "namespace_id"),
        _gitlab,
    ),
    "other": Kind(
        "Another service",
        (Field("sub", "Subject", r"[!-~]{1,400}", "https://ci.example/job/release"),),
        (),
        _subject,
    ),
}


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CI service that is named in the settings.

    Attributes:
        url: its issuer, as tokens name it.
        kind: what its tokens say.
        keys: its public keys, by `kid`.
    """

    url: str
    kind: Kind
    keys: Mapping[str, jwt.PyJWK]


def _key(row: Mapping[str, Any]) -> jwt.PyJWK:
    return jwt.PyJWK(dict(row), ALGORITHMS[row["kty"]])


def load(path: Path) -> Mapping[str, Issuer]:
    """Read the file of issuers.

    `{"https://token.actions.githubusercontent.com": {"kind": "github", "jwks": {"keys": [...]}}}`

    Raises:
        Unavailable: it cannot be read, or is not as it must be.
    """
    try:
        rows: Any = strictjson.loads(path.read_bytes())
        return {
            url: Issuer(
                url,
                KINDS[row["kind"]],
                {key["kid"]: _key(key) for key in row["jwks"]["keys"]},
            )
            for url, row in rows.items()
        }
    except (OSError, SealgateError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise Unavailable(
            problem(
                "publishing.issuers",
                "the file of CI services cannot be used",
                value=f"{type(error).__name__}: {error}",
                expected="issuer -> kind and jwks (keys with kid; RSA, or EC on P-256)",
                advice="the registry's operator must restore it; see docs/registry.md",
                where=path.name,
            )
        ) from error


def _refusal(what: str, value: object, expected: str) -> Unauthenticated:
    return Unauthenticated(
        problem(
            "publishing.token",
            what,
            value=value,
            expected=expected,
            advice="ask the CI service for a fresh token, for this registry's audience",
        )
    )


def verify(token: str, issuers: Mapping[str, Issuer], audience: str, now: datetime) -> Claims:
    """Return the claims of an identity token (OpenID Connect Core section 3.1.3.7).

    Args:
        token: the token.
        issuers: whose tokens are taken.
        audience: for whom it must be, alone.
        now: the time.

    Raises:
        Unauthenticated: it is malformed, of an issuer or key that is not named, for somebody
            else, expired, not yet valid, or without the id by which its use is remembered.
    """
    if len(token) > MAX_TOKEN:
        raise _refusal("the token is too long", len(token), f"at most {MAX_TOKEN} characters")
    try:
        head = jwt.get_unverified_header(token)
        told = jwt.decode(token, options={"verify_signature": False})
        issuer = issuers.get(told["iss"])
        key = issuer.keys.get(head["kid"]) if issuer is not None else None
    except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
        raise _refusal("the token cannot be read", error, "an OIDC identity token") from error
    if issuer is None or key is None:
        value = f"{str(told['iss'])[:200]} key {str(head['kid'])[:80]}"
        raise _refusal("the issuer or its key is not known here", value, ", ".join(sorted(issuers)))
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=audience,
            issuer=issuer.url,
            options={
                "require": ["iss", "sub", "aud", "iat", "exp", "jti"],
                "strict_aud": True,
                # Times are checked below, against the injected clock.
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise _refusal("the token is refused", error, f"a token for {audience}") from error
    _check_times(claims, now.timestamp())
    for name in ("sub", "jti"):
        text = claims[name]
        if not isinstance(text, str) or not is_plain(text) or not 1 <= len(text) <= 500:
            raise _refusal("a claim is unusable", name, "plain text of at most 500 characters")
    return claims


def _check_times(claims: Claims, now: float) -> None:
    times = [claims[name] for name in ("iat", "exp", "nbf") if name in claims]
    if any(type(moment) not in (int, float) for moment in times):
        raise _refusal("a time in the token is malformed", times, "numbers")
    # Written so that a NaN, which Python's JSON knows, passes none of them.
    if not now < claims["exp"]:
        raise _refusal("the token has expired", claims["exp"], f"later than {int(now)}")
    if not (claims["iat"] <= now + LEEWAY_SECONDS and claims.get("nbf", 0) <= now + LEEWAY_SECONDS):
        raise _refusal("the token is not valid yet", claims["iat"], f"at most {int(now)}")
    if not claims["exp"] - claims["iat"] <= MAX_LIFETIME_SECONDS:
        raise _refusal("the token lives too long", claims["exp"], f"{MAX_LIFETIME_SECONDS} seconds")


def checked_claims(kind: Kind, form: Mapping[str, str]) -> dict[str, str] | Field:
    """Return the claims that a form registers a publisher by, or the field that is wrong."""
    found = {}
    for field in kind.fields:
        text = form.get(field.name, "").strip()
        if not text and not field.required:
            continue
        if len(text) > 400 or not re.fullmatch(field.pattern, text):
            return field
        found[field.name] = text
    return found
