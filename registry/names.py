"""Plugin names: PEP 503 normalisation, and the shape in which two names look alike."""

from __future__ import annotations

from packaging.utils import InvalidName, canonicalize_name

_ALIKE = str.maketrans({"-": None, "l": "1", "i": "1", "o": "0"})


def normalised(name: str) -> str | None:
    """Return the name as PEP 503 normalises it, or None where it is no project name."""
    try:
        return canonicalize_name(name, validate=True)
    except InvalidName:
        return None


def confusable(name: str) -> str:
    """Return what a hasty reader sees: `tab-le`, `table` and `tab1e` are one name.

    Args:
        name: a normalised name.
    """
    return name.translate(_ALIKE)
