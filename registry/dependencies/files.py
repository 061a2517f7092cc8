"""The files of locked wheels, for reviewers: named by the wheel's file name before their path.

They are compared with the files of the wheel of the same name that the version locks with which
reviewers compare the plugin. Contents are compared, never what an archive or a RECORD says of
them. Lines are compared file by file, when one is shown, within the bounds of the plugin's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy.orm import Session

from registry import comparison
from registry.blobs import BlobStore
from registry.dependencies import store
from registry.errors import NotFound
from registry.lookup import find
from registry.models import Version
from registry.readmodel import ChangeKind, FileOutline, FileView, FindingView
from registry.review_tools.beside import compared_with
from registry.review_tools.members import members_of
from registry.services import Services
from trust.errors import problem


@dataclass(frozen=True, slots=True)
class Pair:
    """A locked wheel, and the wheel of that name that the earlier version locks.

    Attributes:
        name: the library's.
        number: its version.
        filename: the wheel's.
        sha256: the wheel's digest.
        first: there is no earlier version of the plugin.
        earlier_number: the library's version that the earlier one locks, or "".
        earlier_sha256: the digest of that wheel, or None.
    """

    name: str
    number: str
    filename: str
    sha256: str
    first: bool
    earlier_number: str
    earlier_sha256: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """All files of a locked wheel.

    Attributes:
        pair: the wheel.
        comparable: whether the earlier wheel is there to compare with.
        files: every file in the order of the archive, then those that are gone; lines are not
            counted.
    """

    pair: Pair
    comparable: bool
    files: tuple[FileOutline, ...]


def pairs(session: Session, version: Version) -> tuple[Pair, ...]:
    """Return the wheels that a version locks, each with its earlier one."""
    before = compared_with(session, version)
    earlier = {row.name: row for row in store.rows(session, before.id)} if before else {}
    found = []
    for row in store.rows(session, version.id):
        old = earlier.get(row.name)
        found.append(
            Pair(
                row.name,
                row.number,
                row.filename,
                row.sha256,
                before is None,
                old.number if old else "",
                old.sha256 if old else None,
            )
        )
    return tuple(found)


def of_version(services: Services, name: str, number: str) -> tuple[Pair, ...]:
    """Return the wheels that a version locks, each with its earlier one.

    Raises:
        NotFound: no such version.
    """
    with services.database.read() as session:
        return pairs(session, find(session, name, number))


def listing(services: Services, name: str, number: str, filename: str) -> Listing:
    """Return the files of a locked wheel, and which of them differ from the earlier one's.

    Raises:
        NotFound: no such version, or it locks no such wheel, or the wheel is not here yet.
        Damaged: a stored wheel is not what was stored.
    """
    found = {pair.filename: pair for pair in of_version(services, name, number)}
    pair = found.get(filename)
    if pair is None or not services.blobs.has(pair.sha256):
        raise NotFound(
            problem(
                "registry.no-such-dependency",
                "this version has no such dependency",
                value=filename,
                expected="the file name of a wheel that the version's lock names",
                advice="choose one on the review page",
            )
        )
    before = _at_hand(services, pair)
    files = _compared(services.blobs, pair.sha256, before, pair.first)
    return Listing(pair, before is not None, tuple(_within(filename, file) for file in files))


def files_of_locked(
    services: Services, locked: Sequence[Pair], path: str, findings: Sequence[FindingView]
) -> tuple[FileView, ...]:
    """Return the one file of a locked wheel at `path`, or nothing.

    Args:
        services: the registry's parts.
        locked: every wheel that the version locks.
        path: as reports have it, `FILE.whl/path/in/the/wheel`.
        findings: those in this file.

    Raises:
        Damaged: a stored wheel is not what was stored.
    """
    filename, _, inner = path.partition("/")
    pair = next((pair for pair in locked if pair.filename == filename), None)
    if pair is None or not services.blobs.has(pair.sha256):
        return ()
    new = members_of(services.blobs, pair.sha256)
    before = _at_hand(services, pair)
    old = members_of(services.blobs, before, pair.sha256) if before else {}
    if inner in new:
        earlier = {path: old[inner]} if inner in old else {}
        return comparison.file_views({path: new[inner]}, None if pair.first else earlier, findings)
    if inner in old:
        return (comparison.removed_view(path, old[inner]),)
    return ()


def _at_hand(services: Services, pair: Pair) -> str | None:
    sha256 = pair.earlier_sha256
    return sha256 if sha256 is not None and services.blobs.has(sha256) else None


@lru_cache(maxsize=32)
def _compared(
    blobs: BlobStore, after: str, before: str | None, first: bool
) -> tuple[FileOutline, ...]:
    """Compare the files of two stored wheels by their contents, in archive order."""
    new = members_of(blobs, after)
    old = members_of(blobs, before, after) if before is not None else {}
    files = []
    for path, data in new.items():
        change: ChangeKind | None = None
        if not first:
            change = "added" if path not in old else "changed" if old[path] != data else None
        files.append(_outline(path, data, change))
    files += [_outline(path, data, "removed") for path, data in old.items() if path not in new]
    return tuple(files)


def _outline(path: str, data: bytes, change: ChangeKind | None) -> FileOutline:
    sha256 = "" if change == "removed" else hashlib.sha256(data).hexdigest()
    return FileOutline(path, len(data), sha256, change, b"\0" in data[:8192], False, 0, 0, 0)


def _within(filename: str, file: FileOutline) -> FileOutline:
    return FileOutline(
        f"{filename}/{file.path}", file.size, file.sha256, file.change, file.binary, False, 0, 0, 0
    )
