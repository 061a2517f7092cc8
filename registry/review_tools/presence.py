"""Who has which review open: kept in this process's memory, for minutes, and trusted by nobody.

It spares reviewers double work. A restart forgets it, and a second process knows nothing of it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from trust.identity import Identity

LASTS = timedelta(minutes=10)
MAX_PEOPLE = 1_000


class Presence:
    """The last review page that each signed-in person opened. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Identity, tuple[tuple[str, str], datetime]] = {}

    def visit(self, who: Identity, name: str, number: str, now: datetime) -> None:
        """Remember that `who` opened the review of a version."""
        with self._lock:
            self._seen.pop(who, None)
            self._seen[who] = ((name, number), now)
            while len(self._seen) > MAX_PEOPLE:
                del self._seen[next(iter(self._seen))]

    def there(
        self, releases: Sequence[tuple[str, str]], now: datetime, but: Identity | None = None
    ) -> Mapping[tuple[str, str], tuple[Identity, ...]]:
        """Return who opened which of these versions within `LASTS`, the latest first.

        Args:
            releases: names and numbers.
            now: the time.
            but: leave this person out: the one who asks.
        """
        wanted = set(releases)
        found: dict[tuple[str, str], tuple[Identity, ...]] = {}
        with self._lock:
            for who, (release, at) in reversed(self._seen.items()):
                if release in wanted and who != but and now - at <= LASTS:
                    found[release] = (*found.get(release, ()), who)
        return found
