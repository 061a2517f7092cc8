"""Putting what was handed over into the audit log: each bundle that is kept, at least once.

A revocation takes force whether or not the audit log works: it only ever stops something. Its
record is owed until it is durable, also over a restart, and whoever handed it over is told that it
is on record only then. Beside the kept bundles stands how many of them, from the first, are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from runner.revocations.store import Store
from trust.revocation import Revocation


class Pending(Protocol):
    """A record that is being written; `runner.audit.Appending` is one."""

    def wait(self) -> object:
        """Return once the record is durable; raise a SealgateError where it is not."""


Begin = Callable[[Revocation], Pending]
"""Begins to write the record of a revocation; never waits; raises a SealgateError."""


class Recording:
    """What is on record of a store, and what is on its way there; safe to share."""

    def __init__(self, store: Store, begin: Begin) -> None:
        """Take the store, and how a record is begun."""
        self._store = store
        self._begin = begin
        self._lock = threading.Lock()
        self._under_way: set[int] = set()
        self._done: set[int] = set()

    def begin(self, verified: Mapping[str, Revocation]) -> list[tuple[int, Pending]]:
        """Begin the records that are owed and not under way; returns at once.

        A bundle that no longer verifies counts for nothing, and gets no record.

        Args:
            verified: digest of the bundle -> what it says.

        Raises:
            SealgateError: the audit log takes nothing any more.
        """
        begun: list[tuple[int, Pending]] = []
        with self._lock:
            for index, digest in self._store.unrecorded():
                found = verified.get(digest)
                if index in self._under_way or index in self._done:
                    continue
                if found is None:
                    self._done.add(index)
                    continue
                begun.append((index, self._begin(found)))
                self._under_way.add(index)
        return begun

    def finish(self, begun: list[tuple[int, Pending]]) -> None:
        """Wait for records, and keep that they are there.

        Raises:
            SealgateError: one is not known to be durable; it is owed still.
            LogError: it cannot be kept that they are there.
        """
        failed: Exception | None = None
        for index, pending in begun:
            try:
                pending.wait()
            except Exception as error:  # noqa: BLE001 - the others are waited for all the same
                failed = failed or error
                with self._lock:
                    self._under_way.discard(index)
                continue
            with self._lock:
                self._under_way.discard(index)
                self._done.add(index)
        with self._lock:
            if begun:
                self._store.note_recorded(self._done)
        if failed is not None:
            raise failed
