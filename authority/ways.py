"""The ways into an account: its password, or one of its passkeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from authority.accounts import Accounts
from authority.errors import Unauthenticated
from authority.passkeys import Passkeys
from authority.subjects import is_email
from trust.errors import problem


def _wrong(expected: str) -> Unauthenticated:
    return Unauthenticated(
        problem(
            "authority.credentials",
            "the account or its password is wrong",
            expected=expected,
            advice="check both; an account may take passkeys only",
        )
    )


@dataclass(frozen=True, slots=True)
class Ways:
    """Passwords and passkeys together.

    Attributes:
        accounts: the passwords.
        passkeys: the passkeys; None: this authority takes none.
    """

    accounts: Accounts
    passkeys: Passkeys | None = None

    def question(self, purpose: str) -> dict[str, str] | None:
        """Return what a page asks a passkey; None where passkeys cannot be had here."""
        if self.passkeys is None or not self.passkeys.available:
            return None
        return self.passkeys.question(purpose)

    def by_password(self, name: str, password: str) -> str:
        """Return the account's name if the password is right and the account takes passwords.

        Raises:
            Unauthenticated: there is no such account, the password is wrong, or the account takes
                passkeys only; all are one answer.
            TooManyAttempts: there were too many failures, or too many attempts at a time.
        """
        subject = self.accounts.authenticate(name, password)
        if self.passkeys is not None and self.passkeys.store.only(subject):
            raise _wrong("an account of this authority and its password")
        return subject

    def enter(self, form: Mapping[str, str], purpose: str) -> str:
        """Return the person who sent a form with a passkey's answer, or name and password.

        Args:
            form: its fields: `passkey` and `challenge`, or `username` and `password`.
            purpose: what the passkey's challenge must have been made for.

        Raises:
            Unauthenticated: neither is good.
            TooManyAttempts: there were too many failures.
        """
        if form.get("passkey") and self.passkeys is not None:
            return self.passkeys.authenticate(form["passkey"], form.get("challenge", ""), purpose)
        name = form.get("username", "").strip()
        if not is_email(name):
            # A workload's secret has no business in a browser: not even tried.
            raise _wrong("a person's account, an e-mail address")
        return self.by_password(name, form.get("password", ""))
