"""The handle on a call under way: how others end it and see its output, whichever sandbox runs it.

Whoever executes the call attaches what ends it; whoever wants the end asks for it, before that
or after. An end that was asked for is never undone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CallStopped(Exception):
    """The call was told to end."""


class Control:
    """One call's handle; safe to share between threads."""

    def __init__(self) -> None:
        """Make the handle of a call that nobody has told to end."""
        self.live: Callable[[int, int, bytes], None] | None = None
        """Takes the output as it comes, see `frames.LiveSink`; to be set before the call begins."""
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._kill: Callable[[], None] | None = None

    @property
    def stopped(self) -> bool:
        """Whether the call was told to end."""
        return self._stopped.is_set()

    @contextmanager
    def attached(self, kill: Callable[[], None]) -> Iterator[None]:
        """Hold the call under way: `kill` is called once if it is told to end meanwhile.

        Args:
            kill: ends the call at once, without waiting for long; called by another thread, and
                never after the block.

        Raises:
            CallStopped: it was told to end before; it must not begin.
        """
        with self._lock:
            if self._stopped.is_set():
                raise CallStopped
            self._kill = kill
        try:
            yield
        finally:
            with self._lock:
                self._kill = None

    @contextmanager
    def waiting(self, condition: threading.Condition) -> Iterator[None]:
        """Hold a call that waits on `condition`, whose lock is not held yet.

        The condition is notified if the call is told to end; whoever waits looks with `check`.
        """

        def wake() -> None:
            with condition:
                condition.notify_all()

        with self.attached(wake):
            yield

    def check(self) -> None:
        """Raise CallStopped if the call was told to end."""
        if self._stopped.is_set():
            raise CallStopped

    def stop(self) -> None:
        """Tell the call to end; may be repeated."""
        with self._lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
            if self._kill is not None:
                self._kill()
