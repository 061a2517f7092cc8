"""Warm single-use containers, started ahead: the wait for the engine is not the caller's.

Containers are shelved by their controls, limits included: a call only ever gets a container that
was made for exactly what its plugin was granted. A container that was taken is never put back.

How many are kept ready follows demand: as many as calls have lately run or waited at one time,
not less than the floor for the default limits, not more in all than the ceiling.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from runner.sandbox.control import Control
from runner.sandbox.errors import SandboxUnavailable, unavailable
from runner.sandbox.options import Hardening


class Container(Protocol):
    """What the pool needs of a container."""

    born: float

    def alive(self) -> bool:
        """Whether it still waits for its call."""


C = TypeVar("C", bound=Container)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How a pool behaves.

    Attributes:
        floor: containers with the default limits that are always kept ready.
        ceiling: containers that may exist at one time, those in use included.
        starters: containers that are started at one time.
        queue_seconds: how long a call waits for a container before it is turned away.
        age_seconds: a container that has waited so long is replaced.
        calm_seconds: after so long without more demand, one container less is kept ready.
        rest_seconds: a container that nobody waits for is started so long after the last one was
            taken: starting one takes a processor for a quarter of a second, and the call that
            has just begun needs it for milliseconds.
    """

    floor: int = 2
    ceiling: int = 16
    starters: int = 2
    queue_seconds: float = 10.0
    age_seconds: float = 300.0
    calm_seconds: float = 5.0
    rest_seconds: float = 0.02
    look_seconds: float = 0.1
    """How often it is looked whether something is to be started for nobody in particular. A call
    that takes or gives back a container wakes nobody for that: it has other things to do now."""

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= self.ceiling or self.ceiling < 1 or self.starters < 1:
            raise ValueError("a pool needs 0 <= floor <= ceiling, ceiling >= 1 and starters >= 1")


@dataclass(slots=True)
class _Shelf(Generic[C]):
    """The containers with one set of controls."""

    floor: int
    ready: deque[C] = field(default_factory=deque)
    starting: int = 0
    busy: int = 0
    line: deque[object] = field(default_factory=deque)
    """Calls that wait, in the order in which they came: none is overtaken until it gives up."""
    peak: int = 0
    peak_at: float = 0.0
    taken_at: float = 0.0
    failures: int = 0
    """How often a start has failed, ever: a waiting call sees whether one did since it came."""
    in_a_row: int = 0
    retry_at: float = 0.0
    error: SandboxUnavailable | None = None

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self.line)

    def note_demand(self, now: float) -> None:
        if self.busy + self.waiting >= self.peak:
            self.peak, self.peak_at = self.busy + self.waiting, now

    @property
    def target(self) -> int:
        return max(self.floor, self.peak)

    @property
    def urgent(self) -> bool:
        """Whether a call waits for which no container is ready or on its way."""
        return self.waiting > len(self.ready) + self.starting

    @property
    def lacks(self) -> int:
        """How many more should be ready or on their way."""
        return max(self.target, self.waiting) - len(self.ready) - self.starting


@dataclass(frozen=True, slots=True)
class PoolState:
    """How a pool stands, for metrics."""

    ready: int
    starting: int
    busy: int
    waiting: int


