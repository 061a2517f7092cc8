"""Requests that are turned away before they are calls: recorded, but never one by one.

They cost their sender nothing, and the disk that every call needs must not fill with them. Each
kind is counted, and at most one record in `RECORD_SECONDS` says how many there were.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

RECORD_SECONDS = 1.0


class Floods:
    """Counts by kind; safe to share between threads. Kinds are few: no caller chooses them."""

    def __init__(self, steady: Callable[[], float]) -> None:
        """Take the clock that tells when a record is due, in seconds."""
        self._steady = steady
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}

    def note(self, kind: str) -> int:
        """Count one request; return how many a record must tell now, or 0 if none is due."""
        with self._lock:
            count, recorded = self._counts.get(kind, (0, float("-inf")))
            now = self._steady()
            if now - recorded >= RECORD_SECONDS:
                self._counts[kind] = (0, now)
                return count + 1
            self._counts[kind] = (count + 1, recorded)
            return 0
