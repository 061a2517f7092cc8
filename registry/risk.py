"""How much there is to look at in a version under review: a number with its reasons.

A pure function. It orders the queue and says where to look first; it decides nothing, and a small
number is no word for "safe": a harmful change of one line has one too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

MAX_RISK = 100

FLAGS: Mapping[str, str] = {
    "first-version": "first version",
    "new-signer": "new signer",
    "weaker-provenance": "provenance weaker than last time",
    "wider-permissions": "permissions widened",
    "wider-limits": "limits raised",
    "dependencies": "dependencies changed",
}
"""Every flag of the queue with its words."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is counted of one version, beside the version that reviewers compare it with.

    Attributes:
        medium: Medium findings.
        low: Low findings.
        first: there is no earlier published version.
        files: files that are new, changed or gone.
        lines: lines that are new or gone, in all files that are text.
        unread: new or changed files that are not text: nobody can read them here.
        dependencies: locked wheels that came, changed or went.
        flags: keys of `FLAGS`.
    """

    medium: int = 0
    low: int = 0
    first: bool = False
    files: int = 0
    lines: int = 0
    unread: int = 0
    dependencies: int = 0
    flags: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as a JSON-serialisable object."""
        return {**asdict(self), "flags": list(self.flags)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Facts:
        """Read what `as_dict` wrote."""
        return cls(**{**data, "flags": tuple(data["flags"])})


@dataclass(frozen=True, slots=True)
class Part:
    """One reason: points, and the words for them."""

    points: int
    why: str


@dataclass(frozen=True, slots=True)
class Risk:
    """The sum of the parts, at most `MAX_RISK`; the largest part first."""

    score: int
    parts: tuple[Part, ...]

    @property
    def level(self) -> str:
        """`low`, `medium` or `high`: below 20, below 50, and above."""
        return "low" if self.score < 20 else "medium" if self.score < 50 else "high"


def assess(facts: Facts) -> Risk:
    """Return the risk of `facts`.

    The points: 8 for each Medium finding (at most 32) and 1 for each Low one (at most 5); 15 for a
    first version; 1 for each 50 lines (at most 20); 4 for each file that is not text (at most
    12); 5 for each changed dependency (at most 15); 20 for a new signer and for wider
    permissions, 15 for weaker provenance, 8 for raised limits.
    """
    parts = sorted(_parts(facts), key=lambda part: -part.points)
    return Risk(min(MAX_RISK, sum(part.points for part in parts)), tuple(parts))


_FLAG_POINTS = {
    "new-signer": 20,
    "wider-permissions": 20,
    "weaker-provenance": 15,
    "wider-limits": 8,
}


def _parts(facts: Facts) -> Iterator[Part]:
    counted = (
        (facts.medium, 8, 32, "Medium finding"),
        (facts.low, 1, 5, "Low finding"),
        (facts.unread, 4, 12, "file that is not text"),
        (facts.dependencies, 5, 15, "changed dependency"),
    )
    for count, each, most, noun in counted:
        if count:
            yield Part(min(most, count * each), _counted(count, noun))
    if facts.lines:
        points = min(20, -(-facts.lines // 50))
        yield Part(points, f"{_counted(facts.lines, 'line')} in {_counted(facts.files, 'file')}")
    if facts.first:
        yield Part(15, "first version")
    for flag in facts.flags:
        if flag in _FLAG_POINTS:
            yield Part(_FLAG_POINTS[flag], FLAGS[flag])


def _counted(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun}"
    plural = noun.replace("file that is", "files that are") if "that" in noun else _plural(noun)
    return f"{count} {plural}"


def _plural(noun: str) -> str:
    return noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
