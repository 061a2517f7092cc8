"""The encoding that a source declares for itself (PEP 263): a way to hide code from readers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scanner.members import MemberFile
from scanner.model import Rule
from scanner.source import Hit

UNUSUAL = Rule(
    "SG121",
    "DeceptiveEncoding",
    "high",
    "The source declares an encoding in which its text is not what it looks like.",
    "Save the file as UTF-8 and take the declaration away.",
)
LEGACY = Rule(
    "SG122",
    "LegacyEncoding",
    "medium",
    "The source is not UTF-8: reviewers' tools may show other characters than Python reads.",
    "Save the file as UTF-8 and take the declaration away.",
)
RULES = (UNUSUAL, LEGACY)

_DECLARATION = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_UTF8 = re.compile(r"^(utf-?8(-?sig)?|u8|ascii|us-ascii|646)$")
_LEGACY = re.compile(r"^(latin-?1|l1|iso-?8859-?\d+|cp125\d|windows-125\d|koi8-[rut]|mac-?roman)$")
_LINES = 2


def check(member: MemberFile) -> Iterator[Hit]:
    """Yield a hit where a Python file is not, or says that it is not, UTF-8."""
    if not member.is_python:
        return
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", member.data)[:_LINES], 1):
        if match := _DECLARATION.match(line):
            name = match.group(1).decode("ascii", "replace").lower().replace("_", "-")
            if not _UTF8.match(name):
                ascii_only = member.data.isascii()
                if not _LEGACY.match(name):
                    yield Hit(UNUSUAL, f"the source declares the encoding {name}", number, number)
                elif not ascii_only:
                    yield Hit(LEGACY, f"the source is encoded in {name}", number, number)
            return
