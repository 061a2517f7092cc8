"""API tokens: made, shown once, used, revoked. At rest there is their SHA-256 only.

A token grants less than its owner may: its scopes, its plugins, its time. What it opens carries no
trust; an upload is judged by its attestation with a token as without.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NoReturn

from sqlalchemy import delete, func, select, update

from registry.accounts import secrets
from registry.accounts.models import ApiToken
from registry.errors import BadRequest, NotFound
from registry.names import normalised
from registry.services import Services
from trust.errors import problem
from trust.identity import Identity

MAX_NAME = 100
MAX_PLUGINS = 50
MAX_DAYS = 365
MAX_TOKENS = 100
"""Live tokens of one person."""
PERSONAL, PUBLISHER = "personal", "publisher"
USE_NOTED_EVERY = timedelta(minutes=1)
KEPT_AFTER_END = timedelta(days=30)
"""So long an ended token stays in the list."""


class Scope(StrEnum):
    """What a token is good for."""

    READ = "read"
    SUBMIT = "submit"
    REVIEW = "review"
    COMMENT = "comment"


SCOPE_WORDS = {
    Scope.READ: "read what is shown to you alone",
    Scope.SUBMIT: "send signed wheels",
    Scope.REVIEW: "send signed reviews",
    Scope.COMMENT: "write comments on lines under review",
}


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What a good token says.

    Attributes:
        id: the token's number.
        owner: whom it stands for.
        kind: `personal`, or `publisher`.
        name: what its owner calls it.
        scopes: what it is good for.
        plugins: the normalised names that it is good for; empty for any.
    """

    id: int
    owner: Identity
    kind: str
    name: str
    scopes: frozenset[Scope]
    plugins: frozenset[str]

    def covers(self, plugin: str) -> bool:
        """Tell whether the token is good for this plugin (a normalised name)."""
        return not self.plugins or plugin in self.plugins


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token as its owner sees it; the token itself is shown by `create` alone.

    Attributes:
        state: `live`, `expired` or `revoked`.
    """

    id: int
    name: str
    kind: str
    owner: Identity
    scopes: tuple[str, ...]
    plugins: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    state: str


def _refuse(where: str, what: str, value: object, expected: str) -> NoReturn:
    raise BadRequest(
        problem(
            "accounts.token-form",
            what,
            value=value,
            expected=expected,
            advice="correct it and send the form again; nothing was made",
            where=where,
        )
    )


def checked_name(name: str) -> str:
    """Return a name that somebody gave to a thing of theirs, trimmed and normalised (NFC).

    Raises:
        BadRequest: it is empty, too long, or has characters that cannot be shown.
    """
    text = unicodedata.normalize("NFC", name.strip())
    if not text or len(text) > MAX_NAME or not text.isprintable():
        _refuse(
            "name", "the name cannot be used", name[:80], f"1 to {MAX_NAME} printable characters"
        )
    return text


def create(
    services: Services,
    owner: Identity,
    name: str,
    scopes: Collection[str],
    plugins: Collection[str],
    days: int,
) -> str:
    """Make a personal token and return its text, which nothing can show again.

    Args:
        services: the registry's parts.
        owner: whom it stands for.
        name: what its owner calls it.
        scopes: what it is good for, at least one.
        plugins: names of the plugins that it is good for; empty for any.
        days: for how many days, 1 to 365.

    Raises:
        BadRequest: an argument is out of bounds, or there are too many tokens.
    """
    text = checked_name(name)
    unknown = sorted(set(scopes) - {str(scope) for scope in Scope})
    if not scopes or unknown:
        _refuse("scopes", "the scopes are not known", ", ".join(unknown), ", ".join(Scope))
    names = sorted({normalised(each) or "" for each in plugins})
    if len(names) > MAX_PLUGINS or "" in names:
        _refuse("plugins", "a plugin's name is malformed", " ".join(plugins)[:200], "plugin names")
    if not 1 <= days <= MAX_DAYS:
        _refuse("days", "the time is out of bounds", days, f"1 to {MAX_DAYS} days")
    made, now = secrets.make(), services.clock()
    with services.database.write() as session:
        live = session.scalar(
            select(func.count())
            .select_from(ApiToken)
            .where(
                ApiToken.issuer == owner.issuer,
                ApiToken.subject == owner.subject,
                ApiToken.revoked_at.is_(None),
                ApiToken.expires_at > now,
            )
        )
        if (live or 0) >= MAX_TOKENS:
            _refuse("", "you have too many tokens", live, f"fewer than {MAX_TOKENS}: revoke some")
        session.execute(delete(ApiToken).where(ApiToken.expires_at < now - KEPT_AFTER_END))
        session.add(
            ApiToken(
                sha256=secrets.digest(made),
                kind=PERSONAL,
                name=text,
                issuer=owner.issuer,
                subject=owner.subject,
                scopes=sorted(set(scopes)),
                plugins=names,
                created_at=now,
                expires_at=now + timedelta(days=days),
            )
        )
    return made


def use(services: Services, text: str) -> TokenGrant | None:
    """Return what a presented token says; None where it is not good now."""
    if not secrets.is_token(text):
        return None
    now = services.clock()
    with services.database.read() as session:
        row = session.scalar(select(ApiToken).where(ApiToken.sha256 == secrets.digest(text)))
        if row is None or row.revoked_at is not None or now >= row.expires_at:
            return None
        noted = row.last_used_at
        grant = TokenGrant(
            row.id,
            row.owner,
            row.kind,
            row.name,
            frozenset(Scope(scope) for scope in row.scopes),
            frozenset(row.plugins),
        )
    if noted is None or now - noted >= USE_NOTED_EVERY:
        with services.database.write() as session:
            session.execute(
                update(ApiToken).where(ApiToken.id == grant.id).values(last_used_at=now)
            )
    return grant


def listed(services: Services, owner: Identity | None) -> tuple[TokenView, ...]:
    """Return somebody's tokens, the newest first; everybody's where `owner` is None."""
    query = select(ApiToken).order_by(ApiToken.id.desc())
    if owner is not None:
        query = query.where(ApiToken.issuer == owner.issuer, ApiToken.subject == owner.subject)
    now = services.clock()
    with services.database.read() as session:
        return tuple(
            TokenView(
                row.id,
                row.name,
                row.kind,
                row.owner,
                tuple(row.scopes),
                tuple(row.plugins),
                row.created_at,
                row.expires_at,
                row.last_used_at,
                "revoked" if row.revoked_at else "expired" if now >= row.expires_at else "live",
            )
            for row in session.scalars(query)
        )


def revoke(services: Services, number: int, owner: Identity | None) -> None:
    """Revoke a token; it is refused from now on.

    Args:
        services: the registry's parts.
        number: the token's.
        owner: whose it must be; None for anybody's.

    Raises:
        NotFound: there is no such token of this owner.
    """
    query = update(ApiToken).where(ApiToken.id == number, ApiToken.revoked_at.is_(None))
    if owner is not None:
        query = query.where(ApiToken.issuer == owner.issuer, ApiToken.subject == owner.subject)
    with services.database.write() as session:
        found = session.scalar(query.values(revoked_at=services.clock()).returning(ApiToken.id))
    if found is None:
        raise NotFound(
            problem(
                "accounts.no-such-token",
                "there is no such token",
                value=str(number),
                expected="a live token of yours",
                advice="see the list at /account/tokens",
            )
        )
