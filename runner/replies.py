"""Replies that are kept for a while, so that they can be asked for again.

In memory, bounded by count, bytes and age: a restart forgets them, and then the audit log says
under the request id how the call ended. Where there is no room the oldest reply of the caller who
has most is let go, so that nobody's replies push out those of somebody who keeps less.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.calls import Status

KEEP_SECONDS = 600.0
MAX_REPLIES = 2000
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class KeptReply:
    """One reply as it went, or would have gone, over the wire; `executed` as in the reply."""

    status: Status
    executed: bool
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    caller: str
    reply: KeptReply
    until: float


class Replies:
    """Calls under way, and replies that are kept; safe to share between threads."""

    def __init__(
        self,
        steady: Callable[[], float] = time.monotonic,
        *,
        seconds: float = KEEP_SECONDS,
        most: int = MAX_REPLIES,
        most_bytes: int = MAX_BYTES,
    ) -> None:
        """Take the clock (seconds) and the bounds: age, count and bytes of replies."""
        self._steady = steady
        self._seconds = seconds
        self._most = most
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._running: dict[str, str] = {}  # request id -> caller
        self._kept: dict[str, _Kept] = {}  # in the order of their ends
        self._bytes: Counter[str] = Counter()
        self._count: Counter[str] = Counter()

    def begin(self, request_id: str, caller: str) -> None:
        """Note that a call is under way."""
        with self._lock:
            self._running[request_id] = caller

    def end(self, request_id: str, reply: KeptReply | None) -> None:
        """Keep the reply of a call; None keeps nothing."""
        with self._lock:
            caller = self._running.pop(request_id)
            if reply is not None:
                kept = _Kept(caller, reply, self._steady() + self._seconds)
                self._kept[request_id] = kept
                self._bytes[caller] += len(reply.body)
                self._count[caller] += 1
            self._tidy()

    def under_way(self, request_id: str, caller: str) -> bool:
        """Say whether this caller's call has not ended yet."""
        with self._lock:
            return self._running.get(request_id) == caller

    def reply(self, request_id: str, caller: str) -> KeptReply | None:
        """Return the reply of this caller's call; None if none is kept."""
        with self._lock:
            self._tidy()
            call = self._kept.get(request_id)
            return call.reply if call is not None and call.caller == caller else None

    def _tidy(self) -> None:
        now = self._steady()
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest].until > now:
                break
            self._forget(oldest)
        while self._count.total() > self._most or self._bytes.total() > self._most_bytes:
            held = self._bytes if self._bytes.total() > self._most_bytes else self._count
            [(greedy, _)] = held.most_common(1)
            self._forget(next(i for i, kept in self._kept.items() if kept.caller == greedy))

    def _forget(self, request_id: str) -> None:
        kept = self._kept.pop(request_id)
        self._bytes[kept.caller] -= len(kept.reply.body)
        self._count[kept.caller] -= 1
        if not self._count[kept.caller]:
            del self._count[kept.caller], self._bytes[kept.caller]
