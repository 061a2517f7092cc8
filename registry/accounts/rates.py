"""How often one client may ask, by token bucket, in this process's memory."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry.accounts.errors import TooManyRequests
from registry.clock import Clock
from trust.errors import problem

MAX_CLIENTS = 10_000
"""Clients that are remembered; who has been away longest is forgotten first."""


class Rate(StrEnum):
    """What is counted apart."""

    SIGN_IN = "sign-ins"
    TOKENS = "changes of tokens"
    UPLOAD = "uploads"


@dataclass(slots=True)
class _Bucket:
    left: float
    at: datetime


class Rates:
    """Buckets by client and rate. `clock` returns the time in UTC."""

    def __init__(self, clock: Clock, per_minute: dict[Rate, int]) -> None:
        """Take the bounds: requests in a minute, also at once; 0 for no bound."""
        self._clock = clock
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._buckets: OrderedDict[tuple[Rate, str], _Bucket] = OrderedDict()

    def spend(self, rate: Rate, client: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: the client has none left; this one is not counted.
        """
        most = self._per_minute[rate]
        if not most:
            return
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault((rate, client), _Bucket(most, now))
            self._buckets.move_to_end((rate, client))
            passed = max(0.0, (now - bucket.at).total_seconds())
            bucket.left, bucket.at = min(most, bucket.left + passed * most / 60), now
            enough = bucket.left >= 1
            if enough:
                bucket.left -= 1
            wait = math.ceil((1 - bucket.left) * 60 / most)
            while len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)
        if not enough:
            raise TooManyRequests(
                problem(
                    "accounts.rate",
                    f"too many {rate} of one client",
                    value=f"wait {wait} s",
                    expected=f"at most {most} a minute",
                    advice="wait, then send the request again",
                ),
                wait,
            )
