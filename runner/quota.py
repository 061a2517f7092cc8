"""How much a caller may ask for, and how much the runner takes on in all.

Three bounds, each answered before anything is decided or recorded as a call: calls of one caller
in a minute and at one time (429, the caller's own doing), and calls of all callers at one time
(503, nobody's fault). A caller whose policy entry does not say how many it may have at one time may
have three quarters of all places, so that others always find some. Rates are kept in memory: a
restart forgets them, which errs towards the caller for one minute.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runner.policy import Caller
from trust.errors import Problem, SealgateError, problem

MINUTE = 60.0


class OverQuota(SealgateError):
    """A call is turned away before anything is done for it.

    Attributes:
        code: the HTTP status, 429 or 503.
        retry_after: after how many whole seconds it may be tried again.
    """

    def __init__(self, found: Problem, code: int, retry_after: int) -> None:
        super().__init__(found)
        self.code = code
        self.retry_after = retry_after


class Quotas:
    """Counts calls; safe to share between threads."""

    def __init__(self, at_once: int, steady: Callable[[], float] = time.monotonic) -> None:
        """Take the bound of all calls under way at one time, and the clock, in seconds."""
        self._at_once = at_once
        self._own_at_once = max(1, at_once * 3 // 4)
        self._steady = steady
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._ends_at: float | None = None
        self._running: Counter[str] = Counter()
        self._full_at: dict[str, float] = {}

    @property
    def running(self) -> int:
        """Calls under way now."""
        with self._lock:
            return self._running.total()

    @contextmanager
    def slot(self, caller: Caller) -> Iterator[None]:
        """Hold a place for one call of `caller`.

        Raises:
            OverQuota: a bound is reached; nothing is held.
        """
        self._enter(caller)
        try:
            self._spend(caller)
            yield
        finally:
            with self._lock:
                self._running[caller.name] -= 1
                if not self._running[caller.name]:
                    del self._running[caller.name]
                self._ended.notify_all()

    def drain(self, seconds: float) -> bool:
        """Take no more calls, and wait until none is under way; return whether that came.

        Called again, it waits no longer than the first call of it does.
        """
        with self._ended:
            if self._ends_at is None:
                self._ends_at = self._steady() + seconds
            left = max(0.0, self._ends_at - self._steady())
            return self._ended.wait_for(lambda: not self._running.total(), left)

    def _enter(self, caller: Caller) -> None:
        with self._lock:
            if self._ends_at is not None:
                raise OverQuota(
                    problem(
                        "call.shutting-down",
                        "the runner is shutting down and takes no more calls",
                        expected="a runner that goes on",
                        advice="try again in a moment, or another runner",
                    ),
                    503,
                    5,
                )
            own, most = self._running[caller.name], caller.calls_at_once or self._own_at_once
            if own >= most:
                raise OverQuota(
                    problem(
                        "quota.at-once",
                        "this caller has too many calls under way",
                        value=f"{own} calls",
                        expected=f"at most {most} at one time",
                        advice="wait for one to end, or ask the operator for more",
                    ),
                    429,
                    1,
                )
            if self._running.total() >= self._at_once:
                raise OverQuota(
                    problem(
                        "quota.full",
                        "the runner has as many calls under way as it takes on",
                        value=f"{self._running.total()} calls",
                        expected=f"at most {self._at_once} at one time",
                        advice="try again in a moment",
                    ),
                    503,
                    1,
                )
            self._running[caller.name] += 1

    def _spend(self, caller: Caller) -> None:
        """Take one call from the caller's bucket: the generic cell rate algorithm (ITU-T I.371).

        A bucket holds a minute's calls and refills evenly, so that one number a caller, the time
        when it will be full again, is all that is kept.
        """
        if caller.calls_per_minute is None:
            return
        each = MINUTE / caller.calls_per_minute
        with self._lock:
            now = self._steady()
            full_at = max(self._full_at.get(caller.name, now), now)
            wait = full_at + each - MINUTE - now
            if wait <= 0:
                self._full_at[caller.name] = full_at + each
                return
        raise OverQuota(
            problem(
                "quota.rate",
                "this caller called too often",
                value=f"more than {caller.calls_per_minute} calls in a minute",
                expected=f"at most {caller.calls_per_minute} calls in a minute",
                advice="slow down, or ask the operator for more",
            ),
            429,
            max(1, math.ceil(wait)),
        )
