"""Idempotency keys: a caller may ask twice, the plugin runs once.

A key belongs to one caller and one request body. What is remembered is the SHA-256 of caller and
key, never the key itself, for ten minutes after the call was taken on, in memory: a restart
forgets, and then only the audit log tells whether a call was executed. No key is forgotten before
its time: where there is no room, calls with new keys are turned away.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.quota import OverQuota
from runner.replies import KEEP_SECONDS
from trust.errors import Problem, SealgateError, problem
from trust.outcomes import Failed, Passed

HEADER = "Idempotency-Key"
MAX_KEYS = 100_000
MAX_KEYS_OF_CALLER = 20_000
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class OtherRequest(SealgateError):
    """The key was used for another request."""


@dataclass(slots=True)
class Claim:
    """One key in use. `executed` is None while its call is under way."""

    digest: bytes
    caller: str
    body_sha256: str
    request_id: str
    until: float
    executed: bool | None = None
    ended: threading.Event = field(default_factory=threading.Event)


def check_key(text: str) -> Passed[str] | Failed:
    """Check a key: 1 to 200 visible ASCII characters. The refusal does not repeat it."""
    if _KEY.fullmatch(text):
        return Passed(text)
    found = problem(
        "idempotency.key",
        f"the header {HEADER} is not a key",
        value=f"{len(text)} characters",
        expected="1 to 200 visible ASCII characters",
        advice="use a fresh UUID for each call, and the same one when you repeat it",
    )
    return Failed((found,))


def under_way() -> OverQuota:
    """Return the refusal of a request whose first sending has not ended yet."""
    found = problem(
        "idempotency.under-way",
        "the call with this key is still under way",
        expected="a call that has ended",
        advice="ask again with the same key in a moment",
    )
    return OverQuota(found, 503, 1)


def reply_gone(request_id: str) -> Problem:
    """Return why an executed call's reply cannot be given again."""
    return problem(
        "idempotency.reply-gone",
        "the call with this key was executed, or may have been, and its reply is not kept",
        value=request_id,
        expected="a reply that is still kept",
        advice="look for the request id in the audit log before you repeat it with another key",
    )


class Keys:
    """The keys in use; safe to share between threads."""

    def __init__(
        self,
        steady: Callable[[], float] = time.monotonic,
        *,
        seconds: float = KEEP_SECONDS,
        most: int = MAX_KEYS,
        most_of_caller: int = MAX_KEYS_OF_CALLER,
    ) -> None:
        """Take the clock (seconds) and the bounds: age, count, count of one caller."""
        self._steady = steady
        self._seconds = seconds
        self._most = most
        self._most_of_caller = most_of_caller
        self._lock = threading.Lock()
        self._claims: dict[bytes, Claim] = {}
        self._count: Counter[str] = Counter()

    def claim(self, caller: str, key: str, body_sha256: str, request_id: str) -> Claim:
        """Claim a key for a call; the claim has another `request_id` if somebody was first.

        Raises:
            OtherRequest: the key was used with another body.
            OverQuota: there is no room for another key.
        """
        digest = _digest(caller, key)
        with self._lock:
            self._tidy()
            known = self._claims.get(digest)
            if known is not None:
                if known.body_sha256 != body_sha256:
                    raise _other_request(known.request_id)
                return known
            if self._count[caller] >= self._most_of_caller:
                raise _no_room(f"{self._count[caller]} keys of this caller", 429)
            if len(self._claims) >= self._most:
                raise _no_room(f"{len(self._claims)} keys", 503)
            until = self._steady() + self._seconds
            made = Claim(digest, caller, body_sha256, request_id, until)
            self._claims[digest] = made
            self._count[caller] += 1
            return made

    def find(self, caller: str, key: str) -> str | None:
        """Return the request id of the call that a key was used for; None if it is not in use."""
        with self._lock:
            self._tidy()
            claim = self._claims.get(_digest(caller, key))
            return None if claim is None else claim.request_id

    def end(self, claim: Claim, *, executed: bool) -> None:
        """Note how the call ended; the key of one that was not executed is free again.

        Wakes whoever waits for it.
        """
        with self._lock:
            claim.executed = executed
            if not executed:
                self._forget(claim)
        claim.ended.set()

    def _tidy(self) -> None:
        now = self._steady()
        while self._claims:
            oldest = next(iter(self._claims.values()))
            if oldest.until > now or oldest.executed is None:
                break
            self._forget(oldest)

    def _forget(self, claim: Claim) -> None:
        del self._claims[claim.digest]
        self._count[claim.caller] -= 1
        if not self._count[claim.caller]:
            del self._count[claim.caller]


def _digest(caller: str, key: str) -> bytes:
    return hashlib.sha256(f"{caller}\0{key}".encode()).digest()


def _other_request(request_id: str) -> OtherRequest:
    return OtherRequest(
        problem(
            "idempotency.other-request",
            f"this {HEADER} was used for another request",
            value=request_id,
            expected="the same body, byte for byte, as when the key was first used",
            advice="use a fresh key for each call",
        )
    )


def _no_room(held: str, code: int) -> OverQuota:
    found = problem(
        "idempotency.full",
        "there is no room for another idempotency key",
        value=held,
        expected="fewer keys in ten minutes",
        advice="slow down, or send calls that may run twice without a key",
    )
    return OverQuota(found, code, 30)
