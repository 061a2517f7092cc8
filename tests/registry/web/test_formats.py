"""Sizes, times and words on the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from registry.states import Event, State
from registry.web import formats


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1 KiB"), (128 << 20, "128 MiB")],
)
def test_size(count: int, text: str) -> None:
    assert formats.size(count) == text


def test_signed_size() -> None:
    assert [formats.signed_size(n) for n in (0, 1536, -1)] == ["no change", "+1.5 KiB", "−1 byte"]


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ({"seconds": -5}, "under a minute"),
        ({"seconds": 59}, "under a minute"),
        ({"minutes": 1}, "1 minute"),
        ({"hours": 23, "minutes": 59}, "23 hours"),
        ({"days": 3, "hours": 5}, "3 days"),
    ],
)
def test_span(span: dict[str, float], text: str) -> None:
    assert formats.span(timedelta(**span)) == text


def test_times_are_shown_in_utc() -> None:
    at = datetime(2026, 3, 9, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert formats.moment(at) == "2026-03-08 23:30 UTC"
    assert formats.iso(at.astimezone(UTC)) == "2026-03-08T23:30:00Z"


def test_every_state_and_event_has_words() -> None:
    assert set(formats.STATES) == set(State)
    assert set(formats.EVENTS) >= set(Event), "and the journal has events of its own"


def test_an_unknown_state_never_looks_good() -> None:
    assert formats.state_of("brand_new") == ("brand new", "wait")
