"""Removes used containers in the background."""

from __future__ import annotations

import queue
import threading
import time

from runner.sandbox.container import Removes, WarmContainer

BURIAL_PAUSES = (0.02, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each attempt to remove a container; what is left then is for the next sweep.

The first one is for the call, which is about to record its outcome and to answer.
"""


class Reaper:
    """Destroys used containers in the background, so that no caller waits for it."""

    def __init__(self, owner: Removes) -> None:
        self._owner = owner
        self._queue: queue.Queue[tuple[float, str] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="sandbox-reaper", daemon=True)
        self._thread.start()

    def bury(self, container: WarmContainer) -> None:
        """Disconnect now, which ends the container; remove it soon."""
        container.disconnect()
        self._queue.put((time.monotonic(), container.id))

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            buried, container = entry
            for number, pause in enumerate(BURIAL_PAUSES):
                # the first pause counts from the burial: they do not wait one after the other
                waited = time.monotonic() - buried if number == 0 else 0.0
                time.sleep(max(0.0, pause - waited))
                if self._owner.remove(container):
                    break
            self._queue.task_done()
        self._queue.task_done()

    def drain(self) -> None:
        """Wait until everything that was buried is gone."""
        self._queue.join()

    def close(self) -> None:
        """Drain and stop."""
        self._queue.put(None)
        self._thread.join()
