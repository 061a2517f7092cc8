"""Reading settings from text: every missing or wrong one is named together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from registry.errors import InvalidSettings
from trust.errors import Problem, problem

PREFIX = "SEALGATE_REGISTRY_"


class Reader:
    """Reads values and collects every problem before it raises.

    A value that is not there, or not a number, is read as an empty one; `finish` refuses then.
    """

    def __init__(self, values: Mapping[str, str], prefix: str) -> None:
        self._values = values
        self._prefix = prefix
        self._problems: list[Problem] = []

    def has(self, name: str) -> bool:
        """Whether a setting is there, and not empty."""
        return bool(self._values.get(self._prefix + name))

    def text(self, name: str) -> str:
        """Return a setting that must be there."""
        value = self._values.get(self._prefix + name, "")
        if not value:
            self._problems.append(bad_setting(name, "", "a value", self._prefix))
        return value

    def path(self, name: str) -> Path:
        """Return a path that must be there."""
        return Path(self.text(name))

    def number(self, name: str, kind: Callable[[str], float]) -> float:
        """Return a number that must be there."""
        value = self.text(name)
        try:
            return kind(value)
        except ValueError:
            self._problems.append(bad_setting(name, value, "a number", self._prefix))
            return 0

    def finish(self) -> None:
        """End the reading.

        Raises:
            InvalidSettings: names every missing or wrong setting together.
        """
        if self._problems:
            raise InvalidSettings(self._problems)


def is_url(text: str) -> bool:
    """Whether this is an absolute http(s) URL."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def bad_setting(name: str, value: object, expected: str, prefix: str = PREFIX) -> Problem:
    """Return the problem of one setting that is missing or wrong."""
    return problem(
        "registry.setting",
        "a setting of the registry is missing or wrong",
        value=str(value),
        expected=expected,
        advice=f"set {prefix}{name}, or run `sealgate init`, and start again",
        where=prefix + name,
    )
