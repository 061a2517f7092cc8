"""Where the cells of one plugin version live: the current container, its renewal, its successor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from runner.sandbox.cell.container import CellContainer
from runner.sandbox.control import Control
from runner.sandbox.errors import SandboxUnavailable, unavailable

EARLY = 0.9
"""The part of a container's life after which its successor is started."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """When a container is replaced, whatever else happens.

    Attributes:
        calls: how many calls it takes.
        seconds: how old it gets.
        idle_seconds: how long it is kept without a call.
        containers: how many there are at one time, of all plugin versions.
        queue_seconds: how long a call waits for a free cell, or for a container to start.
    """

    calls: int = 2000
    seconds: float = 600.0
    idle_seconds: float = 120.0
    containers: int = 8
    queue_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class CellState:
    """How the cells of one sandbox stand, for metrics: containers, and calls running in them."""

    containers: int
    running: int


Start = Callable[[], CellContainer]
Bury = Callable[[CellContainer], None]


class Home:
    """One plugin version's containers: at most one takes calls, others end theirs."""

    def __init__(self, start: Start, bury: Bury, renewal: Renewal) -> None:
        """Take how a container is started and got rid of."""
        self._start = start
        self._bury = bury
        self._renewal = renewal
        self._changed = threading.Condition()
        self._current: CellContainer | None = None
        self._next: CellContainer | None = None
        self._starting = False
        self._failures = 0
        self._error: SandboxUnavailable | None = None
        self._running: dict[CellContainer, int] = {}
        self._closed = False
        self.used = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether calls run here, or a container is being started."""
        with self._changed:
            return self._starting or any(self._running.values())

    def state(self) -> CellState:
        """Return how it stands: its containers, those that only end their calls included."""
        with self._changed:
            containers = {*self._running, *filter(None, (self._current, self._next))}
            return CellState(len(containers), sum(self._running.values()))

    def take(
        self, deadline: float, control: Control | None = None, *, brief: bool = False
    ) -> CellContainer:
        """Return a container with a cell for one call; `give_back` it.

        Args:
            deadline: until when to wait for a free cell, on the monotonic clock.
            control: of the call that waits.
            brief: wait no longer for a start either; the container that is then started is for
                the calls to come. Otherwise a start that the call began is waited for.

        Raises:
            CallStopped: the call was told to end.
            SandboxUnavailable: there is none in time, or none can be started.
        """
        control = control or Control()
        seen = self._failures
        while True:
            with control.waiting(self._changed), self._changed:
                self.used = time.monotonic()
                if self._closed:
                    raise unavailable("cells-closed", "the sandbox takes no more calls")
                if brief and self._failures > seen and self._error is not None:
                    raise self._error
                self._retire(look=True)
                if self._current is None and self._next is not None:
                    self._current, self._next = self._next, None
                    self._running.setdefault(self._current, 0)
                    self._changed.notify_all()  # it has room for more than this call
                container = self._current
                if container is not None:
                    if self._running[container] < container.cells:
                        self._running[container] += 1
                        self._renew_early(container)
                        return container
                    self._wait(deadline)
                    continue
                if self._starting:
                    self._wait(deadline)
                    continue
                if brief:
                    self._begin_aside("cells-start")
                    continue
                self._starting = True
            self._begin()

    def _wait(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not self._changed.wait(left):
            raise unavailable(
                "cells-busy",
                "every cell of this plugin version is busy",
                value=f"{sum(self._running.values())} calls running",
                advice="call again later",
            )

    def _begin(self) -> None:
        """Start a container; the lock is not held, `_starting` is."""
        container: CellContainer | None = None
        failure: SandboxUnavailable | None = None
        try:
            container = self._start()
        except SandboxUnavailable as error:
            failure = error
            raise
        finally:
            with self._changed:
                self._starting = False
                if failure is not None:
                    self._failures += 1
                    self._error = failure
                if container is not None and self._closed:
                    self._bury(container)
                elif container is not None:
                    self._next = container
                self._changed.notify_all()

    def _begin_quietly(self) -> None:
        try:
            self._begin()
        except SandboxUnavailable:
            return  # the call that needs it tries again, and hears why

    def _begin_aside(self, name: str) -> None:
        """Start a container in a thread of its own; the lock is held."""
        threading.Thread(target=self._begin_quietly, name=name, daemon=True).start()
        self._starting = True

    def _renew_early(self, container: CellContainer) -> None:
        spent = max(
            container.calls / self._renewal.calls,
            (time.monotonic() - container.born) / self._renewal.seconds,
        )
        if spent >= EARLY and not self._starting and self._next is None:
            self._begin_aside("cells-renewal")

    def _retire(self, *, look: bool) -> None:
        """Take the current container out of use if its time has come; the lock is held.

        With `look`, also if its stream says so; whoever takes it looks.
        """
        for name in ("_next", "_current"):
            container: CellContainer | None = getattr(self, name)
            if container is None:
                continue
            running = self._running.get(container, 0)
            if (
                (not container.alive() if look else container.surprise)
                # calls that have a cell are counted before they are sent
                or container.calls + running >= self._renewal.calls + container.cells
                or time.monotonic() - container.born >= self._renewal.seconds
            ):
                setattr(self, name, None)
                if running == 0:
                    self._running.pop(container, None)
                    self._bury(container)

    def give_back(self, container: CellContainer) -> None:
        """End a call; a container that is out of use goes with its last call."""
        with self._changed:
            self.used = time.monotonic()
            self._running[container] -= 1
            self._retire(look=False)
            if self._running.get(container) == 0 and container is not self._current:
                del self._running[container]
                self._bury(container)
                self._changed.notify_all()
            else:
                self._changed.notify()  # one place is free, for one of those who wait

    def close(self, *, only_if_idle: bool = False) -> bool:
        """Take no more calls and let go of the containers; return whether that was done."""
        with self._changed:
            if only_if_idle and (self._starting or any(self._running.values())):
                return False
            self._closed = True
            containers = {*self._running, *filter(None, (self._current, self._next))}
            self._running.clear()
            self._current = self._next = None
            self._changed.notify_all()
        for container in containers:
            self._bury(container)
        return True
