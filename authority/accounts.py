"""Local accounts: people (e-mail addresses) and workloads (URIs), with Argon2id password hashes.

Guessing is bounded in two ways: by `authority.attempts`, and only so many passwords are hashed at
a time. An unknown account costs the same work and gets the same answer as a wrong password.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from authority import files
from authority.attempts import Attempts, slow_down
from authority.errors import RequestRefused, Unauthenticated
from authority.subjects import check_subject
from trust import strictjson
from trust.errors import SealgateError, problem

MIN_PASSWORD = 12
MAX_PASSWORD = 1024
CONCURRENT_HASHES = 2
"""Argon2 needs 64 MiB each."""


class Accounts:
    """The accounts in a file of mode 0600. `clock` returns the time in UTC."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime],
        hasher: PasswordHasher | None = None,
    ) -> None:
        """Read the file, if it is there.

        Raises:
            StateRefused: the file is open to others or malformed.
        """
        self._path = path
        self._hasher = hasher or PasswordHasher()
        self._hashes = self._read()
        self._nobody = self._hasher.hash(secrets.token_hex())
        self._attempts = Attempts(clock)
        self._working = threading.BoundedSemaphore(CONCURRENT_HASHES)

    def _read(self) -> dict[str, str]:
        try:
            data: Any = strictjson.loads(files.read_private(self._path))
        except FileNotFoundError:
            return {}
        except (OSError, SealgateError) as error:
            self._refuse_file(error)
        if not isinstance(data, dict) or not all(isinstance(v, str) for v in data.values()):
            self._refuse_file(type(data).__name__)
        return data

    def _refuse_file(self, value: object) -> NoReturn:
        files.refuse(
            "the accounts cannot be read",
            value,
            "a JSON object of account names and Argon2 hashes, mode 0600",
            "restore the file from a backup, or move it away and run `sealgate init`",
            self._path,
        )

    @property
    def names(self) -> list[str]:
        """The accounts' names, sorted."""
        return sorted(self._hashes)

    def ensure(self, passwords: dict[str, str]) -> None:
        """Create these accounts or give them these passwords; leave the others alone.

        Raises:
            RequestRefused: a name is neither an e-mail address nor a URI, or a password is too
                short or too long; nothing was stored.
        """
        for name, password in passwords.items():
            check_subject(name)
            if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
                raise RequestRefused(
                    problem(
                        "authority.password",
                        "the password has an unacceptable length",
                        value=f"{name}: {len(password)} characters",
                        expected=f"{MIN_PASSWORD} to {MAX_PASSWORD} characters",
                        advice="let `sealgate init` make one",
                    )
                )
        changed = {
            name: self._hasher.hash(password)
            for name, password in passwords.items()
            if not self._matches(self._hashes.get(name, self._nobody), password)
        }
        if changed:
            self._hashes = self._hashes | changed
            files.write_private(self._path, strictjson.dumps(self._hashes))

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    def authenticate(self, name: str, password: str) -> str:
        """Return the account's name if the password is right.

        Raises:
            Unauthenticated: there is no such account, or the password is wrong.
            TooManyAttempts: there were too many failures, or too many attempts at a time.
        """
        self._attempts.admit(name)
        if not self._working.acquire(timeout=10):
            slow_down("the authority is checking other passwords", 1)
        try:
            stored = self._hashes.get(name)
            # The same work whether or not the account exists.
            right = self._matches(stored or self._nobody, password[:MAX_PASSWORD])
        finally:
            self._working.release()
        if right and stored is not None and len(password) <= MAX_PASSWORD:
            self._attempts.succeeded(name)
            return name
        raise Unauthenticated(
            problem(
                "authority.credentials",
                "the account or its password is wrong",
                value=name,
                expected="an account of this authority and its password",
                advice="check both; `sealgate init` stores passwords under var/accounts/",
            )
        )
