"""How a layout is refused."""

from __future__ import annotations

from typing import NoReturn

from trust.errors import SealgateError, problem

ADVICE = "ask the layout's owners for a layout made by `sealgate layout make` and signed by them"


class LayoutRefused(SealgateError):
    """The layout, or the file of its owners, is not accepted."""


def refuse(
    code: str,
    what: str,
    *,
    value: object = "",
    expected: str = "",
    advice: str = "",
    where: str = "",
) -> NoReturn:
    """Raise `LayoutRefused` with one problem."""
    raise LayoutRefused(
        problem(code, what, value=value, expected=expected, advice=advice or ADVICE, where=where)
    )
