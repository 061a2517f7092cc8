"""How often one account may be tried: after some failures in a row everybody waits, ever longer.

The counters live in memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from authority.errors import TooManyAttempts
from trust.errors import problem

FREE_FAILURES = 5
"""Failures in a row that cost no waiting."""
MAX_WAIT_SECONDS = 60
MAX_TRACKED = 10_000
"""Names whose failures are remembered; the least recently tried is forgotten first."""


@dataclass(slots=True)
class _Failures:
    count: int
    last: datetime

    def wait(self, now: datetime) -> int:
        """Return for how many more seconds attempts are refused."""
        if self.count < FREE_FAILURES:
            return 0
        pause = min(1 << min(self.count - FREE_FAILURES, 10), MAX_WAIT_SECONDS)
        return max(0, pause - int((now - self.last).total_seconds()))


class Attempts:
    """The failures in a row, by name. `clock` returns the time in UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, name: str) -> None:
        """Count an attempt as a failure until `succeeded` is called: parallel guesses count.

        Raises:
            TooManyAttempts: there were too many; this one is not counted.
        """
        now = self._clock()
        with self._lock:
            failures = self._failures.setdefault(name, _Failures(0, now))
            self._failures.move_to_end(name)
            wait = failures.wait(now)
            if not wait:
                failures.count += 1
                failures.last = now
            while len(self._failures) > MAX_TRACKED:
                self._failures.popitem(last=False)
        if wait:
            slow_down(f"too many failed attempts for {name}", wait)

    def succeeded(self, name: str) -> None:
        """Forget the failures of `name`."""
        with self._lock:
            self._failures.pop(name, None)


def slow_down(what: str, seconds: int) -> NoReturn:
    """Raise `TooManyAttempts`."""
    raise TooManyAttempts(
        problem(
            "authority.attempts",
            what,
            value=f"wait {seconds} s",
            expected="fewer attempts",
            advice="wait, then try again",
        ),
        seconds,
    )
