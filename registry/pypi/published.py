"""What is published, as the index shows it: a few columns of the rows, read by index only.

Nothing else can be downloaded here: every query says so in the same words, `Version.state ==
PUBLISHED`. What was published and taken back is listed as yanked, with the reason, and not handed
out: an installer that has it pinned says why it cannot have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from packaging.version import Version as Pep440
from sqlalchemy import Row, Select, exists, func, select
from sqlalchemy.orm import aliased

from registry import coremetadata
from registry.errors import NotFound
from registry.models import Evidence, Plugin, TimelineRow, Version
from registry.names import normalised
from registry.services import Services
from registry.states import Event, State
from trust.errors import problem
from trust.identity import Identity


@dataclass(frozen=True, slots=True)
class File:
    """One published wheel.

    Attributes:
        name: the plugin's normalised name.
        version: canonical.
        filename: the wheel's file name.
        sha256: its digest, lowercase hexadecimal.
        size: bytes.
        published_at: when it could first be downloaded, UTC.
        metadata_sha256: digest of its METADATA.
        requires_python: PEP 440 specifiers, "" for any.
        yanked: why it was taken back (PEP 592); None: it was not.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size: int
    published_at: datetime
    metadata_sha256: str
    requires_python: str
    yanked: str | None = None


def _columns() -> Select[*tuple[Any, ...]]:
    return select(
        Plugin.name,
        Version.number,
        Version.filename,
        Version.sha256,
        Version.size,
        Version.published_at,
        Version.metadata_sha256,
        Version.requires_python,
    ).join(Version.plugin)


def _files() -> Select[*tuple[Any, ...]]:
    return _columns().where(Version.state == State.PUBLISHED)


def names_statement() -> Select[str]:
    """Return the query for the names of plugins with a published version, by name."""
    published = exists().where(Version.plugin_id == Plugin.id, Version.state == State.PUBLISHED)
    return select(Plugin.name).where(published).order_by(Plugin.name)


def project_statement(name: str | None) -> Select[*tuple[Any, ...]]:
    """Return the query for the published files of the plugin of this normalised name."""
    return _files().where(Plugin.name == name)


def withdrawn_statement(name: str | None) -> Select[*tuple[Any, ...]]:
    """Return the query for the files that were published and taken back, each with the reason."""
    told = aliased(TimelineRow)
    last = (
        select(func.max(told.id))
        .where(
            told.version_id == Version.id,
            told.event.in_([Event.REVOKED, Event.QUARANTINED, Event.REOPENED]),
        )
        .correlate(Version)
        .scalar_subquery()
    )
    return (
        _columns()
        .add_columns(TimelineRow.detail)
        .join(TimelineRow, TimelineRow.id == last)
        .where(
            Plugin.name == name,
            Version.state.in_([State.REVOKED, State.QUARANTINED, State.IN_REVIEW]),
            Version.published_at.is_not(None),
        )
    )


def file_statement(sha256: str) -> Select[*tuple[Any, ...]]:
    """Return the query for the published file of this digest."""
    return _files().where(Version.sha256 == sha256)


def names(services: Services) -> Sequence[str]:
    """Return the normalised names of all plugins that have a published version, by name."""
    with services.database.read() as session:
        return session.scalars(names_statement()).all()


def project(services: Services, name: str) -> tuple[File, ...]:
    """Return the published files of a plugin, lowest version first.

    Raises:
        NotFound: there is none.
    """
    with services.database.read() as session:
        rows = session.execute(project_statement(normalised(name))).all()
        gone = session.execute(withdrawn_statement(normalised(name))).all()
    if not rows and not gone:
        raise NotFound(
            problem(
                "registry.no-such-plugin",
                "the registry has published no plugin of this name",
                value=name,
                expected="the name of a plugin with a published version",
                advice="check the name; a version is listed here once reviewers approved it",
            )
        )
    files = [_file(services, row) for row in rows]
    files += [replace(_file(services, row), yanked=row.detail) for row in gone]
    return tuple(sorted(files, key=lambda f: Pep440(f.version)))


def file(services: Services, sha256: str, filename: str) -> File:
    """Return one published file by its digest and its name.

    Raises:
        NotFound: no published file has both.
    """
    with services.database.read() as session:
        row = session.execute(file_statement(sha256)).one_or_none()
    if row is None or row.filename != filename:
        raise _no_file(f"{sha256}/{filename}")
    return _file(services, row)


def evidence(services: Services, name: str, number: str, filename: str) -> tuple[Identity, bytes]:
    """Return who signed the submission of a published file, and the bundle.

    Raises:
        NotFound: there is no such published file.
        Damaged: the stored bundle is not what was stored.
    """
    statement = (
        select(Evidence)
        .join(Evidence.version)
        .join(Version.plugin)
        .where(
            Plugin.name == normalised(name),
            Version.number == number,
            Version.filename == filename,
            Version.state == State.PUBLISHED,
            Evidence.step == "submit",
        )
    )
    with services.database.read() as session:
        row = session.scalars(statement).one_or_none()
        if row is None:
            raise _no_file(f"{name}/{number}/{filename}")
        return row.signer, services.blobs.read(row.sha256)


def _file(services: Services, row: Row[*tuple[Any, ...]]) -> File:
    metadata_sha256, requires_python = row.metadata_sha256, row.requires_python
    if metadata_sha256 is None:
        # The row is older than these columns.
        core = coremetadata.read(services.blobs.read(row.sha256))
        metadata_sha256, requires_python = core.sha256, core.requires_python
    return File(
        row.name,
        row.number,
        row.filename,
        row.sha256,
        row.size,
        row.published_at,
        metadata_sha256,
        requires_python or "",
    )


def _no_file(value: str) -> NotFound:
    return NotFound(
        problem(
            "registry.no-such-file",
            "the registry has published no such file",
            value=value,
            expected="an address that the index gives",
            advice="take the address from the index; a version is there once it is approved",
        )
    )
