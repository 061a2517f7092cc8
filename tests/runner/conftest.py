"""Fixtures of everything that runs plugins: the runtime image, and sandboxes on the real engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.sandbox import Sandbox
from runner.sandbox.engine import Engine
from runner.sandbox.image import ensure


@pytest.fixture(scope="session")
def image_id() -> str:
    """The id of the runtime image with this tree's harness; built if the engine has none."""
    return ensure(Engine().client, print)


@pytest.fixture(scope="session")
def sandbox(image_id: str) -> Iterator[Sandbox]:
    """A sandbox under runc, shared by all tests; it keeps no state between calls."""
    with Sandbox.connect(image_id) as shared:
        yield shared
