"""Rules that hold for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

PURE = ("trust", "scanner")
"""Folders of tests whose subjects must not need the network: sockets are disabled there."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        room = item.path.relative_to(here).parts[0]
        if room in PURE and item.get_closest_marker("enable_socket") is None:
            item.add_marker(pytest.mark.disable_socket)
