"""Wheels that are made to keep the scanner busy, to fill its memory, or to break it."""

from __future__ import annotations

import random

from tests.support.wheels import make_wheel


def noise(lines: int, seed: int = 2) -> str:
    """Return valid Python of about 33 bytes a line that does not compress well."""
    dice = random.Random(seed)
    return "".join(f"v{dice.getrandbits(64):x} = {dice.getrandbits(40)}\n" for _ in range(lines))


def slow_wheel(files: int = 8, lines: int = 12_000) -> tuple[str, bytes]:
    """Return a wheel of many plain assignments: about half a second of work a file."""
    return make_wheel(files={f"example_plugin/m{i}.py": noise(lines, i) for i in range(files)})
