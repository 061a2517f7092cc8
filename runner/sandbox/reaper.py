"""Removes used containers in the background."""

from __future__ import annotations

import queue
import threading
import time

from runner.sandbox.container import WarmContainer
from runner.sandbox.engine import Engine

BURIAL_PAUSES = (0.02, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each attempt to remove a container; what is left then is for the next sweep.

The first one is for the call, which is about to record its outcome and to answer.
"""


class Reaper:
    """Destroys used containers in the background, so that no caller waits for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="sandbox-reaper", daemon=True)
        self._thread.start()

    def bury(self, container: WarmContainer) -> None:
        """Disconnect now, which ends the container; remove it soon."""
        container.disconnect()
        self._queue.put(container.id)

    def _work(self) -> None:
        while (container := self._queue.get()) is not None:
            for pause in BURIAL_PAUSES:
                time.sleep(pause)
                if self._engine.remove(container):
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
