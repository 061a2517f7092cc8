"""What a version is beside the one that reviewers compare it with."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import comparison
from registry.dependencies.models import LockedWheel
from registry.models import Version
from registry.readmodel import Change, ChangeKind, Delta, FileOutline
from registry.states import State


def siblings(session: Session, row: Version) -> tuple[str, ...]:
    """Return the numbers of all versions of the plugin: a page is stale where there is another."""
    statement = select(Version.number).where(Version.plugin_id == row.plugin_id)
    return tuple(session.scalars(statement.order_by(Version.id)))


def last_published(session: Session, plugin_id: int) -> Version | None:
    """Return the version of the plugin that was published last, or None."""
    return session.scalar(
        select(Version)
        .where(Version.plugin_id == plugin_id, Version.state == State.PUBLISHED)
        .order_by(Version.published_at.desc(), Version.id.desc())
        .limit(1)
    )


def compared_with(session: Session, row: Version) -> Version | None:
    """Return what reviewers compare with: fixed when review began, before that the last one."""
    if row.in_review_at is None:
        return last_published(session, row.plugin_id)
    if row.previous_sha256 is None:
        return None
    return session.scalar(select(Version).where(Version.sha256 == row.previous_sha256))


def dependency_changes(
    session: Session, before: Version | None, after: Version
) -> tuple[Change, ...]:
    """Compare the wheels that two versions lock, by name."""

    def locked(version: Version | None) -> dict[str, str]:
        if version is None:
            return {}
        rows = session.scalars(select(LockedWheel).where(LockedWheel.version_id == version.id))
        return {row.name: f"{row.number}, sha256 {row.sha256}" for row in rows}

    old, new = locked(before), locked(after)
    changes = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, ""), new.get(name, "")
        if was != now:
            kind: ChangeKind = "added" if not was else "removed" if not now else "changed"
            subject = f"dependency {name}"
            changes.append(Change(subject, kind, was, now, widening=kind == "added"))
    return tuple(changes)


def delta(before: Version, after: Version, files: tuple[FileOutline, ...]) -> Delta:
    return Delta(
        version=before.number,
        sha256=before.sha256,
        size_before=before.size,
        size_after=after.size,
        manifest=comparison.manifest_changes(
            before.manifest, after.manifest, (before.summary, after.summary)
        ),
        added=tuple(f.path for f in files if f.change == "added"),
        removed=tuple(f.path for f in files if f.change == "removed"),
        changed=tuple(f.path for f in files if f.change == "changed"),
    )
