"""Printing what comes from elsewhere: no control character reaches the terminal."""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    """Return `text` with everything but printable characters, newlines and tabs escaped."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


def json_text(value: Any) -> str:
    """Return `value` as indented JSON that is valid and printable."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
