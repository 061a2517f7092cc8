"""From rows to the frozen views of `registry.readmodel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from registry import manifests
from registry.models import Evidence, Plugin, Review, Scan, TimelineRow, Version
from registry.readmodel import (
    Decision,
    EvidenceView,
    Result,
    ReviewRecord,
    ScanView,
    SignerView,
    TimelineEvent,
    Verdict,
    VersionLine,
    VersionView,
)
from registry.states import Event, State
from registry.trustmaterial import Reviewing
from trust.errors import Problem
from trust.identity import Identity

HOLDS: Mapping[str, frozenset[str]] = {
    State.RECEIVED: frozenset({Event.SCAN_RETRIED}),
    State.SCAN_FAILED: frozenset({Event.SCAN_FAILED}),
    State.SCAN_INCOMPLETE: frozenset({Event.SCAN_INCOMPLETE}),
    State.IN_REVIEW: frozenset({Event.PUBLISH_REFUSED, Event.PUBLISH_DELAYED, Event.REOPENED}),
    State.QUARANTINED: frozenset({Event.QUARANTINED}),
    State.REVOKED: frozenset({Event.REVOKED}),
}
"""State -> the events whose problems tell why a version is held there."""


def signer(identity: Identity) -> SignerView:
    """Return the view of an identity."""
    return SignerView(identity.issuer, identity.subject)


def approvals(version: Version, reviewing: Reviewing | None) -> int:
    """Return how many approvals count: by reviewers of today's layout, never the author's."""
    may = set(reviewing.reviewers) if reviewing else set()
    own = {version.author, version.plugin.owner}
    return sum(r.decision == "approve" and r.reviewer in may - own for r in version.reviews)


def waits_for(version: Version, reviewing: Reviewing | None) -> str:
    """Return in words what happens next to the version."""
    state = State(version.state)
    if state == State.IN_REVIEW:
        if reviewing is None:
            return "a valid layout"
        have = approvals(version, reviewing)
        if have < reviewing.threshold:
            return f"{have} of {reviewing.threshold} approvals"
        return "publication"
    return {
        State.RECEIVED: "scan",
        State.SCANNING: "scan",
        State.SCAN_INCOMPLETE: "the operator: the scan did not run to its end",
        State.QUARANTINED: "the end of its quarantine",
    }.get(state, "nothing")


def timeline_event(row: TimelineRow) -> TimelineEvent:
    """Return the view of one event."""
    return TimelineEvent(
        at=row.at,
        event=row.event,
        actor=signer(row.actor) if row.actor else None,
        detail=row.detail,
        problems=_problems(row.problems),
    )


def scan_view(row: Scan) -> ScanView:
    """Return the view of a scan."""
    return ScanView(
        verdict=cast(Verdict, row.verdict),
        result=cast(Result, row.result),
        counts={"high": row.high, "medium": row.medium, "low": row.low},
        report_sha256=row.report_sha256,
        policy_sha256=row.policy_sha256,
        finished_at=row.finished_at,
        problems=_problems(row.problems),
    )


def evidence_view(row: Evidence, version: Version) -> EvidenceView:
    """Return the view of a bundle."""
    return EvidenceView(
        sha256=row.sha256,
        step=row.step,
        predicate_type=row.predicate_type,
        signer=signer(row.signer),
        signed_at=row.signed_at,
        url=f"{path_of(version)}/evidence/{row.sha256}",
        filename=f"{version.filename}.{row.step}.{row.sha256[:12]}.sigstore.json",
    )


def review_record(row: Review) -> ReviewRecord:
    """Return the view of a decision."""
    return ReviewRecord(
        reviewer=signer(row.reviewer),
        decision=cast(Decision, row.decision),
        comment=row.comment,
        at=row.at,
        evidence_sha256=row.evidence_sha256,
    )


def path_of(version: Version) -> str:
    """Return the version's path in the API."""
    return f"/api/v1/plugins/{version.plugin.name}/{version.number}"


def version_line(version: Version, reviewing: Reviewing | None) -> VersionLine:
    """Return one line of a list of versions."""
    return VersionLine(
        version=version.number,
        sha256=version.sha256,
        state=version.state,
        waits_for=waits_for(version, reviewing),
        submitted_at=version.submitted_at,
        published_at=version.published_at,
    )


def version_view(version: Version, reviewing: Reviewing | None) -> VersionView:
    """Return everything about one version."""
    telling = HOLDS.get(version.state, frozenset())
    held = next((row for row in reversed(version.timeline) if row.event in telling), None)
    return VersionView(
        name=version.plugin.name,
        version=version.number,
        filename=version.filename,
        sha256=version.sha256,
        size=version.size,
        summary=version.summary,
        package=version.package,
        state=version.state,
        waits_for=waits_for(version, reviewing),
        approvals=approvals(version, reviewing),
        approvals_needed=reviewing.threshold if reviewing else 0,
        author=signer(version.author),
        submitted_at=version.submitted_at,
        published_at=version.published_at,
        methods=manifests.methods(version.manifest),
        limits=manifests.limits(version.manifest),
        permissions=manifests.permissions(version.manifest),
        scan=scan_view(version.scan) if version.scan else None,
        reviews=tuple(review_record(row) for row in version.reviews),
        evidence=tuple(evidence_view(row, version) for row in version.evidence),
        timeline=tuple(timeline_event(row) for row in version.timeline),
        problems=_problems(held.problems) if held else (),
    )


def owner_view(plugin: Plugin) -> SignerView:
    """Return the owner of a name."""
    return signer(plugin.owner)


def _problems(rows: list[dict[str, str]]) -> tuple[Problem, ...]:
    return tuple(Problem.from_dict(row) for row in rows)
