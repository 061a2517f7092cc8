"""Reads: from rows and blobs to the frozen views of `registry.readmodel`.

A page or an API resource calls exactly one of these. Each opens its own read-only session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from packaging.version import Version as Pep440
from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from registry import comparison, drift, reviews, views
from registry.dependencies import files as locked
from registry.lookup import find, find_plugin
from registry.models import Plugin, Review, Version
from registry.readmodel import CoverageView, FileView, FindingView, Page, PluginView, VersionView
from registry.report import read_report
from registry.review_tools import acknowledging, beside, preparing
from registry.review_tools.members import members_of
from registry.review_tools.models import ReviewFacts
from registry.reviewmodel import Materials, QueueItem, QueueOrder, ReviewView
from registry.risk import Facts, assess
from registry.services import Services
from registry.states import State
from registry.trustmaterial import Reviewing
from trust.errors import SealgateError
from trust.identity import Identity

PER_PAGE = 20
MAX_PER_PAGE = 100


def _reviewing(services: Services) -> Reviewing | None:
    """Return who may review today; None where the layout is not valid today."""
    try:
        return services.trust.reviewing(services.clock())
    except SealgateError:
        return None


def _page_of(
    session: Session, statement: Select[int], number: int, per_page: int
) -> tuple[list[int], int, int, int]:
    number, per_page = max(1, number), min(max(1, per_page), MAX_PER_PAGE)
    total = session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    ids = session.scalars(statement.limit(per_page).offset((number - 1) * per_page)).all()
    return list(ids), number, per_page, total


def search_plugins(
    services: Services, text: str = "", page: int = 1, per_page: int = PER_PAGE
) -> Page[PluginView]:
    """Return plugins whose name or summary contains `text`, by name.

    An empty `text` lists all. A page beyond the last one is empty.
    """
    statement = select(Plugin.id).order_by(Plugin.name)
    if text:
        summary = func.lower(Version.summary).contains(text.lower(), autoescape=True)
        statement = statement.where(
            or_(
                Plugin.name.contains(text.lower(), autoescape=True),
                exists().where(and_(Version.plugin_id == Plugin.id, summary)),
            )
        )
    reviewing = _reviewing(services)
    with services.database.read() as session:
        ids, number, size, total = _page_of(session, statement, page, per_page)
        rows = session.scalars(
            select(Plugin)
            .where(Plugin.id.in_(ids))
            .order_by(Plugin.name)
            .options(selectinload(Plugin.versions).selectinload(Version.reviews))
        )
        items = tuple(_plugin_view(row, reviewing) for row in rows)
    return Page(items, number, size, total, text)


def _plugin_view(row: Plugin, reviewing: Reviewing | None) -> PluginView:
    versions = sorted(row.versions, key=lambda v: Pep440(v.number), reverse=True)
    latest = next((v for v in versions if v.state == State.PUBLISHED), None)
    return PluginView(
        name=row.name,
        summary=(latest or versions[0]).summary,
        owner=views.owner_view(row),
        latest=latest.number if latest else None,
        versions=tuple(views.version_line(v, reviewing) for v in versions),
    )


def plugin(services: Services, name: str) -> PluginView:
    """Return one plugin by its normalised or not yet normalised (PEP 503) name.

    Raises:
        NotFound: no such plugin.
    """
    reviewing = _reviewing(services)
    with services.database.read() as session:
        return _plugin_view(find_plugin(session, name), reviewing)


def version(services: Services, name: str, number: str) -> VersionView:
    """Return one version.

    Raises:
        NotFound: no such plugin or version.
    """
    reviewing = _reviewing(services)
    with services.database.read() as session:
        return views.version_view(find(session, name, number), reviewing)


def queue(
    services: Services,
    page: int = 1,
    per_page: int = PER_PAGE,
    *,
    order: QueueOrder = "waiting",
    flag: str = "",
    text: str = "",
    undecided_by: Identity | None = None,
) -> Page[QueueItem]:
    """Return versions in state `in_review`.

    Args:
        services: the registry's parts.
        page: which page, from 1.
        per_page: items on a page.
        order: `waiting`, the longest first; `newest`; or `risk`, the greatest first.
        flag: only versions with this flag, a key of `registry.risk.FLAGS`; "" for all.
        text: only plugins whose name contains this.
        undecided_by: only versions that this person may decide on and has not: somebody else's.
    """
    statement = select(Version.id).where(Version.state == State.IN_REVIEW)
    if order == "risk" or flag:
        statement = statement.outerjoin(ReviewFacts, ReviewFacts.version_id == Version.id)
    if flag:
        statement = statement.where(ReviewFacts.flags.contains(f",{flag},", autoescape=True))
    if text:
        statement = statement.join(Plugin, Plugin.id == Version.plugin_id).where(
            Plugin.name.contains(text.lower(), autoescape=True)
        )
    if undecided_by is not None:
        who = undecided_by
        statement = statement.where(
            or_(Version.author_issuer != who.issuer, Version.author_subject != who.subject),
            ~exists().where(
                Review.version_id == Version.id,
                Review.issuer == who.issuer,
                Review.subject == who.subject,
            ),
        )
    waiting = (Version.in_review_at, Version.id)
    ordered = {
        "waiting": waiting,
        "newest": (Version.in_review_at.desc(), Version.id.desc()),
        "risk": (ReviewFacts.risk.desc().nulls_last(), *waiting),
    }[order]
    reviewing = _reviewing(services)
    with services.database.read() as session:
        ids, number, size, total = _page_of(session, statement.order_by(*ordered), page, per_page)
        rows = session.scalars(
            select(Version)
            .where(Version.id.in_(ids))
            .options(
                joinedload(Version.plugin),
                selectinload(Version.scan),
                selectinload(Version.reviews),
            )
        ).all()
        before = [row.previous_sha256 for row in rows if row.previous_sha256]
        earlier = session.execute(
            select(Version.sha256, Version.number).where(Version.sha256.in_(before))
        )
        numbers = {sha256: number for sha256, number in earlier}  # noqa: C416 - rows, not tuples
        facts = {
            row.version_id: Facts.from_dict(row.facts) if row.facts else None
            for row in session.scalars(select(ReviewFacts).where(ReviewFacts.version_id.in_(ids)))
        }
        items = tuple(
            _queue_item(row, reviewing, numbers.get(row.previous_sha256 or ""), facts.get(row.id))
            for row in sorted(rows, key=lambda row: ids.index(row.id))
        )
    return Page(items, number, size, total, text)


def _queue_item(
    row: Version, reviewing: Reviewing | None, previous: str | None, facts: Facts | None
) -> QueueItem:
    return QueueItem(
        name=row.plugin.name,
        version=row.number,
        summary=row.summary,
        sha256=row.sha256,
        author=views.signer(row.author),
        submitted_at=row.submitted_at,
        in_review_since=row.in_review_at or row.submitted_at,
        waits_for=views.waits_for(row, reviewing),
        approvals=views.approvals(row, reviewing),
        approvals_needed=reviewing.threshold if reviewing else 0,
        counts=views.scan_view(row.scan).counts if row.scan else {},
        previous_version=previous,
        risk=assess(facts) if facts else None,
        flags=facts.flags if facts else (),
    )


def review(services: Services, name: str, number: str) -> ReviewView:
    """Return all that a reviewer of this version needs.

    Raises:
        NotFound: no such plugin or version.
        Damaged: a stored wheel or report is not what was stored.
    """
    reviewing = _reviewing(services)
    with services.database.read() as session:
        row = find(session, name, number)
        before = beside.compared_with(session, row)
        found = preparing.outline_of(services, session, row, before.sha256 if before else None)
        delta = None if before is None else beside.delta(before, row, found.files)
        own = {row.author, row.plugin.owner}
        return ReviewView(
            version=views.version_view(row, reviewing),
            materials=_materials(session, row, found.findings),
            delta=delta,
            files=found.files,
            findings=found.findings,
            coverage=found.coverage,
            reviewers=tuple(
                views.signer(r) for r in (reviewing.reviewers if reviewing else ()) if r not in own
            ),
            acknowledged=acknowledging.said(session, row),
            previous=views.version_view(before, reviewing) if before is not None else None,
            flags=()
            if before is None
            else drift.flags_of(drift.release_of(before), drift.release_of(row)),
            risk=assess(preparing.facts_of(session, row, found)),
            dependencies=beside.dependency_changes(session, before, row),
            siblings=beside.siblings(session, row),
        )


def files(services: Services, name: str, number: str, paths: Sequence[str]) -> tuple[FileView, ...]:
    """Return some of a version's files with their texts, diffs and findings.

    Args:
        services: the registry's parts.
        name: the plugin's name.
        number: the version.
        paths: which files, in this order; one that neither wheel has is left out.

    Raises:
        NotFound: no such plugin or version.
        Damaged: a stored wheel or report is not what was stored.
    """
    with services.database.read() as session:
        row = find(session, name, number)
        before = beside.compared_with(session, row)
        found = preparing.outline_of(services, session, row, before.sha256 if before else None)
        new = members_of(services.blobs, row.sha256)
        wheels = locked.pairs(session, row)
        old = None
        if before is not None:
            old = members_of(services.blobs, before.sha256, row.sha256)
    views: list[FileView] = []
    for path in paths:
        here = [finding for finding in found.findings if finding.path == path]
        if path in new:
            earlier = None if old is None else {path: old[path]} if path in old else {}
            views += comparison.file_views({path: new[path]}, earlier, here)
        elif old is not None and path in old:
            views.append(comparison.removed_view(path, old[path]))
        else:
            views += locked.files_of_locked(services, wheels, path, here)
    return tuple(views)


def recent(services: Services, limit: int = 10) -> tuple[VersionView, ...]:
    """Return the versions published last, newest first."""
    reviewing = _reviewing(services)
    with services.database.read() as session:
        rows = session.scalars(
            select(Version)
            .where(Version.state == State.PUBLISHED)
            .order_by(Version.published_at.desc(), Version.id.desc())
            .limit(limit)
        )
        return tuple(views.version_view(row, reviewing) for row in rows)


def wheel(services: Services, name: str, number: str) -> tuple[str, str, bytes]:
    """Return file name, digest and bytes of a version's wheel.

    Raises:
        NotFound: no such version.
        Damaged: the stored wheel is not what was stored.
    """
    with services.database.read() as session:
        row = find(session, name, number)
        return row.filename, row.sha256, services.blobs.read(row.sha256)


def report(services: Services, name: str, number: str) -> tuple[str, bytes] | None:
    """Return digest and bytes of a version's scan report; None before the scan ended.

    Raises:
        NotFound: no such version.
        Damaged: the stored report is not what was stored.
    """
    with services.database.read() as session:
        row = find(session, name, number)
        if row.scan is None:
            return None
        return row.scan.report_sha256, services.blobs.read(row.scan.report_sha256)


def materials(services: Services, name: str, number: str) -> Materials | None:
    """Return what a review of this version must name; None before its scan ended.

    Raises:
        NotFound: no such version.
        Damaged: the stored report is not what was stored.
    """
    with services.database.read() as session:
        row = find(session, name, number)
        return _materials(session, row, _findings(services, row)[0])


def _findings(
    services: Services, row: Version
) -> tuple[tuple[FindingView, ...], CoverageView | None]:
    if row.scan is None:
        return (), None
    return read_report(services.blobs.read(row.scan.report_sha256))


def _materials(
    session: Session, row: Version, findings: tuple[FindingView, ...]
) -> Materials | None:
    named = reviews.materials(row)
    if named is None:
        return None
    return replace(named, acknowledge=acknowledging.to_acknowledge(session, row, findings))


def bundle(services: Services, name: str, number: str, sha256: str) -> tuple[str, bytes] | None:
    """Return a name for the file and the bytes of one bundle; None where it is not this version's.

    Raises:
        NotFound: no such version.
        Damaged: the stored bundle is not what was stored.
    """
    with services.database.read() as session:
        row = find(session, name, number)
        for item in row.evidence:
            if item.sha256 == sha256:
                return views.evidence_view(item, row).filename, services.blobs.read(sha256)
    return None
