"""The life of a version as one table: which event leads from which state to which.

`advance` is the only writer of `Version.state`. It changes the row only if it still has the state
that the caller saw, and writes the timeline row in the same transaction: there is no state
without its history, and no history without its state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlalchemy.orm import Session

from registry.errors import IllegalTransition
from trust.errors import Problem, problem
from trust.identity import Identity

if TYPE_CHECKING:
    from registry.models import TimelineRow, Version


class State(StrEnum):
    """Where a version stands."""

    RECEIVED = "received"
    SCANNING = "scanning"
    SCAN_FAILED = "scan_failed"
    SCAN_INCOMPLETE = "scan_incomplete"
    IN_REVIEW = "in_review"
    REJECTED = "rejected"
    PUBLISHED = "published"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"


class Event(StrEnum):
    """What happens to a version; also the slug in its timeline."""

    SUBMITTED = "submitted"
    SCAN_STARTED = "scan-started"
    SCAN_RETRIED = "scan-retried"
    SCAN_PASSED = "scan-passed"
    SCAN_FAILED = "scan-failed"
    SCAN_INCOMPLETE = "scan-incomplete"
    RESCAN_REQUESTED = "rescan-requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    PUBLISH_REFUSED = "publish-refused"
    PUBLISH_DELAYED = "publish-delayed"
    PUBLISHED = "published"
    RESCANNED = "rescanned"
    REOPENED = "review-reopened"
    QUARANTINED = "quarantined"
    LIFTED = "quarantine-lifted"
    REVOKED = "revoked"


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.RECEIVED, Event.SCAN_STARTED): State.SCANNING,
        (State.SCANNING, Event.SCAN_RETRIED): State.RECEIVED,
        (State.SCANNING, Event.SCAN_PASSED): State.IN_REVIEW,
        (State.SCANNING, Event.SCAN_FAILED): State.SCAN_FAILED,
        (State.SCANNING, Event.SCAN_INCOMPLETE): State.SCAN_INCOMPLETE,
        (State.SCAN_INCOMPLETE, Event.RESCAN_REQUESTED): State.RECEIVED,
        (State.IN_REVIEW, Event.APPROVED): State.IN_REVIEW,
        (State.IN_REVIEW, Event.REJECTED): State.REJECTED,
        (State.IN_REVIEW, Event.PUBLISH_REFUSED): State.IN_REVIEW,
        (State.IN_REVIEW, Event.PUBLISH_DELAYED): State.IN_REVIEW,
        (State.IN_REVIEW, Event.PUBLISHED): State.PUBLISHED,
        (State.IN_REVIEW, Event.REVOKED): State.REVOKED,
        (State.PUBLISHED, Event.RESCANNED): State.PUBLISHED,
        (State.PUBLISHED, Event.REOPENED): State.IN_REVIEW,
        (State.PUBLISHED, Event.QUARANTINED): State.QUARANTINED,
        (State.PUBLISHED, Event.REVOKED): State.REVOKED,
        (State.QUARANTINED, Event.LIFTED): State.PUBLISHED,
        (State.QUARANTINED, Event.REOPENED): State.IN_REVIEW,
        (State.QUARANTINED, Event.REVOKED): State.REVOKED,
    }
)
"""Every allowed transition. What is not here does not happen."""

FINAL = frozenset({State.SCAN_FAILED, State.REJECTED, State.REVOKED})
"""States that nothing leads out of."""

SETTLED = FINAL | {State.PUBLISHED, State.QUARANTINED}
"""States that a version leaves only because something was taken back."""


def target(state: State, event: Event) -> State:
    """Return the state that `event` leads to.

    Raises:
        IllegalTransition: the table has no such transition.
    """
    after = TRANSITIONS.get((state, event))
    if after is None:
        allowed = sorted(e for s, e in TRANSITIONS if s == state)
        raise IllegalTransition(
            problem(
                "registry.illegal-transition",
                f"this version is {state}; {event} cannot happen to it",
                value=event,
                expected=", ".join(allowed) or f"nothing: {state} is final",
                advice="look at the version's page for what it waits for",
            )
        )
    return after


def advance(
    session: Session,
    version: Version,
    event: Event,
    at: datetime,
    *,
    actor: Identity | None,
    detail: str,
    problems: Iterable[Problem] = (),
) -> TimelineRow:
    """Move `version` by `event` and write its timeline row.

    Args:
        session: a write session; nothing is committed here.
        version: the row, as read in this session.
        event: what happens.
        at: when, timezone-aware UTC.
        actor: whose signature or whose process causes it.
        detail: one sentence for a person.
        problems: why, where the event is a refusal.

    Raises:
        IllegalTransition: the table does not allow it, or another process has moved the version
            since it was read.
    """
    from registry.models import TimelineRow, Version

    before = State(version.state)
    after = target(before, event)
    session.flush()
    moved = session.execute(
        update(Version)
        .where(Version.id == version.id, Version.state == before)
        .values(state=after)
        .returning(Version.id)
        .execution_options(synchronize_session=False)
    ).first()
    if moved is None:
        raise IllegalTransition(
            problem(
                "registry.moved-meanwhile",
                f"this version was {before} and has been moved by another process",
                value=event,
                expected=f"state {before}",
                advice="read the version again and decide anew",
            )
        )
    session.refresh(version, ["state"])
    row = TimelineRow(
        version_id=version.id,
        at=at,
        event=event,
        from_state=before,
        to_state=after,
        actor_issuer=actor.issuer if actor else None,
        actor_subject=actor.subject if actor else None,
        detail=detail,
        problems=[p.as_dict() for p in problems],
    )
    session.add(row)
    return row
