"""A caller's deadline in real sandboxes: it ends what runs, and lets nothing begin after it."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.sandbox import Execution, Job, PoolSettings, Sandbox
from runner.sandbox.cell import CellSandbox, Renewal
from runner.sandbox.cell.container import CellContainer
from runner.sandbox.cell.homes import Home
from runner.sandbox.cell.options import CellHardening
from runner.sandbox.deadline import Deadline
from runner.sandbox.errors import SandboxUnavailable, unavailable
from runner.sandbox.execution import Level
from tests.support.sandbox import job
from trust.wheel import Limits

pytestmark = pytest.mark.docker

SLEEPS = "import time\ndef run(arguments):\n    print('begun', flush=True)\n    time.sleep(30)\n"
ANSWERS = "def run(arguments):\n    return 1\n"
PLACES = ("engine", "oci", "subprocess", "cell")
SOON = 5.0
"""Seconds: far less than the plugin sleeps, far more than a deadline of these tests."""


@pytest.fixture(scope="module", params=PLACES)
def place(
    request: pytest.FixtureRequest, image_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox | CellSandbox]:
    """What has room for one call: each driver's containers, and cells."""
    folder = tmp_path_factory.mktemp("images")
    if request.param == "cell":
        hardening = CellHardening(cells=1)
        with CellSandbox.connect(
            image_id, driver="oci", folder=folder, hardening=hardening
        ) as cells:
            yield cells
        return
    pool = PoolSettings(floor=1, ceiling=1)
    with Sandbox.connect(image_id, driver=request.param, folder=folder, pool=pool) as sandbox:
        yield sandbox


def call(place: Sandbox | CellSandbox, made: Job, seconds: float, **more: Any) -> Execution:
    """Make a call with a deadline so many seconds from now."""
    return place.execute(at(place, made, deadline=Deadline.after(seconds), **more))


def at(place: Sandbox | CellSandbox, made: Job, **changes: Any) -> Job:
    level: Level = "cell" if isinstance(place, CellSandbox) else "container"
    return dataclasses.replace(made, level=level, **changes)


def warm(place: Sandbox | CellSandbox, made: Job) -> None:
    """See to it that a call with the default limits need not wait for a start."""
    if isinstance(place, CellSandbox):
        with contextlib.suppress(NotNow):
            place.execute(at(place, made, clear=no))
        return
    end = time.monotonic() + 20
    while (state := place.pool_state()) is not None and not state.ready:
        assert time.monotonic() < end
        time.sleep(0.01)


class NotNow(Exception):
    """Lets a call not begin."""


def no() -> None:
    raise NotNow


def moved(deadline: Deadline, seconds: float) -> Callable[[], None]:
    """Return a record that becomes durable so many seconds before the deadline."""

    def clear() -> None:
        object.__setattr__(deadline, "at", time.monotonic() + seconds)

    return clear


def unbegun(execution: Execution) -> bool:
    """Whether a call ended by its deadline without having begun."""
    return (
        execution.status == "unavailable"
        and execution.deadline is not None
        and execution.usage.wall_seconds == 0
        and execution.stdout == ""
    )


def test_it_ends_a_call_that_runs(place: Sandbox | CellSandbox) -> None:
    made = dataclasses.replace(job(SLEEPS), limits=Limits())
    warm(place, made)
    began = time.monotonic()
    execution = call(place, made, 1.0)
    assert execution.status == "timeout", execution
    assert execution.detail == "wall clock: more than the 1 s that the caller gave it"
    assert execution.deadline is not None
    assert execution.stdout == "begun\n", "what it had written is handed over"
    assert 0 < execution.usage.wall_seconds < SOON
    assert time.monotonic() - began < SOON


def test_it_extends_nothing(place: Sandbox | CellSandbox) -> None:
    execution = call(place, job(SLEEPS, wall_seconds=0.3), 60.0)
    assert execution.status == "timeout", execution
    assert execution.detail == "wall clock: more than 0.3 s", "it is the plugin's limit"
    assert execution.deadline is None
    assert execution.usage.wall_seconds < SOON


