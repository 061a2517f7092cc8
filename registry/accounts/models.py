"""The tables of sessions, sign-ins, API tokens and trusted publishers.

Of a secret they hold its SHA-256.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from registry.models import Base, Plugin, UtcText
from trust.identity import Identity


class SessionRow(Base):
    """One browser in which somebody is signed in; gone with signing out."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "issuer", "subject"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(500))
    began_at: Mapped[datetime] = mapped_column(UtcText)
    ends_at: Mapped[datetime] = mapped_column(UtcText)
    browser: Mapped[str] = mapped_column(String(200))


class SignInEvent(Base):
    """One row of the journal about signing in and out; `registry.signin.record` bounds failures.

    Who is None where nobody was identified. `count` is how many failures the row stands for, the
    first of them at `at`.
    """

    __tablename__ = "sign_in_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcText, index=True)
    event: Mapped[str] = mapped_column(String(30))
    issuer: Mapped[str | None] = mapped_column(String(500))
    subject: Mapped[str | None] = mapped_column(String(500))
    address: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(100))
    count: Mapped[int] = mapped_column(Integer)


class ApiToken(Base):
    """A bearer token: of a person, or minted for a trusted publisher.

    `plugins` are the normalised names that it is good for; empty for any.
    """

    __tablename__ = "api_tokens"
    __table_args__ = (Index(None, "issuer", "subject"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(100))
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(500))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    plugins: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcText)
    expires_at: Mapped[datetime] = mapped_column(UtcText)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcText)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcText)

    @property
    def owner(self) -> Identity:
        """Whom it stands for."""
        return Identity(self.issuer, self.subject)


class TrustedPublisher(Base):
    """A workload of a CI service that may have tokens to upload one plugin.

    `claims` were named when it was registered; `pinned` are the immutable ids of its first token,
    which every later one must repeat: a name that somebody else takes over later is another id.
    """

    __tablename__ = "trusted_publishers"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    plugin_id: Mapped[int] = mapped_column(ForeignKey("plugins.id"), index=True)
    issuer: Mapped[str] = mapped_column(String(500))
    claims: Mapped[dict[str, str]] = mapped_column(JSON)
    pinned: Mapped[dict[str, str]] = mapped_column(JSON)
    added_issuer: Mapped[str] = mapped_column(String(500))
    added_subject: Mapped[str] = mapped_column(String(500))
    added_at: Mapped[datetime] = mapped_column(UtcText)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcText)

    plugin: Mapped[Plugin] = relationship()


class RedeemedToken(Base):
    """An identity token that was exchanged once: SHA-256 of its issuer and `jti`."""

    __tablename__ = "redeemed_tokens"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcText, index=True)
