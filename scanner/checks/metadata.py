"""Oddities in the wheel's METADATA (core metadata specification)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.parser import HeaderParser

from scanner.checks.base import Wheel
from scanner.checks.names import metadata_line
from scanner.model import Rule
from scanner.source import Hit

LINK = Rule(
    "SG611",
    "OddProjectLink",
    "low",
    "A link of the project is not an https address of a named host.",
    "Give the project's https address.",
)
RULES = (LINK,)

_SHORTENERS = re.compile(r"//(?:www\.)?(?:bit\.ly|tinyurl\.com|t\.co|goo\.gl|is\.gd|cutt\.ly)/")
_HTTPS = re.compile(r"https://(?!\d{1,3}(?:\.\d{1,3}){3}\b)(?!\[)(?![^/]*@)[^\s/]+\.[^\s/]+", re.I)


def check(wheel: Wheel) -> Iterator[tuple[str, Hit]]:
    """Yield a hit for each oddity."""
    path, _ = metadata_line(wheel, "name")
    member = next(m for m in wheel.members if m.path == path)
    headers = HeaderParser().parsestr(member.text() or "")
    links = [
        (key, value.rpartition(",")[2].strip())
        for key in ("project-url", "home-page", "download-url")
        for value in headers.get_all(key, [])
    ]
    for key, link in links:
        if not _HTTPS.match(link) or _SHORTENERS.search(link):
            line = metadata_line(wheel, key, link)[1]
            yield path, Hit(LINK, f"the link is {link}", line, line)
