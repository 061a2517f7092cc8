"""What a reviewer reads: the wheel's files with findings, and what changed since the last one.

Both wheels come from authors. Texts, lines and the work of comparing are bounded; what was cut
says so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from registry import manifests
from registry.readmodel import (
    Change,
    ChangeKind,
    DiffLine,
    FileView,
    FindingView,
    LimitsView,
    MethodView,
    SourceLine,
)

MAX_FILE_TEXT = 512 * 1024
"""Bytes of one file that are shown as text."""
MAX_TOTAL_TEXT = 6 * 1024 * 1024
"""Bytes of all files together that are shown as text."""
MAX_MATCHED_LINES = 1500
"""Longer stretches of difference are shown as removed and added whole, without matching."""
MAX_DIFF_LINES = 5000
"""Lines of one file's diff."""
CONTEXT = 3

_LINE_END = re.compile(r"\r\n|\r|\n")


def lines_of(text: str) -> list[str]:
    """Split as Python's tokenizer does, so that line numbers agree with the scanner's."""
    lines = _LINE_END.split(text)
    if lines and not lines[-1]:
        lines.pop()
    return lines


class _Matcher(SequenceMatcher[str]):
    """Matches only between the common beginning and the common end, and only a bounded middle."""

    def __init__(self, before: Sequence[str], after: Sequence[str]) -> None:
        self._sides = list(before), list(after)
        super().__init__()

    def get_opcodes(self) -> list[tuple[Any, int, int, int, int]]:
        a, b = self._sides
        shorter = min(len(a), len(b))
        head = next((i for i in range(shorter) if a[i] != b[i]), shorter)
        tail = 0
        while tail < shorter - head and a[len(a) - 1 - tail] == b[len(b) - 1 - tail]:
            tail += 1
        a_end, b_end = len(a) - tail, len(b) - tail
        codes: list[tuple[Any, int, int, int, int]] = []
        if head:
            codes.append(("equal", 0, head, 0, head))
        if max(a_end - head, b_end - head) > MAX_MATCHED_LINES:
            codes.append(("replace", head, a_end, head, b_end))
        else:
            middle = SequenceMatcher(None, a[head:a_end], b[head:b_end])
            codes += [
                (tag, head + i1, head + i2, head + j1, head + j2)
                for tag, i1, i2, j1, j2 in middle.get_opcodes()
            ]
        if tail:
            codes.append(("equal", a_end, len(a), b_end, len(b)))
        return codes


