"""Locked wheels at intake, before a scan, for the gate, and for download."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, object_session

from registry.blobs import Batch
from registry.dependencies.index import Index
from registry.dependencies.models import LockedWheel
from registry.dependencies.sent import FIELD, Sent
from registry.errors import NotFound, Unprocessable
from registry.lookup import find
from registry.models import Version
from registry.services import Services
from trust import wheel
from trust.errors import Problem, problem
from trust.outcomes import Failed


def check(
    services: Services, plugin: wheel.Plugin, sent: Sequence[Sent], *, contents: bool = True
) -> None:
    """Check what was sent as a plugin's dependencies, before anything is stored.

    Whatever the lock names must be sent, be here already, or be to be had from the index.

    Args:
        services: the registry's parts.
        plugin: the plugin.
        sent: what was sent.
        contents: read the wheels too, which may take long; else their digests are compared.

    Raises:
        Unprocessable: something else was sent, or a locked wheel is missing or not accepted.
    """
    locked = {item.sha256: item for item in plugin.dependencies}
    named = {item.filename: item for item in plugin.dependencies}
    data: dict[str, bytes] = {}
    problems: list[Problem] = []
    differ: set[str] = set()
    for item in sent:
        digest = hashlib.sha256(item.data).hexdigest()
        if digest in locked:
            data[digest] = item.data
        elif item.filename in named:
            differ.add(named[item.filename].sha256)
            problems.append(_differs(item.filename, digest, named[item.filename]))
        else:
            problems.append(_not_locked(item.filename, digest, locked))
    for digest, dependency in locked.items():
        if digest in differ:
            continue
        here = digest in data or services.blobs.has(digest)
        if here and digest not in data and contents:
            data[digest] = services.blobs.read(digest)
        if not here and services.settings.dependency_index is None:
            problems.append(
                problem(
                    "registry.dependency-missing",
                    f"the wheel of the dependency {dependency.name} was not sent",
                    value=dependency.filename,
                    expected=f"a file with sha256:{digest}",
                    advice="send the locked wheels with the plugin: choose them in the form, or "
                    "`sealgate submit --dependencies FOLDER`; this registry fetches none",
                    where=FIELD,
                )
            )
    if contents and not problems and data.keys() >= locked.keys():
        outcome = wheel.inspect_dependencies(plugin, data)
        if isinstance(outcome, Failed):
            problems += outcome.problems
    if problems:
        raise Unprocessable(problems)


def _not_locked(filename: str, digest: str, locked: Collection[str]) -> Problem:
    return problem(
        "registry.dependency-not-locked",
        "a file was sent as a dependency that the plugin's lock does not name",
        value=f"{filename} sha256:{digest}",
        expected=", ".join(sorted(locked)) or "no dependency",
        advice="send only the wheels that pylock.toml names",
        where=FIELD,
    )


def _differs(filename: str, digest: str, dependency: wheel.Dependency) -> Problem:
    return problem(
        "registry.dependency-differs",
        f"the wheel of the dependency {dependency.name} is another file than the lock names",
        value=f"{filename} sha256:{digest}",
        expected=f"sha256:{dependency.sha256}",
        advice="send the file that was locked, or lock this one and build the plugin again",
        where=FIELD,
    )


def add(
    session: Session, batch: Batch, version_id: int, plugin: wheel.Plugin, sent: Sequence[bytes]
) -> None:
    """Write the rows of a version's lock, and the blobs that were sent."""
    for item in plugin.dependencies:
        session.add(
            LockedWheel(
                version_id=version_id,
                name=item.name,
                number=item.version,
                filename=item.filename,
                sha256=item.sha256,
            )
        )
    for data in sent:
        batch.put(data)


def rows(session: Session, version_id: int) -> list[LockedWheel]:
    """Return a version's lock, ordered by name."""
    return list(
        session.scalars(
            select(LockedWheel)
            .where(LockedWheel.version_id == version_id)
            .order_by(LockedWheel.name)
        )
    )


def gather(services: Services, version_id: int) -> list[bytes]:
    """Return the bytes of every locked wheel of a version; fetch and keep what is missing.

    What the index does not have is left out, and whoever needs it refuses.

    Raises:
        Unavailable: the index or the blob store does not answer.
        OutOfSpace: the disk is full.
    """
    with services.database.read() as session:
        wanted = [(row.name, row.filename, row.sha256) for row in rows(session, version_id)]
    found = []
    for name, filename, sha256 in wanted:
        if services.blobs.has(sha256):
            found.append(services.blobs.read(sha256))
            continue
        if services.settings.dependency_index is None:
            continue
        data = Index(services.settings.dependency_index).fetch(name, filename, sha256)
        if data is not None:
            with services.recording() as (_, batch):
                batch.put(data)
            found.append(data)
    return found


def stored(services: Services, version: Version) -> list[bytes]:
    """Return the bytes of a version's locked wheels that are here; nothing is fetched.

    Args:
        services: the registry's parts.
        version: the row, in its session.
    """
    session = object_session(version)
    if session is None:
        raise ValueError("a version without a session")
    return [
        services.blobs.read(row.sha256)
        for row in rows(session, version.id)
        if services.blobs.has(row.sha256)
    ]


def listing(services: Services, name: str, number: str) -> list[dict[str, Any]]:
    """Return a version's lock for the API; `at_hand` tells whether the registry has the bytes.

    Raises:
        NotFound: no such version.
    """
    with services.database.read() as session:
        version = find(session, name, number)
        return [
            {
                "name": row.name,
                "version": row.number,
                "filename": row.filename,
                "sha256": row.sha256,
                "at_hand": services.blobs.has(row.sha256),
            }
            for row in rows(session, version.id)
        ]


def download(services: Services, name: str, number: str, sha256: str) -> tuple[str, bytes]:
    """Return file name and bytes of a locked wheel of a version.

    Raises:
        NotFound: no such version, or its lock does not name this digest, or it is not here yet.
    """
    with services.database.read() as session:
        version = find(session, name, number)
        row = session.scalar(
            select(LockedWheel).where(
                LockedWheel.version_id == version.id, LockedWheel.sha256 == sha256
            )
        )
        if row is not None and services.blobs.has(sha256):
            return row.filename, services.blobs.read(sha256)
    raise NotFound(
        problem(
            "registry.no-such-dependency",
            "this version has no such dependency",
            value=sha256,
            expected="the digest of a wheel that the version's lock names",
            advice="see the list at the same address without the digest",
        )
    )
