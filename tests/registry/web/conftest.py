from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.registry.web.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An empty registry."""
    made = Stage(tmp_path)
    yield made
    made.services.close()


@pytest.fixture
def client(stage: Stage) -> FlaskClient:
    return stage.app.test_client()
