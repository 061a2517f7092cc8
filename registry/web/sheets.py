"""The review page's files: which ones there are, what became of each, and what is shown of them.

A plugin may have thousands of files and a file thousands of lines. One page shows at most
`INLINE_ROWS` rows of source in all; every file has a page of its own, in parts of `PART_ROWS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from registry.readmodel import FileView, FindingView, ReviewView
from registry.web.source import Row, diff_rows, source_rows

INLINE_ROWS = 1_500
INLINE_FILES = 40
PART_ROWS = 500
TREE_FILES = 3_000

Status = Literal["added", "changed", "removed", "same", "new"]

STATUS_WORDS: Mapping[Status, str] = {
    "added": "added",
    "changed": "changed",
    "removed": "removed",
    "same": "same",
    "new": "first version",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in the tree.

    Attributes:
        path: its whole path in the wheel.
        name: the last part of the path.
        status: against the last published version; `new` where there is none.
        size: bytes, or None where the file was removed.
        findings: how many findings it has, by severity.
        not_scanned: why the scan did not look at it, or "".
        binary: it is not text.
    """

    path: str
    name: str
    status: Status
    size: int | None
    findings: Mapping[str, int]
    not_scanned: str
    binary: bool

    @property
    def linked(self) -> bool:
        """Whether there is a page to look at it."""
        return self.status != "removed"


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of the tree with its files; `path` is "" for the wheel's root."""

    path: str
    entries: tuple[Entry, ...]
    notable: int

    @property
    def open(self) -> bool:
        """Whether the folder is shown unfolded: something in it wants to be read."""
        return self.notable > 0


@dataclass(frozen=True, slots=True)
class Tree:
    """Every file of a version, by folder."""

    folders: tuple[Folder, ...]
    total: int
    left_out: int
    statuses: Mapping[Status, int]
    not_scanned: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one page shows of one file.

    Attributes:
        file: the file.
        entry: its line in the tree.
        mode: `diff`, `source` or `none`.
        rows: the rows shown.
        first: the number of the first row shown, from 1.
        total: rows that there are (of what the registry gives out, see `file.truncated`).
        unplaced: findings of the file that no row shown carries.
    """

    file: FileView
    entry: Entry
    mode: Literal["diff", "source", "none"]
    rows: tuple[Row, ...]
    first: int
    total: int
    unplaced: tuple[FindingView, ...]

    @property
    def last(self) -> int:
        """The number of the last row shown, 0 where there is none."""
        return self.first + len(self.rows) - 1 if self.rows else 0

    @property
    def same_lines(self) -> bool:
        """Whether the file changed and its lines did not: line ends, or what is not shown."""
        return self.entry.status == "changed" and not self.file.diff and not self.file.binary

    @property
    def complete(self) -> bool:
        """Whether all rows are shown."""
        return len(self.rows) == self.total


@dataclass(frozen=True, slots=True)
class Inline:
    """The sheets that the review page itself shows, and the paths that need their own page."""

    sheets: tuple[Sheet, ...]
    elsewhere: tuple[Entry, ...] = field(default=())


def entry_of(view: ReviewView, file: FileView) -> Entry:
    """Return the tree's line for `file`."""
    status: Status = "new"
    if view.delta is not None:
        status = file.change or "same"
    return Entry(
        path=file.path,
        name=file.path.rpartition("/")[2],
        status=status,
        size=file.size,
        findings=_counts(file.findings),
        not_scanned=view.coverage.not_scanned.get(file.path, "") if view.coverage else "",
        binary=file.binary,
    )


def tree(view: ReviewView) -> Tree:
    """Return every file of the version, and those removed since the last published one."""
    entries = [entry_of(view, file) for file in view.files]
    known = {entry.path for entry in entries}
    if view.delta is not None:
        entries += [
            Entry(path, path.rpartition("/")[2], "removed", None, {}, "", False)
            for path in view.delta.removed
            if path not in known
        ]
    statuses: dict[Status, int] = {}
    folders: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: _order(e.path))[:TREE_FILES]:
        folders.setdefault(entry.path.rpartition("/")[0], []).append(entry)
    for entry in entries:
        statuses[entry.status] = statuses.get(entry.status, 0) + 1
    return Tree(
        folders=tuple(_folder(path, inside) for path, inside in folders.items()),
        total=len(entries),
        left_out=max(0, len(entries) - TREE_FILES),
        statuses=statuses,
        not_scanned=len(view.coverage.not_scanned) if view.coverage else 0,
    )


def inline(view: ReviewView) -> Inline:
    """Choose what the review page shows: files with findings first, then what is new or changed.

    A file is shown whole or not at all; what does not fit is in `elsewhere`.
    """
    worth = [f for f in view.files if f.findings or view.delta is None or f.change is not None]
    worth.sort(key=lambda f: (not f.findings, *_order(f.path)))
    sheets: list[Sheet] = []
    elsewhere: list[Entry] = []
    room = INLINE_ROWS
    for file in worth:
        rows = len(file.diff or file.lines)
        if rows > room or len(sheets) == INLINE_FILES:
            elsewhere.append(entry_of(view, file))
            continue
        room -= rows
        sheets.append(sheet(view, file, "diff" if file.diff else "source"))
    sheets.sort(key=lambda s: _order(s.file.path))
    return Inline(tuple(sheets), tuple(sorted(elsewhere, key=lambda e: _order(e.path))))


def sheet(
    view: ReviewView,
    file: FileView,
    mode: Literal["diff", "source"],
    first: int = 1,
    count: int | None = None,
) -> Sheet:
    """Return what is shown of `file`.

    Args:
        view: the review that the file belongs to.
        file: the file.
        mode: the unified diff, or the whole text.
        first: the first row, from 1.
        count: how many rows at most; None for all.
    """
    end = None if count is None else first - 1 + count
    if mode == "diff":
        total = len(file.diff)
        rows = diff_rows(file.path, file.diff[first - 1 : end], file.lines)
    else:
        total = len(file.lines)
        rows = source_rows(file.path, file.lines)[first - 1 : end]
    placed = {id(finding) for row in rows for finding in row.findings}
    unplaced = tuple(f for f in file.findings if id(f) not in placed and not _in(f, rows))
    return Sheet(
        file=file,
        entry=entry_of(view, file),
        mode=mode if total else "none",
        rows=tuple(rows),
        first=first,
        total=total,
        unplaced=unplaced,
    )


def file_named(view: ReviewView, path: str) -> FileView | None:
    """Return the file at `path`, or None."""
    return next((file for file in view.files if file.path == path), None)


def _order(path: str) -> tuple[bool, str, str]:
    """Sort by folder, what the build tool wrote (`*.dist-info/`) after the author's own files."""
    folder, _, name = path.rpartition("/")
    return folder.endswith(".dist-info"), folder, name


def _in(finding: FindingView, rows: Sequence[Row]) -> bool:
    return any(finding in row.findings for row in rows)


def _counts(findings: Iterable[FindingView]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.severity] = counts.get(finding.severity, 0) + 1
    return counts


def _folder(path: str, entries: Sequence[Entry]) -> Folder:
    notable = sum(1 for e in entries if e.findings or e.status not in ("same", "new"))
    return Folder(path, tuple(entries), notable)