def test_a_call_in_time_ends_as_any_other(place: Sandbox | CellSandbox) -> None:
    execution = call(place, job(ANSWERS), 60.0)
    assert (execution.status, execution.result, execution.deadline) == ("ok", 1, None)


def test_it_ends_the_wait_for_a_place(place: Sandbox | CellSandbox) -> None:
    began = threading.Event()
    held = job(ANSWERS)
    release = threading.Event()

    def clear() -> None:
        began.set()
        assert release.wait(20)

    with ThreadPoolExecutor(1) as other:
        running = other.submit(place.execute, at(place, held, clear=clear))
        try:
            assert began.wait(20)
            start = time.monotonic()
            asked: list[str] = []
            execution = call(place, held, 0.3, ask=lambda: asked.append("asked"))
            waited = time.monotonic() - start
        finally:
            release.set()
        assert running.result().status == "ok", "the other one is not touched"
    assert unbegun(execution), execution
    assert "the 0.3 s that the caller gave the call passed before it began" in execution.detail
    assert 0.3 <= waited < SOON
    assert asked == []


def test_none_begins_after_it(place: Sandbox | CellSandbox) -> None:
    """It passes while the decision's record is on its way to the disk."""
    made, deadline = job(SLEEPS), Deadline.after(20.0)
    execution = place.execute(at(place, made, clear=moved(deadline, 0.0), deadline=deadline))
    assert unbegun(execution), execution
    assert call(place, job(ANSWERS), 20.0).status == "ok", "its place is free again"


def test_what_the_record_took_is_counted(place: Sandbox | CellSandbox) -> None:
    """The container has been told of more time by then: the runner's own clock ends the call."""
    made, deadline = job(SLEEPS, wall_seconds=10.0), Deadline.after(20.0)
    execution = place.execute(at(place, made, clear=moved(deadline, 0.2), deadline=deadline))
    assert execution.status == "timeout", execution
    assert execution.deadline is not None
    assert execution.usage.wall_seconds < SOON


def test_one_that_has_passed_takes_no_container(place: Sandbox | CellSandbox) -> None:
    past = Deadline(1.0, time.monotonic() - 1.0)
    execution = place.execute(at(place, job(ANSWERS), deadline=past))
    assert unbegun(execution), execution
    assert execution.usage.waited_seconds < 1.0


def test_a_start_of_a_cells_container_is_not_waited_for_longer(
    image_id: str, tmp_path: Path
) -> None:
    """The container that was begun is there for the next call."""
    with CellSandbox.connect(image_id, driver="oci", folder=tmp_path) as cells:
        made = at(cells, job(ANSWERS))
        execution = call(cells, made, 0.01)
        assert unbegun(execution), execution
        assert execution.usage.waited_seconds < SOON
        assert cells.execute(made).status == "ok"
        assert len(cells.driver.containers()) == 1


def test_a_start_that_takes_long_is_left_to_itself() -> None:
    over = threading.Event()

    def start() -> CellContainer:
        assert over.wait(20)
        raise unavailable("start", "too late for that one")

    home = Home(start, lambda _: None, Renewal())
    try:
        with pytest.raises(SandboxUnavailable, match="busy"):
            home.take(time.monotonic() + 0.05, brief=True)
        assert home.busy, "it goes on"
    finally:
        over.set()


def test_a_start_that_fails_meanwhile_is_heard_of() -> None:
    def start() -> CellContainer:
        raise unavailable("start", "no container today")

    home = Home(start, lambda _: None, Renewal())
    began = time.monotonic()
    with pytest.raises(SandboxUnavailable, match="no container today"):
        home.take(began + 20.0, brief=True)
    assert time.monotonic() - began < SOON


def test_a_job_without_one_has_its_plugins_time() -> None:
    made = job(ANSWERS, wall_seconds=7.5)
    request = made.request()
    assert request.wall_seconds == 7.5
    assert made.still(request) is request
