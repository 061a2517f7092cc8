"""The files of locked wheels, for reviewers: named by the wheel's file name before their path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from registry import comparison
from registry.readmodel import FileView, FindingView
from registry.review_tools.members import members_of
from registry.services import Services


def files_of_locked(
    services: Services, wheels: Mapping[str, str], path: str, findings: Sequence[FindingView]
) -> tuple[FileView, ...]:
    """Return the one file of a locked wheel at `path`, or nothing.

    Args:
        services: the registry's parts.
        wheels: file name -> SHA-256 of every wheel that the version locks.
        path: as reports have it, `FILE.whl/path/in/the/wheel`.
        findings: those in this file.

    Raises:
        Damaged: the stored wheel is not what was stored.
    """
    filename, _, inner = path.partition("/")
    sha256 = wheels.get(filename)
    if sha256 is None or not services.blobs.has(sha256):
        return ()
    members = members_of(services.blobs, sha256)
    if inner not in members:
        return ()
    return comparison.file_views({path: members[inner]}, None, findings)
