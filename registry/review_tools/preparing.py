"""What the queue and the review page show, worked out beforehand.

The worker's least urgent task. A version whose turn has not come is in the queue all the same,
with no risk yet, and its page works the comparison out by itself.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry import drift
from registry.blobs import BlobStore
from registry.dependencies.models import LockedWheel
from registry.models import Base, Version
from registry.report import read_report
from registry.review_tools import outline
from registry.review_tools.models import ReviewFacts, ReviewOutline
from registry.review_tools.outline import Outline
from registry.risk import FLAGS, MAX_RISK, Facts, assess
from registry.services import Services
from registry.states import State
from trust.errors import SealgateError

log = logging.getLogger("registry.worker")


def outline_of(
    services: Services, session: Session, version: Version, before_sha256: str | None
) -> Outline:
    """Return the outline of a version: the stored one, or one worked out now.

    Args:
        services: the registry's parts.
        session: a reading session.
        version: the version.
        before_sha256: the wheel that reviewers compare it with, or None.

    Raises:
        Damaged: a stored wheel or report is not what was stored.
    """
    report = version.scan.report_sha256 if version.scan else None
    row = session.get(ReviewOutline, version.id)
    if row is not None:
        kept = _loaded(row.document, before_sha256, report)
        if kept is not None:
            return kept
    return _made(services.blobs, version.sha256, before_sha256, report)


@lru_cache(maxsize=8)
def _loaded(document: str, before: str | None, report: str | None) -> Outline | None:
    return Outline.loads(document, before, report)


@lru_cache(maxsize=4)
def _made(blobs: BlobStore, after: str, before: str | None, report: str | None) -> Outline:
    return outline.make(
        blobs.read(after),
        None if before is None else (before, blobs.read(before)),
        None if report is None else (report, *read_report(blobs.read(report))),
    )


@dataclass(frozen=True, slots=True)
class Preparing:
    """Works out outline and facts of one version at a time."""

    services: Services

    def once(self) -> bool:
        """Prepare one version in review, if any waits; return whether there was one."""
        waiting = (
            select(Version)
            .outerjoin(ReviewFacts, ReviewFacts.version_id == Version.id)
            .where(Version.state == State.IN_REVIEW, ReviewFacts.version_id.is_(None))
            .order_by(Version.in_review_at, Version.id)
            .limit(1)
        )
        with self.services.database.read() as session:
            version = session.scalar(waiting)
            if version is None:
                return False
            number = version.id
            try:
                found = outline_of(self.services, session, version, version.previous_sha256)
                facts = facts_of(session, version, found)
                kept = ReviewOutline(version_id=number, document=found.dumps())
                rows: tuple[Base, ...] = (_row(number, facts), kept)
            except SealgateError as error:
                log.error("a version in review cannot be compared: %s", error.diagnostics())
                rows = (ReviewFacts(version_id=number, risk=MAX_RISK, flags="", facts={}),)
        try:
            with self.services.database.write() as session:
                session.add_all(rows)
        except IntegrityError:
            log.info("another worker prepared version %d", number)
        return True


def _row(number: int, facts: Facts) -> ReviewFacts:
    return ReviewFacts(
        version_id=number,
        risk=assess(facts).score,
        flags="".join(f",{flag}" for flag in facts.flags) + "," if facts.flags else "",
        facts=facts.as_dict(),
    )


def facts_of(session: Session, version: Version, found: Outline) -> Facts:
    """Count what `registry.risk` judges by.

    Args:
        session: a reading session.
        version: the version.
        found: its outline.
    """
    first = version.previous_sha256 is None
    touched = [f for f in found.files if first or f.change is not None]
    flags: set[str] = {flag.kind for flag in drift.flags_for(session, version)}
    dependencies = _dependencies(session, version)
    if first:
        flags.add("first-version")
    if dependencies and not first:
        flags.add("dependencies")
    return Facts(
        medium=sum(f.severity == "medium" for f in found.findings),
        low=sum(f.severity == "low" for f in found.findings),
        first=first,
        files=len(touched),
        lines=sum(f.added + f.removed for f in touched),
        unread=sum(f.change != "removed" and f.binary for f in touched),
        dependencies=dependencies,
        flags=tuple(flag for flag in FLAGS if flag in flags),
    )


def _dependencies(session: Session, version: Version) -> int:
    """Return how many locked wheels differ from those of the version compared with."""

    def locked(where: object) -> set[str]:
        statement = select(LockedWheel.sha256).join(Version, Version.id == LockedWheel.version_id)
        return set(session.scalars(statement.where(where)))  # type: ignore[arg-type]

    now = locked(Version.id == version.id)
    if version.previous_sha256 is None:
        return len(now)
    return len(now ^ locked(Version.sha256 == version.previous_sha256))
