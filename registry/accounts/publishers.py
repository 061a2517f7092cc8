"""Trusted publishing: a CI job exchanges its identity token for a token that uploads one plugin.

The flow is that of PyPI (https://docs.pypi.org/trusted-publishers/), which `uv publish` speaks.
What is minted lives 15 minutes, has the scope `submit`, and is good for the plugins that have this
publisher. It does not replace the attestation: whose wheel it is, the upload's bundle says.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry.accounts import issuers, secrets
from registry.accounts.errors import Unauthenticated
from registry.accounts.issuers import Claims, Issuer
from registry.accounts.models import ApiToken, RedeemedToken, TrustedPublisher
from registry.accounts.tokens import MAX_NAME, PUBLISHER, Scope
from registry.errors import BadRequest, Conflict, NotFound
from registry.lookup import find_plugin
from registry.services import Services
from trust.errors import problem
from trust.identity import Identity

LIFETIME = timedelta(minutes=15)
MAX_PER_PLUGIN = 20

log = logging.getLogger("registry.accounts")


@dataclass(frozen=True, slots=True)
class PublisherView:
    """A trusted publisher as the plugin's owner sees it."""

    id: int
    issuer: str
    claims: tuple[tuple[str, str], ...]
    pinned: tuple[tuple[str, str], ...]
    added_by: Identity
    added_at: datetime
    last_used_at: datetime | None


def known_issuers(services: Services) -> Mapping[str, Issuer]:
    """Return the CI services that the settings name; none where trusted publishing is off.

    Raises:
        Unavailable: the file cannot be used.
    """
    path = services.settings.accounts.publisher_issuers
    return {} if path is None else issuers.load(path)


def audience(services: Services) -> str:
    """Return the audience that identity tokens must have: this registry, and nobody else.

    Raises:
        NotFound: trusted publishing is off.
    """
    if services.settings.accounts.publisher_issuers is None:
        raise NotFound(
            problem(
                "publishing.off",
                "this registry has no trusted publishing",
                expected="a registry whose operator named CI services",
                advice="upload with an API token, or without any: see docs/pypi.md",
            )
        )
    return services.settings.base_url


def listed(services: Services, name: str) -> tuple[PublisherView, ...]:
    """Return a plugin's trusted publishers, oldest first.

    Raises:
        NotFound: there is no such plugin.
    """
    with services.database.read() as session:
        plugin = find_plugin(session, name)
        rows = session.scalars(
            select(TrustedPublisher)
            .where(TrustedPublisher.plugin_id == plugin.id)
            .order_by(TrustedPublisher.id)
        )
        return tuple(
            PublisherView(
                row.id,
                row.issuer,
                tuple(sorted(row.claims.items())),
                tuple(sorted(row.pinned.items())),
                Identity(row.added_issuer, row.added_subject),
                row.added_at,
                row.last_used_at,
            )
            for row in rows
        )


def add(services: Services, name: str, person: Identity, form: Mapping[str, str]) -> None:
    """Register a trusted publisher of a plugin.

    Args:
        services: the registry's parts.
        name: the plugin's name.
        person: who does it.
        form: `issuer`, and the fields of its kind.

    Raises:
        NotFound: there is no such plugin.
        BadRequest: the issuer is not known, or a field is not as it must be.
        Conflict: it is registered already, or there are too many.
    """
    issuer = known_issuers(services).get(form.get("issuer", ""))
    if issuer is None:
        raise _malformed("issuer", form, "a CI service of the list")
    found = issuers.checked_claims(issuer.kind, form)
    if isinstance(found, issuers.Field):
        raise _malformed(found.name, form, f"like {found.hint}")
    with services.database.write() as session:
        plugin = find_plugin(session, name)
        rows = session.scalars(
            select(TrustedPublisher).where(TrustedPublisher.plugin_id == plugin.id)
        ).all()
        same = any((row.issuer, row.claims) == (issuer.url, found) for row in rows)
        if same or len(rows) >= MAX_PER_PLUGIN:
            raise Conflict(
                problem(
                    "publishing.exists",
                    "this publisher is registered already" if same else "there are too many",
                    value=plugin.name,
                    expected=f"another one, and at most {MAX_PER_PLUGIN}",
                    advice="see the list on this page",
                )
            )
        session.add(
            TrustedPublisher(
                plugin_id=plugin.id,
                issuer=issuer.url,
                claims=found,
                pinned={},
                added_issuer=person.issuer,
                added_subject=person.subject,
                added_at=services.clock(),
            )
        )
    log.info("%s added a trusted publisher of %s: %s", person, name, found)


