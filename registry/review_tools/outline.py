"""What a review page tells of all files without their texts: worked out once, kept as a row.

Two wheels and a report never change, so neither does this. The texts are read file by file when a
page shows them, and a row that belongs to another comparison or report is not used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from registry import comparison
from registry.readmodel import ChangeKind, CoverageView, FileOutline, FindingView
from registry.review_tools.members import Members

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Outline:
    """All files of a version, what the scan found in them, and what it did not look at.

    Attributes:
        before_sha256: the wheel compared with, or None.
        report_sha256: the scan report, or None before the scan ended.
        files: every file, in the order of the archive, then those that are gone.
        findings: every finding, worst first.
        coverage: what the scan looked at, or None before it ended.
    """

    before_sha256: str | None
    report_sha256: str | None
    files: tuple[FileOutline, ...]
    findings: tuple[FindingView, ...]
    coverage: CoverageView | None

    def dumps(self) -> str:
        """Return the outline as JSON."""
        coverage = self.coverage
        return json.dumps(
            {
                "format": FORMAT,
                "before": self.before_sha256,
                "report": self.report_sha256,
                "files": [
                    [
                        f.path, f.size, f.sha256, f.change, f.binary, f.truncated,
                        f.rows, f.added, f.removed,
                    ]
                    for f in self.files
                ],
                "findings": [asdict(finding) for finding in self.findings],
                "coverage": coverage
                and {"scanned": list(coverage.scanned), "not_scanned": dict(coverage.not_scanned)},
            },
            separators=(",", ":"),
        )  # fmt: skip

    @classmethod
    def loads(
        cls, text: str, before_sha256: str | None, report_sha256: str | None
    ) -> Outline | None:
        """Read what `dumps` wrote; None where it is of another comparison, report or format."""
        data: dict[str, Any] = json.loads(text)
        made_of = (data.get("format"), data.get("before"), data.get("report"))
        if made_of != (FORMAT, before_sha256, report_sha256):
            return None
        coverage = data["coverage"]
        return cls(
            before_sha256,
            report_sha256,
            tuple(FileOutline(*entry) for entry in data["files"]),
            tuple(FindingView(**entry) for entry in data["findings"]),
            coverage and CoverageView(tuple(coverage["scanned"]), coverage["not_scanned"]),
        )


def make(
    after: bytes,
    before: tuple[str, bytes] | None,
    report: tuple[str, Sequence[FindingView], CoverageView] | None,
) -> Outline:
    """Compare two wheels.

    Args:
        after: the wheel under review.
        before: digest and bytes of the wheel compared with; None where there is none.
        report: digest, findings and coverage of the scan; None before it ended.
    """
    new = Members(after)
    old = None if before is None else Members(before[1], like=new)
    files = [_file(path, data, old) for path, data in new.items()]
    if old is not None:
        files += [_gone(path, old[path]) for path in old if path not in new]
    return Outline(
        None if before is None else before[0],
        None if report is None else report[0],
        tuple(files),
        () if report is None else tuple(report[1]),
        None if report is None else report[2],
    )


def _file(path: str, data: bytes, old: Mapping[str, bytes] | None) -> FileOutline:
    earlier = None if old is None else old.get(path)
    change: ChangeKind | None = None
    if old is not None and earlier != data:
        change = "added" if earlier is None else "changed"
    (view,) = comparison.file_views(
        {path: data}, None if old is None else {path: earlier} if earlier is not None else {}, ()
    )
    lines = [line.kind for line in view.diff]
    fresh = change == "added" or old is None
    return FileOutline(
        path=path,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        change=change,
        binary=view.binary,
        truncated=view.truncated,
        rows=len(view.diff) or len(view.lines),
        added=len(view.lines) if fresh else lines.count("added"),
        removed=lines.count("removed"),
    )


def _gone(path: str, data: bytes) -> FileOutline:
    (view,) = comparison.file_views({path: data}, None, ())
    return FileOutline(
        path=path,
        size=len(data),
        sha256="",
        change="removed",
        binary=view.binary,
        truncated=view.truncated,
        rows=0,
        added=0,
        removed=len(view.lines),
    )
