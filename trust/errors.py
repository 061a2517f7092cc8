"""The one exception root of Sealgate, and the shape that every refusal has.

A refusal tells four things: what was refused, the offending value, what was expected, and what
to do next. `Problem` carries them as data, so that a web page, a JSON reply, a terminal and an
audit record all say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_SHOWN = 200
"""Characters of an offending value that are shown; the rest is cut and marked."""


def shown(value: object) -> str:
    """Return `value` as one printable line of at most `MAX_SHOWN` characters.

    Offending values come from hostile input: control characters are escaped so that they can
    neither forge a second line in a log nor move a terminal's cursor.
    """
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was refused, in the four parts that every refusal has.

    Attributes:
        code: a stable machine-readable slug such as `wheel.duplicate-member`.
        what: what was refused, a sentence without the value.
        value: the offending value, already made printable by `shown`.
        expected: what would have been accepted.
        advice: what to do next.
        where: a place in the input (a path in the wheel, a JSON pointer), or "".
    """

    code: str
    what: str
    value: str = ""
    expected: str = ""
    advice: str = ""
    where: str = ""

    def lines(self) -> str:
        """Return the problem as text for a terminal, one part a line."""
        parts = [f"{self.what} [{self.code}]"]
        for label, text in (
            ("where", self.where),
            ("value", self.value),
            ("expected", self.expected),
            ("do", self.advice),
        ):
            if text:
                parts.append(f"  {label + ':':<10}{text}")
        return "\n".join(parts)

    def as_dict(self) -> dict[str, str]:
        """Return the six parts as a JSON-serialisable object."""
        return {
            "code": self.code,
            "what": self.what,
            "value": self.value,
            "expected": self.expected,
            "advice": self.advice,
            "where": self.where,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Problem:
        """Read a problem that `as_dict` wrote; unknown keys are ignored."""
        names = ("code", "what", "value", "expected", "advice", "where")
        return cls(**{name: shown(str(data.get(name, ""))) for name in names})


def problem(
    code: str,
    what: str,
    *,
    value: object = "",
    expected: str = "",
    advice: str = "",
    where: str = "",
) -> Problem:
    """Make a `Problem`, escaping and bounding what comes from outside."""
    return Problem(code, shown(what), shown(value), expected, advice, shown(where))


class SealgateError(Exception):
    """The root of every exception that Sealgate raises on purpose.

    It carries one or more `Problem`s; `diagnostics()` is the text for a person.
    """

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        if not self.problems:
            raise ValueError("a SealgateError needs at least one problem")
        super().__init__("; ".join(f"{p.what} [{p.code}]" for p in self.problems))

    @property
    def problem(self) -> Problem:
        """The first problem."""
        return self.problems[0]

    def diagnostics(self) -> str:
        """Return every problem with its value, expectation and advice, for a terminal."""
        return "\n".join(p.lines() for p in self.problems)
