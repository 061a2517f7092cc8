"""Who looks at the explorer: short sessions in this process's memory.

A browser holds a random name of its session; the token stays here and is judged anew at each
request, so that a caller who is taken out of the policy is out at once.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

LIFETIME_SECONDS = 1800.0
MAX_SESSIONS = 100
COOKIE = "sealgate_audit"


class Sessions:
    """Sessions of auditors; safe to share between threads."""

    def __init__(self, steady: Callable[[], float]) -> None:
        """Take the clock, in seconds, that never goes back."""
        self._steady = steady
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def begin(self, token: str) -> str:
        """Keep a token; return the session's secret name. The oldest go where there are many."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._held[_digest(name)] = (token, self._steady() + LIFETIME_SECONDS)
            while len(self._held) > MAX_SESSIONS:
                self._held.popitem(last=False)
        return name

    def token(self, name: str) -> str:
        """Return the session's token; "" where there is none."""
        with self._lock:
            token, ends = self._held.get(_digest(name), ("", 0.0))
            if self._steady() >= ends:
                self._held.pop(_digest(name), None)
                return ""
            return token

    def end(self, name: str) -> None:
        """Forget the session."""
        with self._lock:
            self._held.pop(_digest(name), None)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
