"""Tables of the reviewers' tools."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from registry.models import Base, UtcText, Version
from trust.identity import Identity


class AcknowledgementRow(Base):
    """What a stored review says to one finding: an index of the signed statement."""

    __tablename__ = "acknowledgements"
    __table_args__ = (UniqueConstraint("version_id", "evidence_sha256", "fingerprint"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"))
    evidence_sha256: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64), index=True)
    rule: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(500))
    at: Mapped[datetime] = mapped_column(UtcText)

    version: Mapped[Version] = relationship()

    @property
    def reviewer(self) -> Identity:
        """The verified signer of the review."""
        return Identity(self.issuer, self.subject)


class LineComment(Base):
    """What somebody signed in says to one line of one wheel. Rows are only added.

    `line_sha256` is the digest of the line's text without the blanks around it: by it a comment
    finds its line in a later version.
    """

    __tablename__ = "line_comments"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    wheel_sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    line: Mapped[int] = mapped_column(Integer)
    line_sha256: Mapped[str] = mapped_column(String(64))
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(500))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcText)

    version: Mapped[Version] = relationship()

    @property
    def writer(self) -> Identity:
        """Who was signed in."""
        return Identity(self.issuer, self.subject)


class ReviewFacts(Base):
    """What the queue shows of a version in review, worked out once: both wheels never change.

    `flags` has the keys of the flags, each between commas (`,first-version,`), to search by.
    """

    __tablename__ = "review_facts"
    __table_args__ = (Index("ix_review_facts_risk", "risk"),)

    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    risk: Mapped[int] = mapped_column(Integer)
    flags: Mapped[str] = mapped_column(String(500))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)


class ReviewOutline(Base):
    """`registry.review_tools.outline.Outline` of a version, as JSON."""

    __tablename__ = "review_outlines"

    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    document: Mapped[str] = mapped_column(Text)
