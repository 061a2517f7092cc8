"""A sandbox of cells on the real engine, shared: nothing that a call does is seen by another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.sandbox.cell import CellSandbox


@pytest.fixture(scope="session")
def cells(image_id: str) -> Iterator[CellSandbox]:
    """A sandbox of cells under runc."""
    with CellSandbox.connect(image_id) as shared:
        assert shared.refusal is None, shared.refusal
        yield shared
