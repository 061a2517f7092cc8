"""Removes used containers in the background."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from typing import Protocol

from runner.sandbox.container import Removes

LINGER_SECONDS = 0.02
"""How long a container that has answered is left alone. Nothing runs in it any more, and its end
costs the host more processor time than the call's own end, which is due now: the record of the
outcome and the answer."""
PAUSES = (0.02, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each attempt to remove a container that was disconnected; what is left then is
for the next sweep."""


_logger = logging.getLogger(__name__)


class Used(Protocol):
    """What the reaper needs of a container."""

    id: str
    answered: bool

    def disconnect(self) -> None:
        """End it."""


class Reaper:
    """Destroys used containers in the background, so that no caller waits for it."""

    def __init__(self, owner: Removes) -> None:
        self._owner = owner
        self._changed = threading.Condition()
        self._serials = itertools.count()
        self._due: list[tuple[float, int, int, Used]] = []
        """A heap: when, a serial number, attempts so far (-1: still connected), the container."""
        self._left = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="sandbox-reaper", daemon=True)
        self._thread.start()

    def bury(self, container: Used) -> None:
        """End it now, or soon if nothing runs in it any more; remove it after that."""
        if not container.answered:
            container.disconnect()
        with self._changed:
            self._left += 1
            if container.answered:
                self._put(LINGER_SECONDS, -1, container)
            else:
                self._put(PAUSES[0], 0, container)

    def _put(self, seconds: float, attempts: int, container: Used) -> None:
        due = time.monotonic() + seconds
        heapq.heappush(self._due, (due, next(self._serials), attempts, container))
        if self._due[0][3] is container:
            self._changed.notify_all()

    def _next(self) -> tuple[int, Used] | None:
        with self._changed:
            while not self._closed or self._left:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2:]
                self._changed.wait(wait)
        return None

    def _work(self) -> None:
        while (entry := self._next()) is not None:
            attempts, container = entry
            try:
                gone = self._end(attempts, container)
            except Exception as error:  # noqa: BLE001 - the others are still to be removed
                _logger.warning("a used container was not removed: %s", error)
                gone = False
            with self._changed:
                if not gone and attempts + 1 < len(PAUSES):
                    self._put(PAUSES[attempts + 1], attempts + 1, container)
                else:
                    self._left -= 1
                    self._changed.notify_all()

    def _end(self, attempts: int, container: Used) -> bool:
        if attempts < 0:
            container.disconnect()
            return False
        return self._owner.remove(container.id)

    def drain(self) -> None:
        """Wait until everything that was buried is gone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._left)

    def close(self) -> None:
        """Drain and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
