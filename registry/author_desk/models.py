"""Answers of authors, transfers of names, and the rows of the journal about both."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from registry.models import Base, Plugin, UtcText, Version
from trust.identity import Identity

_OPEN = text("state = 'offered'")


class Answer(Base):
    """What an author answers to a rejection or a finding. Rows are only added."""

    __tablename__ = "answers"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    at: Mapped[datetime] = mapped_column(UtcText)
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(500))
    text: Mapped[str] = mapped_column(Text)

    version: Mapped[Version] = relationship()

    @property
    def author(self) -> Identity:
        """Who was signed in."""
        return Identity(self.issuer, self.subject)


class Transfer(Base):
    """An offer to hand a name over, and what became of it; one open offer a name at a time."""

    __tablename__ = "transfers"
    __table_args__ = (
        Index(
            "ix_transfers_open",
            "plugin_id",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index("ix_transfers_to", "to_issuer", "to_subject"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    plugin_id: Mapped[int] = mapped_column(ForeignKey("plugins.id"), index=True)
    from_issuer: Mapped[str] = mapped_column(String(500))
    from_subject: Mapped[str] = mapped_column(String(500))
    to_issuer: Mapped[str] = mapped_column(String(500))
    to_subject: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(20))
    offered_at: Mapped[datetime] = mapped_column(UtcText)
    decided_at: Mapped[datetime | None] = mapped_column(UtcText)

    plugin: Mapped[Plugin] = relationship()

    @property
    def giver(self) -> Identity:
        """Who owned the name when it was offered."""
        return Identity(self.from_issuer, self.from_subject)

    @property
    def taker(self) -> Identity:
        """Whom it was offered to."""
        return Identity(self.to_issuer, self.to_subject)


class DeskEvent(Base):
    """One row of the journal about answers and transfers. Rows are only added."""

    __tablename__ = "desk_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcText, index=True)
    event: Mapped[str] = mapped_column(String(30))
    plugin_id: Mapped[int] = mapped_column(ForeignKey("plugins.id"), index=True)
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"))
    actor_issuer: Mapped[str] = mapped_column(String(500))
    actor_subject: Mapped[str] = mapped_column(String(500))
    detail: Mapped[str] = mapped_column(Text)

    plugin: Mapped[Plugin] = relationship()
    version: Mapped[Version | None] = relationship()

    @property
    def actor(self) -> Identity:
        """Who was signed in."""
        return Identity(self.actor_issuer, self.actor_subject)
