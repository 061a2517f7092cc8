"""What the registry's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.evidence import TrustFixture
from tests.support.registry import RegistryFixture

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def trust() -> TrustFixture:
    """One Sigstore instance, one layout: two of three reviewers must approve."""
    return TrustFixture()


@pytest.fixture
def registry(trust: TrustFixture, tmp_path: Path) -> Iterator[RegistryFixture]:
    """An empty registry."""
    made = RegistryFixture.make(trust, tmp_path)
    yield made
    made.services.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser. One for a module: two at a time cannot be driven from one thread."""
    from tests.registry.web import browser

    with browser.chromium() as made:
        yield made
