"""Stops in real sandboxes: the container is gone, the cell is gone and its neighbours are not."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from runner.sandbox import Execution, Job, Sandbox
from runner.sandbox.cell import CellSandbox
from runner.sandbox.cell.container import CellContainer
from runner.sandbox.cell.options import CellHardening
from runner.sandbox.control import Control
from runner.sandbox.execution import Level
from runner.sandbox.pool import PoolSettings
from tests.runner.cell.conftest import cells as cells
from tests.runner.cell.conftest import direct_cells as direct_cells
from tests.runner.cell.conftest import driver as driver
from tests.runner.cell.conftest import either as either
from tests.runner.cell.conftest import roots as roots
from tests.support.sandbox import containers_of, job

pytestmark = pytest.mark.docker
SOURCE = (
    "import signal, time\n"
    "for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)\n"
    "def run(arguments):\n"
    "    print('began', flush=True)\n"
    "    time.sleep(arguments['seconds'])\n"
    "    return 'to its end'\n"
)
STUBBORN = job(SOURCE, {"seconds": 60}, wall_seconds=60.0)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def begun(pool: ThreadPoolExecutor, sandbox: Sandbox | CellSandbox, call: Job) -> Future[Execution]:
    """Execute a call in a thread; return once the plugin runs."""
    runs = threading.Event()
    call.control.live = lambda *_: runs.set()
    future = pool.submit(sandbox.execute, call)
    assert runs.wait(20)
    return future


def ids_of(sandbox: Sandbox | CellSandbox) -> set[str]:
    return {each["Id"] for each in containers_of(sandbox)}


def test_a_container_is_destroyed_at_once(sandbox: Sandbox, pool: ThreadPoolExecutor) -> None:
    call = dataclasses.replace(STUBBORN, control=Control())
    sandbox.drain()
    before = ids_of(sandbox)
    future = begun(pool, sandbox, call)
    [container] = ids_of(sandbox) - before
    told = time.monotonic()
    call.control.stop()
    execution = future.result(5)
    assert time.monotonic() - told < 1.0
    assert (execution.status, execution.result, execution.error) == ("stopped", None, None)
    assert execution.usage.wall_seconds > 0
    sandbox.drain()
    assert container not in ids_of(sandbox)


@pytest.mark.parametrize("level", ["container", "cell"])
def test_what_was_stopped_before_it_began_is_never_sent(
    sandbox: Sandbox, cells: CellSandbox, level: Level
) -> None:
    call = dataclasses.replace(STUBBORN, level=level, control=Control())
    call.control.stop()
    execution = (cells if level == "cell" else sandbox).execute(call)
    assert (execution.status, execution.usage.wall_seconds) == ("stopped", 0.0)


@pytest.mark.parametrize("level", ["container", "cell"])
def test_a_call_that_waits_for_its_turn_ends_at_once(
    image_id: str, pool: ThreadPoolExecutor, level: Level
) -> None:
    made: Sandbox | CellSandbox
    if level == "cell":
        made = CellSandbox.connect(image_id, hardening=CellHardening(cells=1))
    else:
        made = Sandbox.connect(image_id, pool=PoolSettings(floor=0, ceiling=1))
    with made:
        calls = [dataclasses.replace(STUBBORN, level=level, control=Control()) for _ in range(2)]
        futures = [begun(pool, made, calls[0]), pool.submit(made.execute, calls[1])]
        deadline = time.monotonic() + 20
        while calls[1].control._kill is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        told = time.monotonic()
        calls[1].control.stop()
        execution = futures[1].result(5)
        assert time.monotonic() - told < 2
        assert (execution.status, execution.usage.wall_seconds) == ("stopped", 0.0)
        assert not futures[0].done()
        calls[0].control.stop()
        assert futures[0].result(5).usage.wall_seconds > 0


def in_cell(seconds: float) -> Job:
    quick = job(SOURCE, {"seconds": seconds}, wall_seconds=60.0)
    return dataclasses.replace(quick, level="cell", wheel=STUBBORN.wheel)


def test_a_cell_s_end_leaves_its_neighbours_alone(
    either: CellSandbox, pool: ThreadPoolExecutor
) -> None:
    neighbours = [begun(pool, either, in_cell(1.0)) for _ in range(2)]
    call = in_cell(60)
    future = begun(pool, either, call)
    before = ids_of(either)
    told = time.monotonic()
    call.control.stop()
    execution = future.result(5)
    assert time.monotonic() - told < 0.9
    assert (execution.status, execution.result, execution.error) == ("stopped", None, None)
    assert [each.result(20).result for each in neighbours] == ["to its end"] * 2
    again = either.execute(in_cell(0))
    assert again.result == "to its end"
    assert ids_of(either) == before, "the container goes on"
    assert execution.usage.cpu_seconds is not None


def test_many_stops_and_calls_in_one_container(
    either: CellSandbox, pool: ThreadPoolExecutor
) -> None:
    """Stops that come before, with and after the end of their call."""
    made = [in_cell(0.02) for _ in range(24)]
    futures = [pool.submit(either.execute, each) for each in made]
    stoppers = [threading.Timer(0.01 * n, each.control.stop) for n, each in enumerate(made)]
    for timer in stoppers:
        timer.start()
    statuses = {future.result(20).status for future in futures}
    assert statuses <= {"ok", "stopped"}
    assert either.execute(in_cell(0)).status == "ok"


def test_a_container_that_does_not_obey_goes_whole(
    either: CellSandbox, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that a plugin has taken over would: the order to end the call has no effect."""
    monkeypatch.setattr("runner.sandbox.cell.container.STOP_SECONDS", 0.05)
    monkeypatch.setattr("runner.sandbox.cell.frames.encode_cancel", lambda number: b"")
    ended: list[str] = []
    kill = CellContainer.kill

    def noted(container: CellContainer) -> None:
        ended.append(container.surprise)
        kill(container)

    monkeypatch.setattr(CellContainer, "kill", noted)
    call, beside = in_cell(60), in_cell(60)
    neighbour = begun(pool, either, beside)
    future = begun(pool, either, call)
    call.control.stop()
    execution = future.result(5)
    assert execution.status == "stopped"
    assert "did not end" in ended[0]
    assert neighbour.result(10).status == "protocol_error", "it cannot stay while it is not obeyed"
    assert either.execute(in_cell(0)).status == "ok", "the next call has another container"