class Pool(Generic[C]):
    """A pool of containers; safe to share between threads.

    Args:
        start: starts one container with those controls; raises SandboxUnavailable.
        bury: ends and removes a container, without waiting.
        default: the controls whose floor is kept.
        settings: how the pool behaves.
    """

    def __init__(
        self,
        start: Callable[[Hardening], C],
        bury: Callable[[C], None],
        default: Hardening,
        settings: PoolSettings,
    ) -> None:
        self._start = start
        self._bury = bury
        self._settings = settings
        self._changed = threading.Condition()
        self._closed = False
        self._lookout = False
        """Whether one of the starters looks from time to time; the others wait to be told."""
        self._shelves: dict[Hardening, _Shelf[C]] = {default: _Shelf(settings.floor)}
        self._threads = [
            threading.Thread(target=self._work, name=f"sandbox-pool-{number}", daemon=True)
            for number in range(settings.starters)
        ]
        for thread in self._threads:
            thread.start()

    def take(
        self, hardening: Hardening, seconds: float | None = None, control: Control | None = None
    ) -> C:
        """Return a container with exactly these controls; the caller must `done` it.

        Args:
            hardening: the controls, limits included.
            seconds: how long to wait; None means the pool's own bound.
            control: of the call that waits.

        Raises:
            CallStopped: the call was told to end.
            SandboxUnavailable: the queue's time ran out, no container can be started, or the pool
                is closed.
        """
        wait = self._settings.queue_seconds if seconds is None else seconds
        end = time.monotonic() + wait
        control = control or Control()
        with control.waiting(self._changed), self._changed:
            shelf = self._shelves.setdefault(hardening, _Shelf(0))
            turn = object()
            shelf.line.append(turn)
            shelf.note_demand(time.monotonic())
            seen = shelf.failures
            if shelf.urgent:
                self._changed.notify_all()
            try:
                while True:
                    if self._closed:
                        raise unavailable("closed", "the sandbox is shutting down")
                    control.check()
                    found = self._pop(shelf) if shelf.line[0] is turn else None
                    if found is not None:
                        shelf.busy += 1
                        shelf.taken_at = time.monotonic()
                        return found
                    if shelf.failures > seen and shelf.error is not None:
                        raise shelf.error
                    left = end - time.monotonic()
                    if left <= 0:
                        raise self._turned_away(wait)
                    self._changed.wait(left)
            finally:
                shelf.line.remove(turn)
                if shelf.line:  # whose turn it may be now
                    self._changed.notify_all()

    def _turned_away(self, wait: float) -> SandboxUnavailable:
        return unavailable(
            "busy",
            "no container became free in time",
            value=f"waited {wait:g} s, {self._count()} of {self._settings.ceiling} containers",
            advice="try again later, or raise the pool's ceiling",
        )

    def _pop(self, shelf: _Shelf[C]) -> C | None:
        while shelf.ready:
            container = shelf.ready.popleft()
            if container.alive():
                return container
            self._bury(container)
        return None

    def done(self, hardening: Hardening, container: C) -> None:
        """End a container that `take` returned; its replacement is on its way already."""
        self._bury(container)
        with self._changed:
            full = self._count() >= self._settings.ceiling
            self._shelves[hardening].busy -= 1
            if full:
                self._changed.notify_all()

    def state(self) -> PoolState:
        """Return how the pool stands now."""
        with self._changed:
            shelves = self._shelves.values()
            return PoolState(
                ready=sum(len(shelf.ready) for shelf in shelves),
                starting=sum(shelf.starting for shelf in shelves),
                busy=sum(shelf.busy for shelf in shelves),
                waiting=sum(shelf.waiting for shelf in shelves),
            )

    def _count(self) -> int:
        return sum(len(s.ready) + s.starting + s.busy for s in self._shelves.values())

    def _next(self) -> Hardening | None:
        """Choose what to start now: calls that wait come first, then what should be ready."""
        now = time.monotonic()
        wanting = [
            (shelf.urgent, shelf.lacks, hardening)
            for hardening, shelf in self._shelves.items()
            if shelf.lacks > 0
            and shelf.retry_at <= now
            and (shelf.urgent or shelf.taken_at + self._settings.rest_seconds <= now)
        ]
        if not wanting:
            return None
        urgent, _, hardening = max(wanting, key=lambda entry: entry[:2])
        if self._count() >= self._settings.ceiling and not (urgent and self._evict(hardening)):
            return None
        return hardening

    def _evict(self, needy: Hardening) -> bool:
        """Give up one idle container of another shelf, so that a waiting call can have its own."""
        idle = [
            (shelf.peak_at, hardening)
            for hardening, shelf in self._shelves.items()
            if hardening != needy and len(shelf.ready) > shelf.waiting
        ]
        if not idle:
            return False
        _, hardening = min(idle, key=lambda entry: entry[0])
        self._bury(self._shelves[hardening].ready.popleft())
        return True

    def _tidy(self) -> None:
        """Replace what is old or dead, let go of what is no longer wanted."""
        now = time.monotonic()
        for hardening, shelf in list(self._shelves.items()):
            if now - shelf.peak_at > self._settings.calm_seconds:
                shelf.peak = max(shelf.busy + shelf.waiting, shelf.peak - 1)
                shelf.peak_at = now
            for container in list(shelf.ready):
                if now - container.born > self._settings.age_seconds or not container.alive():
                    shelf.ready.remove(container)
                    self._bury(container)
            while len(shelf.ready) > max(shelf.target, shelf.waiting):
                self._bury(shelf.ready.popleft())
            if not (shelf.floor or shelf.peak or shelf.ready or shelf.starting):
                del self._shelves[hardening]

    def _work(self) -> None:
        while True:
            with self._changed:
                while True:
                    if self._closed:
                        return
                    self._tidy()
                    hardening = self._next()
                    if hardening is not None:
                        break
                    self._rest()
                shelf = self._shelves[hardening]
                shelf.starting += 1
                self._changed.notify_all()  # another one is the lookout now, or has work as well
            self._start_one(hardening, shelf)

    def _rest(self) -> None:
        """Wait until there may be something to do; the lock is held."""
        if self._lookout:
            self._changed.wait()
            return
        self._lookout = True
        try:
            self._changed.wait(self._pause())
        finally:
            self._lookout = False

    def _pause(self) -> float:
        """Return for how long there is nothing to do, unless something changes."""
        now = time.monotonic()
        rests = [
            shelf.taken_at + self._settings.rest_seconds - now
            for shelf in self._shelves.values()
            if shelf.lacks > 0
        ]
        look = min(self._settings.look_seconds, self._settings.calm_seconds)
        return min([look, *(rest for rest in rests if rest > 0)])

    def _start_one(self, hardening: Hardening, shelf: _Shelf[C]) -> None:
        container: C | None = None
        error: SandboxUnavailable | None = None
        try:
            container = self._start(hardening)
        except SandboxUnavailable as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001 - a starter that dies would starve every call
            error = unavailable("start", "a container could not be started", value=repr(caught))
        with self._changed:
            shelf.starting -= 1
            if container is None:
                shelf.failures += 1
                shelf.error = error
                shelf.in_a_row += 1
                shelf.retry_at = time.monotonic() + min(5.0, 0.2 * shelf.in_a_row)
            elif self._closed:
                self._bury(container)
            else:
                shelf.in_a_row, shelf.error = 0, None
                shelf.ready.append(container)
            self._changed.notify_all()

    def close(self) -> None:
        """Turn waiting calls away, stop starting, end every idle container."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        with self._changed:
            for shelf in self._shelves.values():
                while shelf.ready:
                    self._bury(shelf.ready.popleft())
