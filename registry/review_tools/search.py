"""Plain text in the lines of a version: those that are new to reviewers, or all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from registry import comparison
from registry.lookup import find
from registry.models import Version
from registry.readmodel import FileOutline, LineKind
from registry.review_tools.members import Members, members_of
from registry.review_tools.preparing import outline_of
from registry.services import Services

MAX_TEXT = 200
"""Characters of the text that is searched for."""
MAX_HITS = 200
MAX_BYTES = 8 << 20
"""Bytes of source that one search looks at."""
MAX_LINE = 300


@dataclass(frozen=True, slots=True)
class Hit:
    """One line that has the text.

    Attributes:
        path: the file.
        line: the line of this version; of the earlier one where `kind` is `removed`.
        kind: `added`, `removed` or `context`.
        text: the line, cut after `MAX_LINE` characters.
    """

    path: str
    line: int
    kind: LineKind
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        hits: at most `MAX_HITS`, file by file.
        files: files that were looked at.
        cut: there was more to look at, or more was found.
    """

    hits: tuple[Hit, ...]
    files: int
    cut: bool


def search(
    services: Services, name: str, number: str, text: str, *, everywhere: bool = False
) -> Found:
    """Search a version's files; upper and lower case are the same.

    Args:
        services: the registry's parts.
        name: the plugin's name.
        number: the version.
        text: what to look for.
        everywhere: in every line, not only in those that changed.

    Raises:
        NotFound: no such version.
        Damaged: a stored wheel or report is not what was stored.
    """
    with services.database.read() as session:
        row = find(session, name, number)
        before = row.previous_sha256
        outline = outline_of(services, session, row, before)
        new, old = _wheels(services, row)
    wanted = text.lower()
    hits: list[Hit] = []
    looked, left = 0, MAX_BYTES
    for file in outline.files:
        if file.binary or (file.change is None and before is not None and not everywhere):
            continue
        if file.size > left or len(hits) > MAX_HITS:
            return Found(tuple(hits[:MAX_HITS]), looked, cut=True)
        left -= file.size
        looked += 1
        hits += _in_file(file, new, old, wanted, everywhere=everywhere)
    return Found(tuple(hits[:MAX_HITS]), looked, cut=len(hits) > MAX_HITS)


def _wheels(services: Services, row: Version) -> tuple[Members, Members | None]:
    new = members_of(services.blobs, row.sha256)
    if row.previous_sha256 is None:
        return new, None
    return new, members_of(services.blobs, row.previous_sha256, row.sha256)


def _in_file(
    file: FileOutline, new: Members, old: Members | None, wanted: str, *, everywhere: bool
) -> Iterator[Hit]:
    after = _lines(new, file.path)
    if everywhere and file.path in new:
        for number, line in enumerate(after, 1):
            if wanted in line.lower():
                yield Hit(file.path, number, "context", line[:MAX_LINE])
        return
    if old is None or file.change == "added":
        for number, line in enumerate(after, 1):
            if wanted in line.lower():
                yield Hit(file.path, number, "added", line[:MAX_LINE])
        return
    for entry in comparison.diff(_lines(old, file.path), after):
        if entry.kind in ("added", "removed") and wanted in entry.text.lower():
            number = (entry.new if entry.kind == "added" else entry.old) or 0
            yield Hit(file.path, number, entry.kind, entry.text[:MAX_LINE])


def _lines(members: Members, path: str) -> list[str]:
    if path not in members:
        return []
    return comparison.lines_of(members[path].decode("utf-8", "replace"))