def diff(before: Sequence[str], after: Sequence[str]) -> Iterator[DiffLine]:
    """Yield a unified diff with three lines of context."""
    for group in _Matcher(before, after).get_grouped_opcodes(CONTEXT):
        (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
        yield DiffLine("hunk", None, None, f"@@ -{i1 + 1},{i2 - i1} +{j1 + 1},{j2 - j1} @@")
        for tag, a1, a2, b1, b2 in group:
            if tag == "equal":
                for offset, text in enumerate(before[a1:a2]):
                    yield DiffLine("context", a1 + offset + 1, b1 + offset + 1, text)
                continue
            for number, text in enumerate(before[a1:a2], a1 + 1):
                yield DiffLine("removed", number, None, text)
            for number, text in enumerate(after[b1:b2], b1 + 1):
                yield DiffLine("added", None, number, text)


def _text(data: bytes) -> str | None:
    if b"\0" in data[:8192]:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def aligned(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return `before` with its `.dist-info` folder named as that of `after`.

    The folder has the version in its name (PEP 427); without this no metadata could be compared.
    """
    old, new = _dist_info(before), _dist_info(after)
    return {
        new + path.removeprefix(old) if old and new and path.startswith(old) else path: data
        for path, data in before.items()
    }


def _dist_info(files: Mapping[str, bytes]) -> str:
    suffix = ".dist-info/METADATA"
    return next((p.removesuffix("METADATA") for p in files if p.endswith(suffix)), "")


def file_views(
    after: Mapping[str, bytes],
    before: Mapping[str, bytes] | None,
    findings: Sequence[FindingView],
) -> tuple[FileView, ...]:
    """Return every file of the new wheel, in the order of the archive.

    Args:
        after: path -> contents of the wheel under review.
        before: the same of the last published version; None where there is none.
        findings: the scan's findings.
    """
    left = MAX_TOTAL_TEXT
    views = []
    for path, data in after.items():
        here = tuple(sorted((f for f in findings if f.path == path), key=lambda f: f.line))
        old = None if before is None else before.get(path)
        change: ChangeKind | None = None
        if before is not None and old is None:
            change = "added"
        elif old is not None and old != data:
            change = "changed"
        text = _text(data)
        cut = text is not None and len(data) > min(MAX_FILE_TEXT, left)
        lines: list[str] = []
        changes: tuple[DiffLine, ...] = ()
        if text is not None and not cut:
            left -= len(data)
            lines = lines_of(text)
            old_text = _text(old) if change == "changed" and old is not None else None
            if old_text is not None and old is not None and len(old) <= MAX_FILE_TEXT:
                changes, cut = _bounded(diff(lines_of(old_text), lines))
        views.append(
            FileView(
                path=path,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                change=change,
                lines=_with_findings(lines, here),
                binary=text is None,
                truncated=cut,
                diff=changes,
                findings=here,
            )
        )
    return tuple(views)


def removed_view(path: str, data: bytes) -> FileView:
    """Return a file that is gone: its text as a diff that takes every line away.

    Args:
        path: its path in the earlier wheel.
        data: its contents there.
    """
    text = _text(data)
    cut = text is not None and len(data) > MAX_FILE_TEXT
    changes: tuple[DiffLine, ...] = ()
    if text is not None and not cut:
        changes, cut = _bounded(diff(lines_of(text), ()))
    return FileView(
        path=path,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        change="removed",
        lines=(),
        binary=text is None,
        truncated=cut,
        diff=changes,
        findings=(),
    )


def _bounded(lines: Iterator[DiffLine]) -> tuple[tuple[DiffLine, ...], bool]:
    kept: list[DiffLine] = []
    for line in lines:
        if len(kept) == MAX_DIFF_LINES:
            return tuple(kept), True
        kept.append(line)
    return tuple(kept), False


def _with_findings(lines: Sequence[str], findings: Sequence[FindingView]) -> tuple[SourceLine, ...]:
    by_line: dict[int, list[FindingView]] = {}
    for finding in findings:
        by_line.setdefault(finding.line, []).append(finding)
    return tuple(
        SourceLine(number, text, tuple(by_line.get(number, ())))
        for number, text in enumerate(lines, 1)
    )


def manifest_changes(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    summaries: tuple[str, str],
) -> tuple[Change, ...]:
    """Compare what two manifests declare.

    Args:
        before: `manifests.to_row` of the earlier version.
        after: the same of the new one.
        summaries: the two summaries.
    """
    changes = []
    if summaries[0] != summaries[1]:
        changes.append(Change("summary", "changed", *summaries, widening=False))
    changes += _methods(manifests.methods(before), manifests.methods(after))
    changes += _limits(manifests.limits(before), manifests.limits(after))
    old, new = set(manifests.permissions(before)), set(manifests.permissions(after))
    changes += [
        Change(f"permission {name}", "added", "", name, widening=True) for name in sorted(new - old)
    ]
    changes += [
        Change(f"permission {name}", "removed", name, "", widening=False)
        for name in sorted(old - new)
    ]
    return tuple(changes)


def _methods(before: Sequence[MethodView], after: Sequence[MethodView]) -> Iterator[Change]:
    old, new = {m.name: m for m in before}, {m.name: m for m in after}
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield Change(f"method {name}", "added", "", new[name].callable, widening=True)
        elif name not in new:
            yield Change(f"method {name}", "removed", old[name].callable, "", widening=False)
        else:
            for part in ("callable", "summary", "arguments", "result"):
                one, other = getattr(old[name], part), getattr(new[name], part)
                if one != other:
                    yield Change(
                        f"method {name}: {part}",
                        "changed",
                        _as_text(one),
                        _as_text(other),
                        widening=part in ("callable", "arguments"),
                    )


def _as_text(value: object) -> str:
    """Return a part of a method for people: text as it is, a schema as indented JSON."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _limits(before: LimitsView, after: LimitsView) -> Iterator[Change]:
    for name in LimitsView.__slots__:
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            yield Change(f"limit {name}", "changed", str(one), str(other), widening=other > one)
