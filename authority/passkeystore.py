"""Where passkeys are kept: one file of mode 0600, written whole or not at all."""

from __future__ import annotations

import base64
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from authority import files
from authority.errors import RequestRefused
from trust import strictjson
from trust.errors import SealgateError, problem

MAX_PER_ACCOUNT = 10
MAX_NAME = 60
HANDLE_BYTES = 32

_LOGGER = logging.getLogger("sealgate.authority")


@dataclass(frozen=True, slots=True)
class Passkey:
    """A credential of one account.

    Attributes:
        id: the credential's id, base64url.
        account: whose it is.
        name: what its owner calls it.
        public_key: the COSE key, base64url.
        sign_count: the signature counter of its last answer.
        synced: whether it may be backed up and be on several devices.
        created: when, in ISO 8601.
        last_used: when, in ISO 8601; "" for never.
        locked: whether its counter went back: it is refused until it is removed.
    """

    id: str
    account: str
    name: str
    public_key: str
    sign_count: int
    synced: bool
    created: str
    last_used: str = ""
    locked: bool = False


@dataclass(frozen=True, slots=True)
class _Stored:
    passkeys: tuple[Passkey, ...] = ()
    handles: dict[str, str] = field(default_factory=dict)
    passkey_only: tuple[str, ...] = ()


def _wrong(what: str, value: object, expected: str) -> NoReturn:
    raise RequestRefused(
        problem(
            "authority.passkey-form",
            what,
            value=value,
            expected=expected,
            advice="correct it on the page of your passkeys; nothing was changed",
        )
    )


def base64url(data: bytes) -> str:
    """Return `data` in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class PasskeyStore:
    """The passkeys in a file. `clock` returns the time in UTC."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        """Read the file, if it is there.

        Raises:
            StateRefused: the file is open to others or malformed.
        """
        self._path = path
        self.clock = clock
        self._lock = threading.Lock()
        self._stored = self._read()

    def _read(self) -> _Stored:
        try:
            data: Any = strictjson.loads(files.read_private(self._path))
            return _Stored(
                tuple(Passkey(**row) for row in data["passkeys"]),
                dict(data["handles"]),
                tuple(data["passkey_only"]),
            )
        except FileNotFoundError:
            return _Stored()
        except (OSError, SealgateError, TypeError, KeyError, ValueError) as error:
            files.refuse(
                "the passkeys cannot be read",
                error,
                "the file that this authority wrote, mode 0600",
                "restore the file from a backup, or move it away: people register again",
                self._path,
            )

    def _write(self, stored: _Stored) -> None:
        files.write_private(self._path, strictjson.dumps(asdict(stored)))
        self._stored = stored

    def of(self, account: str) -> tuple[Passkey, ...]:
        """Return the account's passkeys, oldest first."""
        return tuple(each for each in self._stored.passkeys if each.account == account)

    def find(self, credential_id: str) -> Passkey | None:
        """Return the passkey with this id (base64url)."""
        return next((p for p in self._stored.passkeys if p.id == credential_id), None)

    def only(self, account: str) -> bool:
        """Tell whether the account's password is not accepted."""
        return account in self._stored.passkey_only

    def handle(self, account: str) -> str:
        """Return the account's user handle (base64url): random, it tells nothing of the account."""
        with self._lock:
            known = self._stored.handles.get(account)
            if known is None:
                known = base64url(secrets.token_bytes(HANDLE_BYTES))
                handles = self._stored.handles | {account: known}
                self._write(replace(self._stored, handles=handles))
        return known

    def add(
        self, account: str, name: str, credential_id: str, key: str, count: int, synced: bool
    ) -> Passkey:
        """Store a new passkey; see `Passkey`.

        Raises:
            RequestRefused: the name is unusable, the credential is there already, or there are
                too many.
        """
        made = Passkey(credential_id, account, checked_name(name), key, count, synced, self._now())
        with self._lock:
            if self.find(made.id) is not None:
                _wrong("this passkey is registered already", made.id[:12], "a new one")
            if len(self.of(account)) >= MAX_PER_ACCOUNT:
                _wrong("you have too many passkeys", MAX_PER_ACCOUNT, "fewer: remove one first")
            self._write(replace(self._stored, passkeys=(*self._stored.passkeys, made)))
        _LOGGER.info("%s registered a passkey", account)
        return made

    def used(self, credential_id: str, count: int) -> bool:
        """Store the signature counter of a good answer (Level 3, section 7.2, step 22).

        Returns:
            False where it did not grow, though there is one: the credential was copied. It is
            locked, and stays so until it is removed. Also False where it is locked, or gone.
        """
        with self._lock:
            stored = self.find(credential_id)
            if stored is None or stored.locked:
                return False
            copied = (count > 0 or stored.sign_count > 0) and count <= stored.sign_count
            if copied:
                self._replace(replace(stored, locked=True))
            else:
                self._replace(replace(stored, sign_count=count, last_used=self._now()))
        if copied:
            _LOGGER.warning(
                "the passkey %r of %s is locked: its counter went from %d to %d",
                *(stored.name, stored.account, stored.sign_count, count),
            )
        return not copied

    def _now(self) -> str:
        return self.clock().isoformat(timespec="seconds")

    def _replace(self, fresh: Passkey) -> None:
        rows = tuple(fresh if each.id == fresh.id else each for each in self._stored.passkeys)
        self._write(replace(self._stored, passkeys=rows))

    def _own(self, account: str, credential_id: str) -> Passkey:
        for each in self.of(account):
            if each.id == credential_id:
                return each
        _wrong("you have no such passkey", credential_id[:12], "a passkey of this account")

    def rename(self, account: str, credential_id: str, name: str) -> None:
        """Give a passkey of the account another name.

        Raises:
            RequestRefused: it has no such passkey, or the name is unusable.
        """
        with self._lock:
            self._replace(replace(self._own(account, credential_id), name=checked_name(name)))

    def remove(self, account: str, credential_id: str) -> None:
        """Remove a passkey of the account, unless it is the last way in.

        Raises:
            RequestRefused: it has no such passkey, or no other way in would be left.
        """
        with self._lock:
            gone = self._own(account, credential_id)
            left = tuple(each for each in self._stored.passkeys if each.id != gone.id)
            if self.only(account) and not _ways(left, account):
                _wrong("this is the last way into the account", gone.name, "another passkey first")
            self._write(replace(self._stored, passkeys=left))
        _LOGGER.info("%s removed a passkey", account)

    def set_only(self, account: str, wanted: bool) -> None:
        """Refuse the account's password from now on, or accept it again.

        Raises:
            RequestRefused: it has no passkey that works.
        """
        with self._lock:
            if wanted and not _ways(self._stored.passkeys, account):
                _wrong("there is no other way into the account", "no passkey", "a passkey first")
            others = tuple(each for each in self._stored.passkey_only if each != account)
            chosen = (*others, account) if wanted else others
            self._write(replace(self._stored, passkey_only=chosen))
        _LOGGER.info("%s: password %s", account, "off" if wanted else "on")


def _ways(rows: tuple[Passkey, ...], account: str) -> bool:
    return any(each.account == account and not each.locked for each in rows)


def checked_name(name: str) -> str:
    """Return the name that somebody gives to a passkey, trimmed.

    Raises:
        RequestRefused: it is empty, too long, or has characters that cannot be shown.
    """
    text = name.strip()
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        _wrong("the name cannot be used", text[:MAX_NAME], f"1 to {MAX_NAME} printable characters")
    return text