def _malformed(field: str, form: Mapping[str, str], expected: str) -> BadRequest:
    return BadRequest(
        problem(
            "publishing.form",
            "the trusted publisher cannot be registered like this",
            value=form.get(field, "")[:200],
            expected=expected,
            advice="correct it and send the form again",
            where=field,
        )
    )


def remove(services: Services, name: str, number: int) -> None:
    """Remove a trusted publisher, and end the tokens that were minted for its plugin.

    Raises:
        NotFound: the plugin has no such publisher.
    """
    with services.database.write() as session:
        plugin = find_plugin(session, name)
        row = session.scalar(
            select(TrustedPublisher).where(
                TrustedPublisher.id == number, TrustedPublisher.plugin_id == plugin.id
            )
        )
        if row is None:
            raise NotFound(
                problem(
                    "publishing.no-such-publisher",
                    "the plugin has no such trusted publisher",
                    value=str(number),
                    expected="one of its list",
                    advice="see the list on the page of its publishers",
                )
            )
        live = session.scalars(
            select(ApiToken).where(
                ApiToken.kind == PUBLISHER,
                ApiToken.issuer == row.issuer,
                ApiToken.expires_at > services.clock(),
            )
        ).all()
        session.delete(row)
        for token in live:
            if plugin.name in token.plugins:
                token.revoked_at = services.clock()


@dataclass(frozen=True, slots=True)
class Minted:
    """A token for a trusted publisher, shown once."""

    text: str
    plugins: tuple[str, ...]


def mint(services: Services, token: str) -> Minted:
    """Exchange an identity token of a CI job for an upload token.

    Raises:
        NotFound: trusted publishing is off.
        Unauthenticated: the identity token is refused, was used, or is of no trusted publisher.
        Unavailable: the file of CI services cannot be used.
    """
    wanted, now = audience(services), services.clock()
    known = known_issuers(services)
    claims = issuers.verify(token, known, wanted, now)
    try:
        with services.database.write() as session:
            return _mint(session, known[claims["iss"]], claims, now)
    except IntegrityError as error:
        raise _no(
            "publishing.replay",
            "this identity token was used",
            claims["jti"],
            "a token that was not exchanged yet",
        ) from error


def _mint(session: Session, issuer: Issuer, claims: Claims, now: datetime) -> Minted:
    pins = {name: str(claims[name]) for name in issuer.kind.pins if name in claims}
    publishers = session.scalars(
        select(TrustedPublisher).where(TrustedPublisher.issuer == issuer.url)
    )
    own = [row for row in publishers if issuer.kind.matches(row.claims, claims)]
    if len(pins) != len(issuer.kind.pins):
        own = []
    good = [row for row in own if not row.pinned or row.pinned == pins]
    if not good:
        said = {f.name: claims.get(f.name) for f in issuer.kind.fields} | {"sub": claims["sub"]}
        if own:
            raise _no(
                "publishing.taken-over",
                "the names are of a trusted publisher, but their ids changed",
                _told(said | pins),
                "the ids of its first token: remove and add it if it was made anew",
            )
        raise _no(
            "publishing.no-publisher",
            "no plugin trusts this publisher",
            _told(said),
            "a publisher that a plugin's owner registered, claim by claim",
        )
    session.execute(delete(RedeemedToken).where(RedeemedToken.expires_at < now))
    used = hashlib.sha256(f"{issuer.url}\0{claims['jti']}".encode()).hexdigest()
    ends = datetime.fromtimestamp(claims["exp"], UTC)
    session.add(RedeemedToken(sha256=used, expires_at=ends))
    session.flush()
    for row in good:
        row.pinned, row.last_used_at = pins, now
    names = sorted({row.plugin.name for row in good})
    text = secrets.make()
    session.add(
        ApiToken(
            sha256=secrets.digest(text),
            kind=PUBLISHER,
            name=str(claims["sub"])[:MAX_NAME],
            issuer=issuer.url,
            subject=claims["sub"],
            scopes=[Scope.SUBMIT],
            plugins=names,
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    log.info("a token for %s was minted for %s", ", ".join(names), claims["sub"])
    return Minted(text, tuple(names))


def _told(said: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(said.items()) if value)[:500]


def _no(code: str, what: str, value: str, expected: str) -> Unauthenticated:
    return Unauthenticated(
        problem(
            code,
            what,
            value=value,
            expected=expected,
            advice="see the page of the plugin's trusted publishers",
        )
    )
