"""A registry that keeps a revocation log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from registry.revocations.log import LogKeeper
from registry.revocations.settings import RevocationSettings
from tests.support.evidence import TrustFixture
from tests.support.registry import RegistryFixture
from trust.log import NoteSigner

ADMIN = "admin@example.com"
ORIGIN = "sealgate.test/revocations"


@pytest.fixture
def registry(trust: TrustFixture, tmp_path: Path) -> Iterator[RegistryFixture]:
    """An empty registry whose worker keeps the log."""
    settings = RevocationSettings(
        tmp_path / "revocations.sqlite", frozenset({trust.identity(ADMIN)})
    )
    made = RegistryFixture.make(trust, tmp_path, revocations=settings)
    assert settings.log is not None
    keeper = LogKeeper(made.services, settings.log, NoteSigner.generate(ORIGIN))
    made.worker = replace(made.worker, revocation_log=keeper)
    yield made
    made.services.close()
