"""Reads: from rows and blobs to the frozen views of `registry.readmodel`.

A page or an API resource calls exactly one of these. Each opens its own read-only session.
"""

from __future__ import annotations

from registry.readmodel import (
    Page,
    PluginView,
    QueueItem,
    ReviewView,
    VersionView,
)
from registry.services import Services

PER_PAGE = 20


def search_plugins(
    services: Services, text: str = "", page: int = 1, per_page: int = PER_PAGE
) -> Page[PluginView]:
    """Return plugins whose name or summary contains `text`, by name.

    An empty `text` lists all. A page beyond the last one is empty.
    """
    raise NotImplementedError


def plugin(services: Services, name: str) -> PluginView:
    """Return one plugin by its normalised or not yet normalised (PEP 503) name.

    Raises:
        NotFound: no such plugin.
    """
    raise NotImplementedError


def version(services: Services, name: str, number: str) -> VersionView:
    """Return one version.

    Raises:
        NotFound: no such plugin or version.
    """
    raise NotImplementedError


def queue(services: Services, page: int = 1, per_page: int = PER_PAGE) -> Page[QueueItem]:
    """Return versions in state `in_review`, longest waiting first."""
    raise NotImplementedError


def review(services: Services, name: str, number: str) -> ReviewView:
    """Return all that a reviewer of this version needs.

    Raises:
        NotFound: no such plugin or version.
    """
    raise NotImplementedError


def recent(services: Services, limit: int = 10) -> tuple[VersionView, ...]:
    """Return the versions published last, newest first."""
    raise NotImplementedError
