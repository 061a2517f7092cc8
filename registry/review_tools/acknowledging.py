"""Findings to acknowledge: which ones there are, what was said to them before, and the index.

Which findings a version has to acknowledge is what its scanner signed; the gate looks there too.
Earlier reasons are an offer for the reviewer to confirm: rows, each naming the signed bundle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.errors import Damaged
from registry.models import Version
from registry.readmodel import FindingView, SignerView
from registry.review_tools.models import AcknowledgementRow
from registry.reviewmodel import Reason, ToAcknowledge
from registry.services import Services
from registry.states import State
from trust.errors import problem
from trust.evidence.acknowledgements import Warned, acknowledged, warned
from trust.evidence.bundles import VerifiedStatement
from trust.evidence.predicates import SCAN


def signed(services: Services, version: Version) -> frozenset[Warned]:
    """Return the findings that the stored scan statements of a version name, verified.

    Raises:
        Damaged: a stored bundle is not what was stored, or no scan statement.
        EvidenceRefused: it does not verify under today's trusted root.
    """
    found: set[Warned] = set()
    for row in version.evidence:
        if row.step == "scan":
            statement = services.trust.verifier().verify(services.blobs.read(row.sha256))
            if statement.predicate_type != SCAN:
                raise _damaged(statement.predicate_type)
            try:
                found |= set(warned(statement.predicate))
            except ValueError as error:
                raise _damaged(error) from error
    return frozenset(found)


def _damaged(value: object) -> Damaged:
    return Damaged(
        problem(
            "registry.scan-statement",
            "the stored scan statement does not name its findings",
            value=value,
            expected="a scan statement with the findings to acknowledge",
            advice="have the version scanned again",
        )
    )


def record(session: Session, version: Version, review: VerifiedStatement, now: datetime) -> None:
    """Add a row for each finding that an approval acknowledges."""
    for entry in acknowledged(review.predicate):
        session.add(
            AcknowledgementRow(
                version_id=version.id,
                evidence_sha256=review.bundle_sha256,
                fingerprint=entry.finding.fingerprint,
                rule=entry.finding.rule,
                path=entry.finding.path,
                reason=entry.reason,
                issuer=review.identity.issuer,
                subject=review.identity.subject,
                at=now,
            )
        )


def to_acknowledge(
    session: Session, version: Version, findings: Sequence[FindingView]
) -> tuple[ToAcknowledge, ...]:
    """Return the Medium findings of a version with what was said to them before.

    Args:
        session: a reading session.
        version: the version under review.
        findings: the findings of its report.
    """
    medium = [finding for finding in findings if finding.severity == "medium"]
    before = _earlier(session, version, {finding.fingerprint for finding in medium})
    return tuple(
        ToAcknowledge(
            fingerprint=finding.fingerprint,
            rule=finding.rule,
            path=finding.path,
            line=finding.line,
            message=finding.message,
            earlier=before.get(Warned(finding.fingerprint, finding.rule, finding.path)),
        )
        for finding in medium
    )


def _earlier(
    session: Session, version: Version, fingerprints: Iterable[str]
) -> Mapping[Warned, Reason]:
    """Return the newest reason for each finding, from published versions of the same plugin."""
    wanted = sorted(fingerprints)
    if not wanted:
        return {}
    rows = session.execute(
        select(AcknowledgementRow, Version.number)
        .join(Version, Version.id == AcknowledgementRow.version_id)
        .where(
            AcknowledgementRow.fingerprint.in_(wanted),
            Version.plugin_id == version.plugin_id,
            Version.state == State.PUBLISHED,
            Version.id != version.id,
        )
        .order_by(Version.published_at, AcknowledgementRow.id)
    )
    return {
        Warned(row.fingerprint, row.rule, row.path): _reason(row, number) for row, number in rows
    }


def said(session: Session, version: Version) -> Mapping[str, tuple[Reason, ...]]:
    """Return what the reviews of this very version say, by fingerprint."""
    found: dict[str, tuple[Reason, ...]] = {}
    rows = session.scalars(
        select(AcknowledgementRow)
        .where(AcknowledgementRow.version_id == version.id)
        .order_by(AcknowledgementRow.id)
    )
    for row in rows:
        found[row.fingerprint] = (*found.get(row.fingerprint, ()), _reason(row, version.number))
    return found


def _reason(row: AcknowledgementRow, number: str) -> Reason:
    return Reason(
        version=number,
        reviewer=SignerView(row.issuer, row.subject),
        reason=row.reason,
        at=row.at,
        evidence_sha256=row.evidence_sha256,
    )
