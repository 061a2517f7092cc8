"""Presence on the pages: only reviewers of today's layout are remembered and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import current_app

from registry.errors import Unavailable
from registry.review_tools.presence import Presence
from registry.services import current
from trust.identity import Identity

_EXTENSION = "sealgate.presence"


def _kept() -> Presence:
    found: Presence = current_app.extensions.setdefault(_EXTENSION, Presence())
    return found


def visit(person: Identity | None, name: str, version: str) -> None:
    """Remember that a signed-in reviewer opened a review page."""
    if person is None:
        return
    services = current()
    try:
        reviewers = services.trust.reviewing().reviewers
    except Unavailable:
        return
    if person in reviewers:
        _kept().visit(person, name, version, services.clock())


def there(
    releases: Sequence[tuple[str, str]], person: Identity | None
) -> Mapping[tuple[str, str], tuple[Identity, ...]]:
    """Return which other reviewers have which of these reviews open.

    Told to those who are signed in only: who reads what is nobody else's business.
    """
    if person is None:
        return {}
    return _kept().there(releases, current().clock(), person)
