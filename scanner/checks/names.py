"""Names that can be mistaken for better-known ones."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib import resources

from scanner.checks.base import Wheel
from scanner.model import Rule
from scanner.source import Hit

SQUATTING = Rule(
    "SG601",
    "ConfusableName",
    "medium",
    "The plugin's name is one slip of the finger away from a well-known one.",
    "Choose another name, or explain to the reviewers why this one is right.",
)
BORROWED = Rule(
    "SG602",
    "BorrowedPackage",
    "medium",
    "The plugin's import package has the name of a well-known project that the plugin is not.",
    "Name the package after the plugin.",
)
RULES = (SQUATTING, BORROWED)

_SHORTEST = 5
_CONFUSABLE = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "3": "e", "-": None})


@functools.cache
def popular_names() -> tuple[str, ...]:
    """Return the well-known names that the scanner carries, normalised (PEP 503)."""
    text = resources.files("scanner").joinpath("data/popular_names.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def check(wheel: Wheel) -> Iterator[tuple[str, Hit]]:
    """Yield a hit where the name of the plugin or of its package can mislead."""
    path, line = metadata_line(wheel, "name")
    name = wheel.plugin.name
    known = (*(_normalise(name) for name in wheel.known_names), *popular_names())
    if name not in known:
        for other in known:
            if confusable(name, other):
                yield path, Hit(SQUATTING, f"{name} looks like {other}", line, line)
                break
    package = _normalise(wheel.plugin.package)
    if package != name and package in known:
        yield path, Hit(BORROWED, f"{name} brings a package {package}", line, line)


def metadata_line(wheel: Wheel, key: str, value: str = "") -> tuple[str, int]:
    """Return the path of METADATA and the line that has `key` and ends with `value`, or 0."""
    for member in wheel.members:
        if member.in_dist_info and member.name == "METADATA":
            for number, line in enumerate((member.text() or "").splitlines(), 1):
                if line.lower().startswith(f"{key}:") and line.rstrip().endswith(value):
                    return member.path, number
            return member.path, 0
    return wheel.members[0].path, 0


def confusable(name: str, other: str) -> bool:
    """Whether two normalised names are different and easily taken for each other."""
    if name == other or min(len(name), len(other)) < _SHORTEST:
        return False
    if name.translate(_CONFUSABLE) == other.translate(_CONFUSABLE):
        return True
    return abs(len(name) - len(other)) <= 1 and distance_is_one(name, other)


def distance_is_one(a: str, b: str) -> bool:
    """Whether one insertion, deletion, substitution or swap of neighbours makes `a` into `b`.

    That is an optimal string alignment (restricted Damerau-Levenshtein) distance of 1.
    """
    if len(a) > len(b):
        a, b = b, a
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if len(a) < len(b):
        return a[at:] == b[at + 1 :]
    swapped = a[at : at + 2] == b[at : at + 2][::-1] and a[at + 2 :] == b[at + 2 :]
    return a != b and (a[at + 1 :] == b[at + 1 :] or swapped)


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
