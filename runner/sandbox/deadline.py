"""A caller's deadline: until when a call may wait and run, whatever its plugin was granted."""

from __future__ import annotations

import time
from dataclasses import dataclass


class TooLate(Exception):
    """The caller's deadline passed before the call began; nothing of it was executed."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__(f"{deadline.seconds:g} s")
        self.deadline = deadline


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when somebody is willing to wait.

    Attributes:
        seconds: what the caller gave the call, waiting included.
        at: when that is over, on `time.monotonic()`.
    """

    seconds: float
    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that is so many seconds from now."""
        return cls(seconds, time.monotonic() + seconds)

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return time.monotonic() >= self.at

    def left(self) -> float:
        """Return what is left, in seconds, more than 0.

        Raises:
            TooLate: nothing is.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise TooLate(self)
        return left
