"""What a variant of the job is, and how one that this machine cannot run is told."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any


class NotAvailable(Exception):
    """This machine cannot run the variant; the message says why."""


class TurnedAway(Exception):
    """The variant is too busy for this call and says so; nothing was executed."""


@dataclass
class Variant:
    """One way to get the job done.

    Subclasses define `call`. `open` is entered once, before the first call, and may raise
    NotAvailable. Times are measured around `call` alone, unless it returns seconds of its own.

    Attributes:
        name: the key in the result file.
        title: what it is, for people.
        calls: how many calls at most; None is as many as every other variant.
        warm_up: how many calls are made before the first that is measured.
        settles: whether something goes on in the background after a call (a container that is
            replaced or removed), for which the next measurement waits.
        clients: with how many threads at once the sustained rate is measured; () is not at all.
    """

    name: str
    title: str
    calls: int | None = None
    warm_up: int = 3
    settles: bool = True
    clients: tuple[int, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def open(self) -> AbstractContextManager[Any]:
        """Return what must be held open while the variant is measured."""
        return nullcontext()

    def worker(self) -> tuple[str, dict[str, Any]] | None:
        """Return kind and settings for `load.py`; None is calling from threads of this process."""
        return None

    def call(self) -> float | None:
        """Do the job once, check its result, and return the seconds it took or None."""
        raise NotImplementedError
