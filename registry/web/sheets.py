"""The review page's files: which ones there are, what became of each, and what is shown of them.

A plugin may have thousands of files and a file thousands of lines. One page shows at most
`INLINE_ROWS` rows of source, and the next part shows the next files; every file has a page of its
own, in parts of `PART_ROWS`. What a page does not show it names, and says where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from registry.dependencies.files import Listing
from registry.readmodel import FileOutline, FileView, FindingView
from registry.review_tools.comments import CommentView
from registry.reviewmodel import ReviewView
from registry.web.source import Pair, Row, diff_rows, paired, source_rows

INLINE_ROWS = 500
INLINE_FILES = 20
PART_ROWS = 500
TREE_FILES = 250

Status = Literal["added", "changed", "removed", "same", "new"]
Mode = Literal["diff", "split", "source", "none"]

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
        size: bytes; of the earlier file where it was removed.
        findings: how many findings it has, by severity.
        not_scanned: why the scan did not look at it, or "".
        binary: it is not text.
        added: lines that are new.
        removed: lines that are gone.
        rows: rows that a page of it has.
    """

    path: str
    name: str
    status: Status
    size: int
    findings: Mapping[str, int]
    not_scanned: str
    binary: bool
    added: int
    removed: int
    rows: int

    @property
    def notable(self) -> bool:
        """Whether the file wants to be read: it is not as it was, or the scan found something."""
        return bool(self.findings) or self.status not in ("same", "new")

    @property
    def to_read(self) -> bool:
        """Whether a reviewer has to read it: it is new to them."""
        return bool(self.findings) or self.status != "same"


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
    """The files of a version, by folder: all of them, or those worth reading first.

    Attributes:
        left_out: files that are not in `folders`; the page of all files has them.
        added: new lines in all files.
        removed: lines that are gone, in all files.
    """

    folders: tuple[Folder, ...]
    total: int
    left_out: int
    statuses: Mapping[Status, int]
    not_scanned: int
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one page shows of one file.

    Attributes:
        file: the file.
        entry: its line in the tree.
        mode: `diff`, `split`, `source` or `none`.
        rows: the rows shown, in the modes `diff` and `source`.
        pairs: the rows shown, in the mode `split`.
        first: the number of the first row shown, from 1.
        total: rows that there are (of what the registry gives out, see `file.truncated`).
        unplaced: findings of the file that no row shown carries.
        comments: comments by the line beside which they are shown; at 0 those without one.
    """

    file: FileView
    entry: Entry
    mode: Mode
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    first: int
    total: int
    unplaced: tuple[FindingView, ...]
    comments: Mapping[int, tuple[CommentView, ...]]

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
class Part:
    """One part of what there is to read.

    Attributes:
        entries: the files that the page shows.
        number: which part, from 1.
        count: how many parts there are, at least one.
        elsewhere: files too long for any part; each has a page of its own.
        files: how many files there are to read in all.
    """

    entries: tuple[Entry, ...]
    number: int
    count: int
    elsewhere: tuple[Entry, ...] = field(default=())
    files: int = 0


def entries_of(view: ReviewView) -> list[Entry]:
    """Return the tree's line of every file, what the build tool wrote after the author's own."""
    return _entries(view, view.files)


def locked_entries(view: ReviewView, listing: Listing) -> list[Entry]:
    """Return the line of every file of a locked wheel: first what is not as it was."""
    found = _entries(view, listing.files)
    return sorted(found, key=lambda entry: entry.status == "same")


def _entries(view: ReviewView, files: Iterable[FileOutline]) -> list[Entry]:
    counts: dict[str, dict[str, int]] = {}
    for finding in view.findings:
        here = counts.setdefault(finding.path, {})
        here[finding.severity] = here.get(finding.severity, 0) + 1
    found = [_entry(view, file, counts.get(file.path, {})) for file in files]
    return sorted(found, key=lambda entry: _order(entry.path))


def _entry(view: ReviewView, file: FileOutline, findings: Mapping[str, int]) -> Entry:
    status: Status = "new"
    if view.delta is not None:
        status = file.change or "same"
    return Entry(
        path=file.path,
        name=file.path.rpartition("/")[2],
        status=status,
        size=file.size,
        findings=findings,
        not_scanned=view.coverage.not_scanned.get(file.path, "") if view.coverage else "",
        binary=file.binary,
        added=file.added,
        removed=file.removed,
        rows=file.rows,
    )


def locked_entry(view: ReviewView, file: FileView) -> Entry:
    """Return the line of a file of a locked wheel, with its lines counted."""
    kinds = [line.kind for line in file.diff]
    fresh = view.delta is None or file.change == "added"
    counts: dict[str, int] = {}
    for finding in file.findings:
        counts[finding.severity] = counts.get(finding.severity, 0) + 1
    return Entry(
        path=file.path,
        name=file.path.rpartition("/")[2],
        status="new" if view.delta is None else file.change or "same",
        size=file.size,
        findings=counts,
        not_scanned=view.coverage.not_scanned.get(file.path, "") if view.coverage else "",
        binary=file.binary,
        added=len(file.lines) if fresh else kinds.count("added"),
        removed=kinds.count("removed"),
        rows=len(file.diff) or len(file.lines),
    )


def tree(entries: Sequence[Entry]) -> Tree:
    """Return the files by folder; of many files, those that want to be read first."""
    shown = list(entries)
    if len(shown) > TREE_FILES:
        first = [e for e in entries if e.notable] + [e for e in entries if not e.notable]
        kept = {entry.path for entry in first[:TREE_FILES]}
        shown = [entry for entry in entries if entry.path in kept]
    statuses: dict[Status, int] = {}
    for entry in entries:
        statuses[entry.status] = statuses.get(entry.status, 0) + 1
    folders: dict[str, list[Entry]] = {}
    for entry in shown:
        folders.setdefault(entry.path.rpartition("/")[0], []).append(entry)
    return Tree(
        folders=tuple(_folder(path, inside) for path, inside in folders.items()),
        total=len(entries),
        left_out=len(entries) - len(shown),
        statuses=statuses,
        not_scanned=sum(1 for entry in entries if entry.not_scanned),
        added=sum(entry.added for entry in entries if entry.status != "same"),
        removed=sum(entry.removed for entry in entries),
    )


def _folder(path: str, entries: Sequence[Entry]) -> Folder:
    return Folder(path, tuple(entries), sum(1 for entry in entries if entry.notable))


def part(entries: Sequence[Entry], number: int) -> Part:
    """Return one part of what there is to read: files with findings first, then the others.

    A file is shown whole or not at all.

    Args:
        entries: every file, in order.
        number: which part, from 1; beyond the last one it is the last one.
    """
    worth = [entry for entry in entries if entry.to_read]
    worth.sort(key=lambda entry: not entry.findings)
    parts: list[list[Entry]] = [[]]
    elsewhere: list[Entry] = []
    room = INLINE_ROWS
    for entry in worth:
        if entry.rows > INLINE_ROWS:
            elsewhere.append(entry)
            continue
        if entry.rows > room or len(parts[-1]) == INLINE_FILES:
            parts.append([])
            room = INLINE_ROWS
        room -= entry.rows
        parts[-1].append(entry)
    number = min(max(1, number), len(parts))
    return Part(tuple(parts[number - 1]), number, len(parts), tuple(elsewhere), len(worth))


def sheet(
    entry: Entry,
    file: FileView,
    mode: Mode,
    first: int = 1,
    count: int | None = None,
    comments: Iterable[CommentView] = (),
) -> Sheet:
    """Return what is shown of `file`.

    Args:
        entry: its line in the tree.
        file: the file.
        mode: the unified diff, the two versions side by side, or the whole text.
        first: the first row, from 1.
        count: how many rows at most; None for all.
        comments: what people said to its lines.
    """
    end = None if count is None else first - 1 + count
    if mode != "source" and file.diff:
        total = len(file.diff)
        rows = diff_rows(file.path, file.diff[first - 1 : end], file.lines)
    else:
        mode, total = "source", len(file.lines)
        rows = source_rows(file.path, file.lines, first, count)
    placed = {id(finding) for row in rows for finding in row.findings}
    lines = {row.new for row in rows}
    threads: dict[int, tuple[CommentView, ...]] = {}
    for comment in comments:
        at = comment.shown_at if comment.shown_at in lines else 0
        threads[at] = (*threads.get(at, ()), comment)
    return Sheet(
        file=file,
        entry=entry,
        mode=mode if total else "none",
        rows=tuple(rows),
        pairs=tuple(paired(rows)) if mode == "split" else (),
        first=first,
        total=total,
        unplaced=tuple(f for f in file.findings if id(f) not in placed and not _in(f, rows)),
        comments=threads,
    )


def _order(path: str) -> tuple[bool, str, str]:
    """Sort by folder, what the build tool wrote (`*.dist-info/`) after the author's own files."""
    folder, _, name = path.rpartition("/")
    return folder.endswith(".dist-info"), folder, name


def _in(finding: FindingView, rows: Sequence[Row]) -> bool:
    return any(finding in row.findings for row in rows)
