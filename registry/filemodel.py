"""The files of a wheel as reviewers see them: lines, findings, and changes, as frozen views.

Part of `registry.readmodel`, which exports all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ChangeKind = Literal["added", "removed", "changed"]
Severity = Literal["high", "medium", "low"]
LineKind = Literal["context", "added", "removed", "hunk"]


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding of the scan.

    Attributes:
        rule: the rule's identifier, such as `B602`.
        severity: `high` (blocks), `medium` (a reviewer must acknowledge it) or `low` (shown).
        path: the file in the wheel.
        line: 1-based line number, or 0 where the finding concerns the file as a whole.
        message: what was found.
        help: what to do about it.
        source_line: the offending line, or "".
        fingerprint: by which a reviewer acknowledges it, SHA-256 in hexadecimal, or "".
    """

    rule: str
    severity: Severity
    path: str
    line: int
    message: str
    help: str
    source_line: str
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class CoverageView:
    """How much of the wheel the scan looked at.

    Attributes:
        scanned: paths whose contents were scanned.
        not_scanned: path -> why it was not (data files, say).
    """

    scanned: tuple[str, ...]
    not_scanned: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a unified diff; numbers are 1-based, None on the side where it is absent."""

    kind: LineKind
    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One line of a file in the wheel with the findings on it."""

    number: int
    text: str
    findings: tuple[FindingView, ...] = ()


@dataclass(frozen=True, slots=True)
class FileOutline:
    """One file of the wheel under review, or one that is gone from it.

    Attributes:
        path: its path in the wheel.
        size: bytes; of the earlier file where it is gone.
        sha256: digest of its contents; "" where it is gone.
        change: against the version compared with; None where it is the same or there is none.
        binary: not UTF-8 text.
        truncated: too long to be shown whole.
        rows: rows that its diff has, or its text where there is no diff.
        added: lines that are new.
        removed: lines that are gone.
    """

    path: str
    size: int
    sha256: str
    change: ChangeKind | None
    binary: bool
    truncated: bool
    rows: int
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class FileView:
    """One file of the wheel under review.

    Attributes:
        path: its path in the wheel.
        size: bytes.
        sha256: digest of its contents.
        change: against the last published version; None where it is the same or where there is
            no earlier version.
        lines: its text, or empty where it is binary or was cut away.
        binary: not UTF-8 text; only size and digest are shown.
        truncated: `lines` and `diff` end before the file does.
        diff: unified diff against the earlier version's file, for `changed`; else empty.
        findings: every finding in this file, by line.
    """

    path: str
    size: int
    sha256: str
    change: ChangeKind | None
    lines: tuple[SourceLine, ...]
    binary: bool
    truncated: bool
    diff: tuple[DiffLine, ...]
    findings: tuple[FindingView, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of the manifest.

    Attributes:
        subject: what changed: `method greet`, `limit memory_bytes`, `permission net`, `summary`.
        kind: added, removed or changed.
        before: the earlier value as text, "" where added.
        after: the new value as text, "" where removed.
        widening: the new version may do more than the earlier one.
    """

    subject: str
    kind: ChangeKind
    before: str
    after: str
    widening: bool


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed since the last published version.

    Attributes:
        version: that version.
        sha256: the digest of its wheel.
        size_before: bytes.
        size_after: bytes.
        manifest: differences of summary, methods, limits and permissions.
        added: paths only in the new wheel.
        removed: paths only in the earlier wheel.
        changed: paths in both with different contents; their diffs are in `ReviewView.files`.
    """

    version: str
    sha256: str
    size_before: int
    size_after: int
    manifest: tuple[Change, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
