"""Time as the registry keeps it: timezone-aware UTC in memory, ISO 8601 text in rows and JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def utc_now() -> datetime:
    """Return the current time, timezone-aware."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """Return `moment` as ISO 8601 in UTC with microseconds: 27 characters that sort by time.

    Raises:
        ValueError: `moment` has no timezone.
    """
    if moment.tzinfo is None:
        raise ValueError("a datetime without a timezone is ambiguous")
    return moment.astimezone(UTC).strftime(_FORMAT)


def from_text(text: str) -> datetime:
    """Read what `to_text` wrote.

    Raises:
        ValueError: `text` is anything else.
    """
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
