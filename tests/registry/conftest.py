"""What the registry's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.evidence import TrustFixture
from tests.support.registry import RegistryFixture


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
