"""The registry's tables.

Rows hold what was verified (identities, digests) and what happened (the timeline). Bytes, that
is wheels, reports and bundles, live in the blob store under their SHA-256.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from registry.clock import from_text, to_text
from trust.identity import Identity

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcText(TypeDecorator[datetime]):
    """A moment as ISO 8601 text in UTC: the same on every database, and it sorts by time."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else to_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_text(value)


class Base(DeclarativeBase):
    """The declarative base of every table."""

    metadata = MetaData(naming_convention=NAMING)


class Plugin(Base):
    """A name and the identity that claimed it with its first submission."""

    __tablename__ = "plugins"
    __table_args__ = (Index("ix_plugins_owner_issuer", "owner_issuer", "owner_subject"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    confusable: Mapped[str] = mapped_column(String(200), unique=True)
    owner_issuer: Mapped[str] = mapped_column(String(500))
    owner_subject: Mapped[str] = mapped_column(String(500))
    claimed_at: Mapped[datetime] = mapped_column(UtcText)

    versions: Mapped[list[Version]] = relationship(back_populates="plugin")

    @property
    def owner(self) -> Identity:
        """The identity that alone may publish under this name."""
        return Identity(self.owner_issuer, self.owner_subject)


class Version(Base):
    """One wheel. Its name and version never mean another file, whatever becomes of it.

    `previous_sha256` is the wheel that reviewers compare with: the last published version at the
    moment this one entered review. The lease columns belong to the worker that holds it.
    `metadata_sha256` and `requires_python` repeat what the wheel's METADATA has, for package
    indexes; both are NULL in rows older than these columns.
    """

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("plugin_id", "number"),
        Index(None, "plugin_id", "state"),
        Index("ix_versions_state_published_at", "state", "published_at"),
        Index("ix_versions_author_issuer", "author_issuer", "author_subject"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    plugin_id: Mapped[int] = mapped_column(ForeignKey("plugins.id"))
    number: Mapped[str] = mapped_column(String(200))
    filename: Mapped[str] = mapped_column(String(500))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    size: Mapped[int] = mapped_column(Integer)
    package: Mapped[str] = mapped_column(String(200))
    summary: Mapped[str] = mapped_column(Text)
    manifest: Mapped[dict[str, Any]] = mapped_column(JSON)
    author_issuer: Mapped[str] = mapped_column(String(500))
    author_subject: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(20), index=True)
    submitted_at: Mapped[datetime] = mapped_column(UtcText)
    in_review_at: Mapped[datetime | None] = mapped_column(UtcText)
    published_at: Mapped[datetime | None] = mapped_column(UtcText)
    previous_sha256: Mapped[str | None] = mapped_column(String(64))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[datetime | None] = mapped_column(UtcText)
    lease_owner: Mapped[str | None] = mapped_column(String(36))
    lease_until: Mapped[datetime | None] = mapped_column(UtcText)
    gate_seen: Mapped[str | None] = mapped_column(String(64))
    metadata_sha256: Mapped[str | None] = mapped_column(String(64))
    requires_python: Mapped[str | None] = mapped_column(Text)

    plugin: Mapped[Plugin] = relationship(back_populates="versions")
    scan: Mapped[Scan | None] = relationship(back_populates="version")
    evidence: Mapped[list[Evidence]] = relationship(
        back_populates="version", order_by="Evidence.id"
    )
    reviews: Mapped[list[Review]] = relationship(back_populates="version", order_by="Review.id")
    timeline: Mapped[list[TimelineRow]] = relationship(
        back_populates="version", order_by="TimelineRow.id"
    )

    @property
    def author(self) -> Identity:
        """The verified signer of the submission."""
        return Identity(self.author_issuer, self.author_subject)


class Scan(Base):
    """The one scan that counts for a version; its report is a blob."""

    __tablename__ = "scans"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), unique=True)
    verdict: Mapped[str] = mapped_column(String(20))
    result: Mapped[str] = mapped_column(String(20))
    high: Mapped[int] = mapped_column(Integer)
    medium: Mapped[int] = mapped_column(Integer)
    low: Mapped[int] = mapped_column(Integer)
    report_sha256: Mapped[str] = mapped_column(String(64))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    finished_at: Mapped[datetime] = mapped_column(UtcText)
    problems: Mapped[list[dict[str, str]]] = mapped_column(JSON)

    version: Mapped[Version] = relationship(back_populates="scan")


class Evidence(Base):
    """One verified Sigstore bundle of a version; its bytes are a blob."""

    __tablename__ = "evidence"
    __table_args__ = (UniqueConstraint("version_id", "sha256"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"))
    step: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[str] = mapped_column(String(64))
    predicate_type: Mapped[str] = mapped_column(String(200))
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(500))
    signed_at: Mapped[datetime | None] = mapped_column(UtcText)
    added_at: Mapped[datetime] = mapped_column(UtcText)

    version: Mapped[Version] = relationship(back_populates="evidence")

    @property
    def signer(self) -> Identity:
        """The verified signer."""
        return Identity(self.issuer, self.subject)


class Review(Base):
    """One reviewer's decision; a reviewer decides once per version."""

    __tablename__ = "reviews"
    __table_args__ = (UniqueConstraint("version_id", "issuer", "subject"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"))
    evidence_sha256: Mapped[str] = mapped_column(String(64))
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(500))
    decision: Mapped[str] = mapped_column(String(10))
    comment: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcText)

    version: Mapped[Version] = relationship(back_populates="reviews")

    @property
    def reviewer(self) -> Identity:
        """The verified signer."""
        return Identity(self.issuer, self.subject)


class TimelineRow(Base):
    """One event in a version's history. Rows are only added."""

    __tablename__ = "timeline"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    at: Mapped[datetime] = mapped_column(UtcText, index=True)
    event: Mapped[str] = mapped_column(String(30))
    from_state: Mapped[str | None] = mapped_column(String(20))
    to_state: Mapped[str] = mapped_column(String(20))
    actor_issuer: Mapped[str | None] = mapped_column(String(500))
    actor_subject: Mapped[str | None] = mapped_column(String(500))
    detail: Mapped[str] = mapped_column(Text)
    problems: Mapped[list[dict[str, str]]] = mapped_column(JSON)

    version: Mapped[Version] = relationship(back_populates="timeline")

    @property
    def actor(self) -> Identity | None:
        """Whose signature or process caused the event."""
        if self.actor_issuer is None or self.actor_subject is None:
            return None
        return Identity(self.actor_issuer, self.actor_subject)
