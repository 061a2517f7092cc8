"""The tables of revocations, of the log's head, and of scans that were done again."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import JSON, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from registry.models import Base, UtcText
from trust.identity import Identity
from trust.revocation import Action, Revocation, Target


class RevocationRow(Base):
    """One verified revocation, quarantine or lift; `log_index` is NULL until it is logged."""

    __tablename__ = "revocations"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    bundle_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    bundle: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(20))
    target: Mapped[dict[str, Any]] = mapped_column(JSON)
    reason: Mapped[str] = mapped_column(Text)
    effective: Mapped[datetime] = mapped_column(UtcText)
    lifts: Mapped[str | None] = mapped_column(String(64))
    issuer: Mapped[str] = mapped_column(String(2000))
    subject: Mapped[str] = mapped_column(String(2000))
    signed_at: Mapped[datetime] = mapped_column(UtcText)
    added_at: Mapped[datetime] = mapped_column(UtcText)
    log_index: Mapped[int | None] = mapped_column(Integer, unique=True)

    @property
    def revocation(self) -> Revocation:
        """What the bundle said when it was verified."""
        return Revocation(
            action=cast(Action, self.action),
            target=Target.from_dict(self.target),
            reason=self.reason,
            effective=self.effective,
            signer=Identity(self.issuer, self.subject),
            signed_at=self.signed_at,
            bundle_sha256=self.bundle_sha256,
            lifts=self.lifts,
        )

    @classmethod
    def of(cls, revocation: Revocation, bundle: bytes, at: datetime) -> RevocationRow:
        """Return the row of a verified bundle."""
        return cls(
            bundle_sha256=revocation.bundle_sha256,
            bundle=bundle.decode(),
            action=revocation.action,
            target=revocation.target.as_dict(),
            reason=revocation.reason,
            effective=revocation.effective,
            lifts=revocation.lifts,
            issuer=revocation.signer.issuer,
            subject=revocation.signer.subject,
            signed_at=revocation.signed_at,
            added_at=at,
        )


class RevocationHead(Base):
    """The youngest signed head of the log; one row."""

    __tablename__ = "revocation_heads"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    note: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(Integer)
    signed_at: Mapped[datetime] = mapped_column(UtcText)


class Rescan(Base):
    """A scan that was done again because its rule set was revoked; once for each new rule set."""

    __tablename__ = "rescans"
    __table_args__ = (UniqueConstraint("version_id", "policy_sha256"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"))
    rule_set: Mapped[str] = mapped_column(String(64))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(UtcText)
