"""A registry with people: their sessions and tokens, without a browser."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient

from registry.accounts import tokens
from registry.accounts.models import SessionRow
from registry.accounts.secrets import digest
from registry.accounts.settings import AccountSettings
from registry.settings import SignIn
from tests.support.evidence import AUTHOR, REVIEWERS, TrustFixture
from tests.support.evidence import OUTSIDER as OTHER
from tests.support.registry import BASE_URL, RegistryFixture
from trust.identity import Identity

ADMIN = "admin@example.com"
OWN = {"Origin": BASE_URL, "Sec-Fetch-Site": "same-origin"}
"""What a browser sends with a form of the registry's own pages."""

__all__ = ["ADMIN", "AUTHOR", "OTHER", "OWN", "REVIEWERS", "Town"]


class Town:
    """A registry whose issuer is the tests' Sigstore instance.

    Attributes:
        registry: the registry.
    """

    def __init__(self, trust: TrustFixture, folder: Path, **accounts: Any) -> None:
        own: dict[str, Any] = {"admins": frozenset({ADMIN}), "sign_ins_per_minute": 0}
        self.registry = RegistryFixture.make(
            trust,
            folder,
            sign_in=SignIn(trust.issuer, "registry", folder / "session.key"),
            accounts=AccountSettings(**(own | accounts)),
        )

        # Where test clients send their requests, and so what cookies are for.
        self.registry.app.config["SERVER_NAME"] = urlsplit(BASE_URL).netloc

    def identity(self, who: str) -> Identity:
        """Return the identity that a sign-in gives somebody."""
        return Identity(self.registry.trust.issuer, who)

    def client(self, who: str | None = None) -> FlaskClient:
        """Return a client in which `who` is signed in; None for nobody."""
        client = self.registry.app.test_client()
        if who is None:
            return client
        secret, now = secrets.token_urlsafe(32), self.registry.services.clock()
        with self.registry.services.database.write() as database:
            database.add(
                SessionRow(
                    sha256=digest(secret),
                    issuer=self.registry.trust.issuer,
                    subject=who,
                    began_at=now,
                    ends_at=now + timedelta(hours=1),
                    browser="a test",
                )
            )
        with client.session_transaction() as session:
            session["person"] = {
                "issuer": self.registry.trust.issuer,
                "subject": who,
                "secret": secret,
            }
        return client

    def token(
        self, who: str, scopes: Collection[str], plugins: Collection[str] = (), days: int = 30
    ) -> str:
        """Make a token of somebody."""
        return tokens.create(
            self.registry.services, self.identity(who), "a test", scopes, plugins, days
        )
