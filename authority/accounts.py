"""Local accounts: people (e-mail addresses) and workloads (URIs), with Argon2id password hashes.

Guessing is bounded in two ways: after some failures in a row an account makes everybody wait, ever
longer, and only so many passwords are hashed at a time. An unknown account costs the same work
and gets the same answer as a wrong password. The counters live in memory.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from authority import files
from authority.errors import RequestRefused, TooManyAttempts, Unauthenticated
from authority.subjects import check_subject
from trust import strictjson
from trust.errors import SealgateError, problem

MIN_PASSWORD = 12
MAX_PASSWORD = 1024
FREE_FAILURES = 5
"""Wrong passwords in a row that cost no waiting."""
MAX_WAIT_SECONDS = 60
MAX_TRACKED = 10_000
"""Account names whose failures are remembered; the least recently tried is forgotten first."""
CONCURRENT_HASHES = 2
"""Argon2 needs 64 MiB each."""


@dataclass(slots=True)
class _Failures:
    count: int
    last: datetime

    def wait(self, now: datetime) -> int:
        """Return for how many more seconds attempts are refused."""
        if self.count < FREE_FAILURES:
            return 0
        pause = min(1 << min(self.count - FREE_FAILURES, 10), MAX_WAIT_SECONDS)
        return max(0, pause - int((now - self.last).total_seconds()))


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
        self._clock = clock
        self._hasher = hasher or PasswordHasher()
        self._hashes = self._read()
        self._nobody = self._hasher.hash(secrets.token_hex())
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()
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
        self._admit(name)
        if not self._working.acquire(timeout=10):
            self._slow_down("the authority is checking other passwords", 1)
        try:
            stored = self._hashes.get(name)
            # The same work whether or not the account exists.
            right = self._matches(stored or self._nobody, password[:MAX_PASSWORD])
        finally:
            self._working.release()
        with self._lock:
            if right and stored is not None and len(password) <= MAX_PASSWORD:
                self._failures.pop(name, None)
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

    def _admit(self, name: str) -> None:
        """Count the attempt as a failure until it succeeds, so that parallel guesses count."""
        now = self._clock()
        with self._lock:
            failures = self._failures.setdefault(name, _Failures(0, now))
            self._failures.move_to_end(name)
            wait = failures.wait(now)
            if not wait:
                failures.count += 1
                failures.last = now
            while len(self._failures) > MAX_TRACKED:
                self._failures.popitem(last=False)
        if wait:
            self._slow_down(f"too many wrong passwords for {name}", wait)

    @staticmethod
    def _slow_down(what: str, seconds: int) -> NoReturn:
        raise TooManyAttempts(
            problem(
                "authority.attempts",
                what,
                value=f"wait {seconds} s",
                expected="fewer attempts",
                advice="wait, then try again with the right password",
            ),
            seconds,
        )
