"""How containers ended: a thread that listens to the engine's events.

A container that dies without a response is removed by the engine at once; its exit code and
whether the kernel's OOM killer struck are then known from the events only.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from runner.sandbox.engine import ENGINE_ERRORS, Engine

REMEMBERED = 1024
RECONNECT_SECONDS = 1.0
BREAK_SECONDS = 2.0
"""How long before a death is asked for the events may have broken off because of the same thing."""
KILLED = 128 + 9
OOM_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Death:
    """How a container ended.

    Attributes:
        exit_code: None when the engine said nothing in time.
        out_of_memory: whether the kernel's OOM killer struck.
        engine_lost: the engine said nothing, and the connection to it broke as well: that the
            container's stream ended is no sign of what the container did.
    """

    exit_code: int | None
    out_of_memory: bool
    engine_lost: bool = False


class Obituaries:
    """Remembers the last deaths of containers with one label."""

    def __init__(self, engine: Engine, label: str) -> None:
        self._engine = engine
        self._filters = {"type": "container", "event": ["oom", "die"], "label": label}
        self._known: OrderedDict[str, dict[str, int]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._broken_at: float | None = None
        self._stream: Any = None
        self._thread = threading.Thread(target=self._listen, name="sandbox-events", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._closed:
            try:
                self._stream = self._engine.client.events(decode=True, filters=self._filters)
                for event in self._stream:
                    self._note(event)
            except (*ENGINE_ERRORS, ValueError):
                # without events a death is told less precisely; calls go on
                pass
            with self._changed:
                self._broken_at = time.monotonic()
                self._changed.notify_all()
                if not self._closed:
                    self._changed.wait(RECONNECT_SECONDS)

    def _note(self, event: dict[str, Any]) -> None:
        actor = event.get("Actor") or {}
        container, kind = str(actor.get("ID", "")), event.get("Action")
        with self._changed:
            facts = self._known.setdefault(container, {})
            if kind == "oom":
                facts["oom"] = 1
            elif kind == "die":
                facts["code"] = int((actor.get("Attributes") or {}).get("exitCode", -1))
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            self._changed.notify_all()

    def of(self, container: str, seconds: float) -> Death:
        """Return how `container` ended, waiting at most `seconds` for the engine to say so."""
        asked = time.monotonic()
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    "code" in self._known.get(container, {}) or self._closed or self._lost(asked)
                ),
                seconds,
            )
            facts = self._known.get(container, {})
            if facts.get("code") == KILLED:
                # the notice of the OOM killer takes another way, and may come a little later
                self._changed.wait_for(lambda: "oom" in facts or self._closed, OOM_SECONDS)
            lost = "code" not in facts and self._lost(asked)
            return Death(facts.get("code"), "oom" in facts, lost)

    def _lost(self, asked: float) -> bool:
        return self._broken_at is not None and self._broken_at > asked - BREAK_SECONDS

    def close(self) -> None:
        """Stop listening."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        stream = self._stream
        if stream is not None:
            try:
                stream.close()
            except (*ENGINE_ERRORS, ValueError, AttributeError):
                return
