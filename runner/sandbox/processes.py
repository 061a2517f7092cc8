"""The processes that a driver has started itself, and still has to remove."""

from __future__ import annotations

import threading
from typing import Final

from runner.sandbox.oci.runtime import Process

REMOVE_SECONDS: Final = 0.5
"""How long the end of a process that was killed is waited for."""


class Processes:
    """First processes by container; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: dict[str, Process] = {}

    def add(self, container: str, process: Process) -> Process:
        """Keep a process that was started."""
        with self._lock:
            self._processes[container] = process
        return process

    def get(self, container: str) -> Process | None:
        """Return a process that has not been forgotten."""
        with self._lock:
            return self._processes.get(container)

    def kill(self, container: str) -> bool:
        """Kill a process; return whether it has ended. One that is not kept has."""
        process = self.get(container)
        if process is None:
            return True
        process.kill()
        return process.wait(REMOVE_SECONDS)

    def ended(self, container: str, seconds: float) -> Process | None:
        """Return a process, having waited at most `seconds` for its end; None if it is not kept."""
        process = self.get(container)
        if process is not None:
            process.wait(seconds)
        return process

    def forget(self, container: str) -> None:
        """Keep a process no longer."""
        with self._lock:
            self._processes.pop(container, None)

    def names(self) -> list[str]:
        """Return the containers whose processes are kept."""
        with self._lock:
            return sorted(self._processes)
