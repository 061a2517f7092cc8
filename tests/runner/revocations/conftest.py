"""Fixtures of the tests of revocations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner.revocations.town import Town, town
from tests.support.evidence import TrustFixture


@pytest.fixture
def t(tmp_path: Path, trust_fixture: TrustFixture) -> Iterator[Town]:
    """A registry with a log and a runner's surroundings."""
    with town(tmp_path, trust_fixture) as made:
        yield made
