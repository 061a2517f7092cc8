"""Characters that make a text read otherwise than it is (CVE-2021-42574, Unicode TR 36)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source, Text

BIDI = Rule(
    "SG201",
    "BidirectionalControl",
    "high",
    "A control character reorders the text: what a reviewer sees is not what Python reads.",
    "Take the character away, or write it as an escape such as \\u202e.",
)
INVISIBLE = Rule(
    "SG202",
    "InvisibleCharacter",
    "medium",
    "Characters that cannot be seen stand in the text; runs of them can carry hidden code.",
    "Take them away, or write them as escapes such as \\u200b.",
)
CONTROL = Rule(
    "SG203",
    "ControlCharacter",
    "medium",
    "A control character, or a lone carriage return, hides text in terminals and diffs.",
    "Take it away, write it as an escape, and end lines with a line feed.",
)
RULES = (BIDI, INVISIBLE, CONTROL)

_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2064\u206a-\u206f\u3164\ufeff"
    "\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    "|[\u200c\u200d\ufe00-\ufe0f]{3}"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]|\r(?!\n)")


def check(text: Text) -> Iterator[Hit]:
    """Yield a hit for each line of a source, manifest or metadata with such a character."""
    if not (isinstance(text, Source) or text.path.endswith((".py", ".json", "/METADATA"))):
        return
    if text.text.isascii() and text.text.isprintable():
        return
    start = 1 if text.text.startswith("\ufeff") else 0
    for rule, pattern in ((BIDI, _BIDI), (INVISIBLE, _INVISIBLE), (CONTROL, _CONTROL)):
        seen: set[int] = set()
        for match in pattern.finditer(text.text, start):
            number = text.line_at(match.start())
            if number not in seen:
                seen.add(number)
                codes = " ".join(f"U+{ord(c):04X}" for c in match.group())
                yield Hit(rule, f"the line has {codes}", number, number)
