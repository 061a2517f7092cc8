"""Whether the runner could execute a call now, and if not, what is in the way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from runner.clock import SET_BACK_TOLERANCE, SystemClock
from runner.revocations.follower import Follower
from trust.errors import Problem, SealgateError, problem
from trust.gate import Gate

KEPT_SECONDS = 1.0
"""How long an answer is used, so that probes cost the engine nothing."""

_logger = logging.getLogger(__name__)

Check = Callable[[], None]
"""Raises SealgateError if something is in the way."""


class NotReady(SealgateError):
    """Something that every call needs is not there."""


class Readiness:
    """Runs named checks; each answers for itself, and an exception of any sort is a no."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        steady: Callable[[], float],
        notes: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        """Take the checks by name, and the clock that ages their answer, in seconds.

        `notes` say what stands beside the checks in the answer: what is not in the way yet.
        """
        self._checks = checks
        self._notes = notes or {}
        self._steady = steady
        self._lock = threading.Lock()
        self._kept: tuple[float, dict[str, tuple[Problem, ...]]] | None = None

    def problems(self) -> dict[str, tuple[Problem, ...]]:
        """Return name -> problems of every check; no problems is ready."""
        with self._lock:
            now = self._steady()
            if self._kept is None or now - self._kept[0] >= KEPT_SECONDS:
                self._kept = (now, {name: _run(check) for name, check in self._checks.items()})
            return self._kept[1]

    def notes(self) -> dict[str, Any]:
        """Return name -> what is said beside the checks (JSON)."""
        return {name: note() for name, note in self._notes.items()}


def _run(check: Check) -> tuple[Problem, ...]:
    try:
        check()
    except SealgateError as error:
        return error.problems
    except Exception as error:
        _logger.exception("a readiness check failed")
        return (
            problem(
                "ready.internal",
                "the check did not run to its end",
                value=type(error).__name__,
                expected="a check that ends",
                advice="see the runner's log",
            ),
        )
    return ()


def gate_check(gate: Callable[[], Gate], clock: SystemClock) -> Check:
    """Return the check that layout and trusted root of the gate in force are valid now."""

    def check() -> None:
        refused = gate().check(clock.now())
        if refused is not None:
            raise NotReady(refused.problems)

    return check


def stale_check(revocations: Follower) -> Check:
    """Return the check that what was revoked is known."""

    def check() -> None:
        stale = revocations.stale()
        if stale:
            raise NotReady(stale)

    return check


def clock_check(clock: SystemClock) -> Check:
    """Return the check that the wall clock was not set back."""

    def check() -> None:
        behind = clock.set_back_by()
        if behind > SET_BACK_TOLERANCE:
            raise NotReady(
                problem(
                    "clock.set-back",
                    "the wall clock was set back since the runner started",
                    value=f"{behind.total_seconds():.0f} s behind",
                    expected=f"at most {SET_BACK_TOLERANCE.total_seconds():.0f} s",
                    advice="set the clock right; if it was wrong before, restart the runner",
                )
            )

    return check


def cells_check(
    asked_for: Callable[[], bool], refusal: Callable[[], SealgateError | None] | None
) -> Check:
    """Return the check that this host makes cells, where the policy asks for them.

    Args:
        asked_for: whether the policy in force allows any version the level `cell`.
        refusal: why this host makes none, or None; None in its place where the runner was started
            without cells.
    """

    def check() -> None:
        if not asked_for():
            return
        if refusal is None:
            raise NotReady(
                problem(
                    "sandbox.cells-not-started",
                    "the policy asks for cells, and the runner was started without them",
                    expected="a runner that was started under a policy with `cell_versions`",
                    advice="start the runner again",
                )
            )
        refused = refusal()
        if refused is not None:
            raise NotReady(refused.problems)

    return check
