"""Lines that are laid out so that a reader does not see all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source

LONG = Rule(
    "SG231",
    "VeryLongLine",
    "low",
    "A line is so long that tools cut it and readers skip it.",
    "Break the line.",
)
PUSHED = Rule(
    "SG232",
    "CodePushedAside",
    "medium",
    "White space pushes code out of sight, to the right of what a reader sees.",
    "Take the white space away.",
)
RULES = (LONG, PUSHED)

_LONGEST = 1000
_PUSHED = re.compile(r"\S[ \t\f\v]{80,}\S")
_DEEP = re.compile(r"^[ \t]{200,}\S")


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each such line."""
    for number, line in enumerate(source.lines, 1):
        if len(line) > _LONGEST:
            yield Hit(LONG, f"a line of {len(line)} characters", number, number)
        if len(line) > 80 and (_PUSHED.search(line) or _DEEP.match(line)):
            yield Hit(PUSHED, "code stands behind a long run of white space", number, number)
