"""Sandboxes of cells, shared: nothing that a call does is seen by another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runner.sandbox import drivers
from runner.sandbox.cell import CellSandbox, Renewal
from runner.sandbox.cell.options import CellHardening
from runner.sandbox.execution import DriverName
from runner.sandbox.oci.cgroups import PARENT, hierarchies

Opens = Callable[..., CellSandbox]


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the driver `oci` keeps the image's root."""
    return tmp_path_factory.mktemp("roots")


@pytest.fixture(scope="session")
def cells(image_id: str) -> Iterator[CellSandbox]:
    """A sandbox of cells in containers of the engine, under runc."""
    with CellSandbox.connect(image_id) as shared:
        assert shared.refusal is None, shared.refusal
        yield shared


@pytest.fixture(scope="session")
def direct_cells(image_id: str, roots: Path) -> Iterator[CellSandbox]:
    """A sandbox of cells in containers that runc was called for, without an engine."""
    with CellSandbox.connect(image_id, driver="oci", folder=roots) as shared:
        assert shared.refusal is None, shared.refusal
        yield shared


@pytest.fixture(params=["engine", "oci"])
def driver(request: pytest.FixtureRequest) -> DriverName:
    """Each driver in turn."""
    name: DriverName = request.param
    return name


@pytest.fixture
def either(driver: DriverName, request: pytest.FixtureRequest) -> CellSandbox:
    """The shared sandbox of each driver in turn."""
    found = request.getfixturevalue("cells" if driver == "engine" else "direct_cells")
    assert isinstance(found, CellSandbox)
    return found


@pytest.fixture
def opens(driver: DriverName, image_id: str, roots: Path) -> Opens:
    """What opens a sandbox of the test's own on each driver in turn, without a look at the host."""

    def opened(hardening: CellHardening, renewal: Renewal | None = None) -> CellSandbox:
        connected = drivers.connect(driver, image_id, folder=roots)
        return CellSandbox(connected, image_id, hardening, renewal)

    return opened


def processes_of(container: str) -> int:
    """Return how many processes a container of the driver `oci` has."""
    most = 0
    for mount in hierarchies():
        for path in (mount / PARENT).glob(f"*/{container}/cgroup.procs"):
            with suppress(OSError):  # removed meanwhile
                most = max(most, len(path.read_text().split()))
    return most
