"""Typed outcomes of a check: never a bare boolean, and "could not check" is never a pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from trust.errors import Problem

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Passed(Generic[T_co]):
    """The check ran to its end and found nothing against; `value` is what it established."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Failed:
    """The check ran to its end and found something against."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The check did not run to its end. It blocks exactly as `Failed` does."""

    problems: tuple[Problem, ...]


Outcome: TypeAlias = Passed[T_co] | Failed | Incomplete
