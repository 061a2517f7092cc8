"""The session cookie: signed, an hour long, with nothing in it but who signed in.

The key is 32 random bytes in a file of mode 0600, made at the first start. Cookies know no ports:
on one host, another service of it sees them too. That is harmless here, since a session opens
nothing; a deployment for many people gives each service a host name.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, session

from registry.errors import Unavailable
from registry.services import current
from registry.settings import Settings, SignIn
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


def begin(person: Identity) -> None:
    """Sign `person` in, in a session that has nothing of the earlier one."""
    session.clear()
    session.permanent = True
    session[_PERSON] = {
        "issuer": person.issuer,
        "subject": person.subject,
        "at": int(current().clock().timestamp()),
    }


def end() -> None:
    """Sign out."""
    session.clear()


def state() -> SignInState | None:
    """Return who is signed in; None where the registry has no sign-in."""
    sign_in = current().settings.sign_in
    if sign_in is None:
        return None
    found = session.get(_PERSON)
    if not isinstance(found, dict) or found.get("issuer") != sign_in.issuer:
        return SignInState(None)
    age = current().clock().timestamp() - int(found["at"])
    if not 0 <= age < LIFETIME.total_seconds():
        return SignInState(None)
    return SignInState(Identity(found["issuer"], found["subject"]))
