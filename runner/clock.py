"""The runner's clock: wall time that never goes back, and a steady time for ages.

The wall clock decides whether a layout or a token has expired, so a wall clock that is set back
must not make something valid again: the time since the start is measured by the steady clock as
well, and the later of both counts. A clock that jumps forward refuses (fail closed) until it is
set right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

SET_BACK_TOLERANCE = timedelta(seconds=60)


class Clock(Protocol):
    """What the runner needs to know about time."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""

    def steady(self) -> float:
        """Return seconds since an unknown moment; never goes back, counts suspended time."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _steady() -> float:
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class SystemClock:
    """The machine's clocks, the wall clock guarded by the steady one."""

    def __init__(
        self, wall: Callable[[], datetime] = _utc_now, steady: Callable[[], float] = _steady
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._wall_at_start = wall()
        self._steady_at_start = steady()

    def _expected(self) -> datetime:
        return self._wall_at_start + timedelta(seconds=self._steady() - self._steady_at_start)

    def now(self) -> datetime:
        return max(self._wall(), self._expected())

    def steady(self) -> float:
        return self._steady()

    def set_back_by(self) -> timedelta:
        """Return by how much the wall clock stands behind what has passed since the start.

        More than `SET_BACK_TOLERANCE` means that somebody set it back; the runner goes on with
        the later time and reports that it is not ready.
        """
        return max(self._expected() - self._wall(), timedelta())


def iso(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC with microseconds: `2026-01-02T03:04:05.000006Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
