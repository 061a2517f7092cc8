"""Reads: from rows and blobs to the frozen views of `registry.readmodel`.

A page or an API resource calls exactly one of these. Each opens its own read-only session.
"""

from __future__ import annotations

from dataclasses import replace

from packaging.version import Version as Pep440
from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from registry import comparison, reviews, views
from registry.lookup import find, find_plugin
from registry.models import Plugin, Version
from registry.readmodel import (
    CoverageView,
    Delta,
    FileView,
    FindingView,
    Materials,
    Page,
    PluginView,
    QueueItem,
    ReviewView,
    VersionView,
)
from registry.report import read_report
from registry.review_tools import acknowledging
from registry.services import Services
from registry.states import State
from registry.trustmaterial import Reviewing
from trust.errors import SealgateError
from trust.wheel import read_members

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


def queue(services: Services, page: int = 1, per_page: int = PER_PAGE) -> Page[QueueItem]:
    """Return versions in state `in_review`, longest waiting first."""
    statement = (
        select(Version.id)
        .where(Version.state == State.IN_REVIEW)
        .order_by(Version.in_review_at, Version.id)
    )
    reviewing = _reviewing(services)
    with services.database.read() as session:
        ids, number, size, total = _page_of(session, statement, page, per_page)
        rows = session.scalars(
            select(Version)
            .where(Version.id.in_(ids))
            .order_by(Version.in_review_at, Version.id)
            .options(
                joinedload(Version.plugin),
                selectinload(Version.scan),
                selectinload(Version.reviews),
            )
        )
        items = tuple(_queue_item(session, row, reviewing) for row in rows)
    return Page(items, number, size, total)


def _queue_item(session: Session, row: Version, reviewing: Reviewing | None) -> QueueItem:
    previous = _previous(session, row)
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
        previous_version=previous.number if previous else None,
    )


def last_published(session: Session, plugin_id: int) -> Version | None:
    """Return the version of the plugin that was published last, or None."""
    return session.scalar(
        select(Version)
        .where(Version.plugin_id == plugin_id, Version.state == State.PUBLISHED)
        .order_by(Version.published_at.desc(), Version.id.desc())
        .limit(1)
    )


def _previous(session: Session, row: Version) -> Version | None:
    """Return what reviewers compare with: fixed when review began, before that the last one."""
    if row.in_review_at is None:
        return last_published(session, row.plugin_id)
    if row.previous_sha256 is None:
        return None
    return session.scalar(select(Version).where(Version.sha256 == row.previous_sha256))


def review(services: Services, name: str, number: str) -> ReviewView:
    """Return all that a reviewer of this version needs.

    Raises:
        NotFound: no such plugin or version.
        Damaged: a stored wheel or report is not what was stored.
    """
    reviewing = _reviewing(services)
    with services.database.read() as session:
        row = find(session, name, number)
        before = _previous(session, row)
        findings, coverage = _findings(services, row)
        after_files = read_members(services.blobs.read(row.sha256))
        before_files = None
        if before is not None:
            old_files = read_members(services.blobs.read(before.sha256))
            before_files = comparison.aligned(old_files, after_files)
        files = comparison.file_views(after_files, before_files, findings)
        delta = None
        if before is not None and before_files is not None:
            delta = _delta(
                before, row, files, tuple(p for p in before_files if p not in after_files)
            )
        own = {row.author, row.plugin.owner}
        return ReviewView(
            version=views.version_view(row, reviewing),
            materials=_materials(session, row, findings),
            delta=delta,
            files=files,
            findings=findings,
            coverage=coverage,
            reviewers=tuple(
                views.signer(r) for r in (reviewing.reviewers if reviewing else ()) if r not in own
            ),
            acknowledged=acknowledging.said(session, row),
        )


def _delta(
    before: Version, after: Version, files: tuple[FileView, ...], removed: tuple[str, ...]
) -> Delta:
    return Delta(
        version=before.number,
        sha256=before.sha256,
        size_before=before.size,
        size_after=after.size,
        manifest=comparison.manifest_changes(
            before.manifest, after.manifest, (before.summary, after.summary)
        ),
        added=tuple(f.path for f in files if f.change == "added"),
        removed=removed,
        changed=tuple(f.path for f in files if f.change == "changed"),
    )


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
