"""Sessions: a signed cookie, an hour long, that names a row which signing out removes.

The cookie has who signed in and a random number; the row has the number's SHA-256. A cookie whose
row is gone is nobody's, so a person can sign out everywhere. The key is 32 random bytes in a file
of mode 0600, made at the first start. Cookies know no ports: on one host, another service of it
sees them too; a deployment for many people gives each service a host name. A session opens
nothing that bears trust (`registry.accounts`).
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, g, request, session
from sqlalchemy import delete, select

from registry.accounts.models import SessionRow
from registry.accounts.secrets import digest
from registry.errors import Unavailable
from registry.services import Services, current
from registry.settings import Settings, SignIn
from registry.signin import record
from trust.errors import problem
from trust.identity import Identity

LIFETIME = timedelta(hours=1)
KEY_BYTES = 32
_PERSON = "person"


@dataclass(frozen=True, slots=True)
class SignInState:
    """What the head of a page shows.

    Attributes:
        person: who is signed in; None for nobody.
    """

    person: Identity | None


def install(app: Flask, settings: Settings, sign_in: SignIn) -> None:
    """Give `app` session cookies.

    Raises:
        Unavailable: the key cannot be read or made.
    """
    secure = urlsplit(settings.base_url).scheme == "https"
    app.secret_key = read_key(sign_in.session_key)
    app.config.update(
        SESSION_COOKIE_NAME="__Host-sealgate_session" if secure else "sealgate_registry_session",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        # Not Strict: the issuer sends people back from another site, to a pending sign-in.
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=LIFETIME,
    )


def read_key(path: Path) -> bytes:
    """Return the key in the file, which is made if it is not there.

    Raises:
        Unavailable: it cannot be made or read, is open to others, or is not a key.
    """
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise _unusable(path, str(error)) from error
    if mode & 0o077:
        raise _unusable(path, f"mode {mode:04o}")
    if len(key) != KEY_BYTES:
        raise _unusable(path, f"{len(key)} bytes")
    return key


def _unusable(path: Path, value: str) -> Unavailable:
    return Unavailable(
        problem(
            "registry.session-key",
            "the key of the session cookies cannot be used",
            value=value,
            expected=f"a file of {KEY_BYTES} random bytes, mode 0600",
            advice="move the file away: a new key is made, and everybody signs in again",
            where=str(path),
        )
    )


@dataclass(frozen=True, slots=True)
class SessionView:
    """A browser in which somebody is signed in.

    Attributes:
        browser: what it calls itself, at most 200 characters.
        this: whether it is the one that asks.
    """

    began_at: datetime
    ends_at: datetime
    browser: str
    this: bool


def begin(person: Identity) -> None:
    """Sign `person` in, in a session that has nothing of the earlier one."""
    end()
    services, secret = current(), secrets.token_urlsafe(32)
    now = services.clock()
    with services.database.write() as database:
        database.execute(delete(SessionRow).where(SessionRow.ends_at <= now))
        database.add(
            SessionRow(
                sha256=digest(secret),
                issuer=person.issuer,
                subject=person.subject,
                began_at=now,
                ends_at=now + LIFETIME,
                browser=request.headers.get("User-Agent", "")[:200],
            )
        )
        record.add(database, record.SIGNED_IN, person, now, "")
    session.permanent = True
    session[_PERSON] = {"issuer": person.issuer, "subject": person.subject, "secret": secret}


def end() -> None:
    """Sign out, here."""
    found = session.get(_PERSON)
    session.clear()
    g.pop("signed_in", None)
    if isinstance(found, dict) and isinstance(found.get("secret"), str):
        services = current()
        with services.database.write() as database:
            row = database.scalar(
                delete(SessionRow)
                .where(SessionRow.sha256 == digest(found["secret"]))
                .returning(SessionRow)
            )
            if row is not None:
                who = Identity(row.issuer, row.subject)
                record.add(database, record.SIGNED_OUT, who, services.clock(), "")


def end_everywhere(services: Services, person: Identity) -> None:
    """Sign `person` out of every browser."""
    with services.database.write() as database:
        ended = database.scalars(
            delete(SessionRow)
            .where(SessionRow.issuer == person.issuer, SessionRow.subject == person.subject)
            .returning(SessionRow.id)
        ).all()
        if ended:
            said = f"everywhere, {len(ended)} sessions" if len(ended) > 1 else "everywhere"
            record.add(database, record.SIGNED_OUT, person, services.clock(), said)


def listed(services: Services, person: Identity) -> tuple[SessionView, ...]:
    """Return where `person` is signed in, the newest first."""
    found = session.get(_PERSON)
    own = digest(found["secret"]) if isinstance(found, dict) else ""
    with services.database.read() as database:
        return tuple(
            SessionView(row.began_at, row.ends_at, row.browser, row.sha256 == own)
            for row in database.scalars(
                select(SessionRow)
                .where(
                    SessionRow.issuer == person.issuer,
                    SessionRow.subject == person.subject,
                    SessionRow.ends_at > services.clock(),
                )
                .order_by(SessionRow.id.desc())
            )
        )


def state() -> SignInState | None:
    """Return who is signed in; None where the registry has no sign-in."""
    sign_in = current().settings.sign_in
    if sign_in is None:
        return None
    if "signed_in" not in g:
        g.signed_in = _person(current(), sign_in)
    return SignInState(g.signed_in)


def _person(services: Services, sign_in: SignIn) -> Identity | None:
    """Return whom the cookie stands for: its row is there, and says the same."""
    found = session.get(_PERSON)
    if not isinstance(found, dict) or not isinstance(found.get("secret"), str):
        return None
    now = services.clock()
    with services.database.read() as database:
        row = database.scalar(
            select(SessionRow).where(SessionRow.sha256 == digest(found["secret"]))
        )
        if row is None or not row.began_at <= now < row.ends_at or row.issuer != sign_in.issuer:
            return None
        return Identity(row.issuer, row.subject)
