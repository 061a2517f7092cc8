"""What the gate says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NoReturn, TypeAlias

from trust.errors import Problem, SealgateError, problem
from trust.identity import Identity
from trust.wheel import Plugin

RefusedStep: TypeAlias = Literal["wheel", "bundle", "layout", "submit", "scan", "review", "publish"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """The wheel may be published or executed.

    Attributes:
        plugin: what the wheel is.
        author: who submitted it.
        reviewers: who approved it, by subject; never the author.
        scanner: who scanned it.
        registry: who published it, None before publication.
        bundle_sha256s: the bundles that counted, sorted: what the registry's statement must list.
        layout_sha256: the layout under which it was judged.
        expires: when that layout ends; a kept decision must not outlive it.
        published_at: the earliest verified time at which the registry signed that this wheel is
            published, under whatever layout; None before publication.
    """

    plugin: Plugin
    author: Identity
    reviewers: tuple[Identity, ...]
    scanner: Identity
    registry: Identity | None
    bundle_sha256s: tuple[str, ...]
    layout_sha256: str
    expires: datetime
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The wheel may not be published or executed.

    Attributes:
        step: where it failed: reading the `wheel`, verifying a `bundle`, the `layout` itself, or
            the step of the layout that is not satisfied.
        problems: why; the first one is the reason, the others explain it.
    """

    step: RefusedStep
    problems: tuple[Problem, ...]

    @property
    def problem(self) -> Problem:
        """The reason."""
        return self.problems[0]

    def diagnostics(self) -> str:
        """Return the step and every problem, for a terminal."""
        return "\n".join([f"refused at {self.step}", *(p.lines() for p in self.problems)])


Decision: TypeAlias = Admitted | Refused


class StepRefused(SealgateError):
    """A step is not satisfied; the gate turns it into `Refused`."""

    def __init__(self, step: RefusedStep, *problems: Problem) -> None:
        super().__init__(problems)
        self.step = step


def refuse(
    step: RefusedStep,
    code: str,
    what: str,
    *,
    value: object = "",
    expected: str = "",
    advice: str = "",
    where: str = "",
) -> NoReturn:
    """Raise `StepRefused` with one problem."""
    raise StepRefused(
        step, problem(code, what, value=value, expected=expected, advice=advice, where=where)
    )
