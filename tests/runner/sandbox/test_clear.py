"""A call that may not begin yet: its container is ready, and no line of its plugin has run."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runner.sandbox import Job, PoolSettings, Sandbox
from runner.sandbox.cell import CellSandbox
from runner.sandbox.control import Control
from runner.sandbox.harness import walk
from tests.runner.cell.conftest import cells as cells
from tests.support.sandbox import containers_of, job
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.docker

HELD_SECONDS = 0.3
SOURCE = "import time\nBEGAN = time.time()\ndef run(arguments):\n    return BEGAN\n"
PLACES = ("engine", "oci", "subprocess", "cell")


@pytest.fixture(params=PLACES)
def place(
    request: pytest.FixtureRequest, image_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox | CellSandbox]:
    """What makes containers with each driver, and what makes cells."""
    if request.param == "cell":
        yield request.getfixturevalue("cells")
        return
    folder = tmp_path_factory.mktemp("images")
    pool = PoolSettings(floor=1, ceiling=2)
    with Sandbox.connect(image_id, driver=request.param, folder=folder, pool=pool) as sandbox:
        yield sandbox


def at(place: Sandbox | CellSandbox, made: Job, **changes: Any) -> Job:
    level: Any = "cell" if isinstance(place, CellSandbox) else "container"
    return dataclasses.replace(made, level=level, **changes)


class Held:
    """Lets a call begin after a while, and knows when that was."""

    at = 0.0

    def __call__(self) -> None:
        time.sleep(HELD_SECONDS)
        self.at = time.time()


def test_nothing_of_the_plugin_runs_before_it_may(place: Sandbox | CellSandbox) -> None:
    held = Held()
    execution = place.execute(at(place, job(SOURCE), clear=held))
    assert execution.status == "ok"
    assert isinstance(execution.result, float)
    assert execution.result >= held.at
    assert execution.usage.wall_seconds < HELD_SECONDS, "the wait is not the plugin's"


def test_nor_does_a_codec_of_the_plugins_own(place: Sandbox | CellSandbox) -> None:
    """A source names its encoding; whoever compiles it has Python look for that codec."""
    codec = (
        "import codecs, time\nprint(time.time())\n"
        "def getregentry():\n"
        "    return codecs.lookup('utf-8')\n"
    )
    source = "# coding: of-its-own\n" + SOURCE
    files = {"encodings/of_its_own.py": codec}
    wheel = make_wheel(source="def run(arguments):\n    return 1\n", files=files | {
        "example_plugin/__init__.py": source
    })[1]  # fmt: skip
    held = Held()
    execution = place.execute(at(place, job(SOURCE), clear=held, wheel=wheel))
    assert execution.status == "ok", (execution.error, execution.detail)
    assert float(execution.stdout) >= held.at, "its codec ran before the call might begin"


def test_nor_does_what_has_the_name_of_a_module_of_ours(place: Sandbox | CellSandbox) -> None:
    """The harness imports a module of its own while a call waits: never a wheel's."""
    files = {f"{walk.NAME}.py": "print('imported')\ndef run(arguments):\n    return 1\n"}
    wheel = make_wheel(source=SOURCE, files=files)[1]
    execution = place.execute(at(place, job(SOURCE), clear=Held(), wheel=wheel))
    assert (execution.status, execution.stdout) == ("ok", "")


def test_it_is_asked_for_once_and_then_waited_for(place: Sandbox | CellSandbox) -> None:
    called: list[str] = []
    told = {name: partial(called.append, name) for name in ("ask", "clear")}
    execution = place.execute(at(place, job(SOURCE), **told))
    assert (execution.status, called) == ("ok", ["ask", "clear"])


@pytest.mark.parametrize("which", ["ask", "clear"])
def test_a_call_that_may_not_begin_never_does(place: Sandbox | CellSandbox, which: str) -> None:
    def refuse() -> None:
        raise RuntimeError("no record")

    with pytest.raises(RuntimeError, match="no record"):
        place.execute(at(place, job(SOURCE), **{which: refuse}))
    # and the container that had its bytes takes no other call
    again = place.execute(at(place, job("def run(arguments):\n    return 2\n")))
    assert (again.status, again.result) == ("ok", 2)


def test_a_call_that_is_stopped_while_it_waits_has_not_begun(place: Sandbox | CellSandbox) -> None:
    control = Control()
    timer = threading.Timer(HELD_SECONDS / 2, control.stop)
    timer.start()
    execution = place.execute(at(place, job(SOURCE), clear=Held(), control=control))
    timer.join()
    assert (execution.status, execution.usage.wall_seconds) == ("stopped", 0.0)
    assert execution.stdout == ""


def test_a_source_that_does_not_compile_is_the_calls_own_answer(
    place: Sandbox | CellSandbox,
) -> None:
    """What is found wrong before the call may begin is told as if it had been found after."""
    wheel = make_wheel(source=SOURCE, files={"example_plugin/__init__.py": "x = (\n"})[1]
    execution = place.execute(at(place, job(SOURCE), clear=Held(), wheel=wheel))
    assert execution.status == "plugin_error"
    assert (execution.error or {})["type"] == "SyntaxError"


def test_one_that_takes_all_memory_to_compile_ends_at_its_limit(
    image_id: str, tmp_path: Path
) -> None:
    source = "x = [" + ",".join(f"a{n}" for n in range(400_000)) + "]\n"
    wheel = make_wheel(source=SOURCE, files={"example_plugin/__init__.py": source})[1]
    with Sandbox.connect(image_id, driver="oci", folder=tmp_path) as sandbox:
        call = at(sandbox, job(SOURCE, memory_bytes=32 << 20), clear=Held(), wheel=wheel)
        execution = sandbox.execute(call)
        assert execution.status == "resource_limit", (execution.status, execution.detail)
        sandbox.drain()
        assert containers_of(sandbox) == []
