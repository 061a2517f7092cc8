"""Plugins whose one method `run` tells whether an attack succeeds."""

from __future__ import annotations


def attempt(*lines: str, imports: str = "os", errors: str = "OSError") -> str:
    """Return a plugin that succeeds if no line raises one of `errors`."""
    body = "\n        ".join(lines)
    return f"""
import {imports}

def run(arguments):
    try:
        {body}
    except {errors}:
        return False
    return True
"""


def expression(text: str, imports: str = "os") -> str:
    """Return a plugin that returns whether an expression is true."""
    return f"import {imports}\n\ndef run(arguments):\n    return bool({text})\n"
