"""The hostile corpus uses the same image and sandboxes as the runner's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.sandbox import Sandbox
from runner.sandbox.engine import Engine
from runner.sandbox.image import ensure


@pytest.fixture(scope="module")
def sandboxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sandbox]]:
    """One sandbox for each runtime that the engine has, and two without the engine."""
    engine = Engine()
    image_id = ensure(engine.client, print)
    made = {
        runtime: Sandbox.connect(image_id, runtime)
        for runtime in ("runc", "runsc")
        if runtime in engine.runtimes()
    }
    folder = tmp_path_factory.mktemp("images")
    made["oci"] = Sandbox.connect(image_id, driver="oci", folder=folder)
    made["subprocess"] = Sandbox.connect(image_id, driver="subprocess")
    yield made
    for sandbox in made.values():
        sandbox.close()
