"""Output of real containers and cells, as it comes: seen early, capped, and never in the way."""

from __future__ import annotations

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from runner.sandbox import Execution, Job, Sandbox
from runner.sandbox.cell import CellSandbox
from runner.sandbox.control import Control
from tests.runner.cell.conftest import cells as cells
from tests.support.sandbox import job

pytestmark = pytest.mark.docker
LEVELS = pytest.mark.parametrize("level", ["container", "cell"])


class Watcher:
    """Takes a call's output, with the time of each part."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int, bytes]] = []
        self.came = threading.Event()
        self.hold: threading.Event | None = None

    def take(self, stream: int, left_out: int, data: bytes) -> None:
        self.parts.append((stream, left_out, data))
        self.came.set()
        if self.hold is not None:
            self.hold.wait(20)

    def text(self, stream: int) -> bytes:
        return b"".join(data for which, _, data in self.parts if which == stream)


def watched(watcher: Watcher, level: Any, source: str, **limits: Any) -> Job:
    made = job(source, **limits)
    control = Control()
    control.live = watcher.take
    return dataclasses.replace(made, level=level, control=control)


def execute(sandbox: Sandbox, cells: CellSandbox, call: Job) -> Execution:
    return (cells if call.level == "cell" else sandbox).execute(call)


@LEVELS
def test_it_is_seen_before_the_end(sandbox: Sandbox, cells: CellSandbox, level: str) -> None:
    source = (
        "import sys, time\n"
        "def run(arguments):\n"
        "    print('first'); print('problem', file=sys.stderr)\n"
        "    time.sleep(0.5)\n"
        "    print('last'); return 1\n"
    )
    watcher = Watcher()
    with ThreadPoolExecutor(1) as pool:
        call = watched(watcher, level, source)
        future = pool.submit(execute, sandbox, cells, call)
        assert watcher.came.wait(20)
        assert not future.done()
        execution = future.result(20)
    assert watcher.parts[0] == (0, 0, b"first\n")
    assert (watcher.text(0), watcher.text(1)) == (b"first\nlast\n", b"problem\n")
    assert (execution.status, execution.stdout, execution.stderr) == (
        "ok",
        "first\nlast\n",
        "problem\n",
    )


@LEVELS
def test_a_flood_is_capped_as_ever(sandbox: Sandbox, cells: CellSandbox, level: str) -> None:
    source = (
        "import os\n"
        "def run(arguments):\n"
        "    while True: os.write(1, b'x'); os.write(2, b'y' * 4000)\n"
    )
    watcher = Watcher()
    execution = execute(sandbox, cells, watched(watcher, level, source))
    assert execution.status == "resource_limit"
    assert watcher.text(0).decode() == execution.stdout
    assert watcher.text(1).decode() == execution.stderr
    assert len(watcher.text(0) + watcher.text(1)) == execution.sandbox["limits"]["output_bytes"]


@LEVELS
def test_many_small_writes_are_few_frames(sandbox: Sandbox, cells: CellSandbox, level: str) -> None:
    source = "import os\ndef run(arguments):\n    for number in range(20000): os.write(1, b'.')\n"
    watcher = Watcher()
    execution = execute(sandbox, cells, watched(watcher, level, source))
    assert execution.status == "ok"
    assert watcher.text(0) == b"." * 20000
    assert len(watcher.parts) < 200


@LEVELS
def test_nobody_waits_for_a_runner_that_does_not_read(
    sandbox: Sandbox, cells: CellSandbox, level: str
) -> None:
    """The plugin goes on while the stream is full, and what it wrote then is said to be missing."""
    source = (
        "import os, time\n"
        "def run(arguments):\n"
        "    began = time.monotonic()\n"
        "    for _ in range(128): os.write(1, b'x' * 65536)\n"
        "    wrote = time.monotonic() - began\n"
        "    time.sleep(0.5); print('end', flush=True); time.sleep(0.2)\n"
        "    return wrote\n"
    )
    watcher = Watcher()
    watcher.hold = threading.Event()
    call = watched(watcher, level, source, output_bytes=16 << 20, wall_seconds=20.0, cpu_seconds=10)
    threading.Timer(1.0, watcher.hold.set).start()
    execution = execute(sandbox, cells, call)
    assert execution.status == "ok", execution
    assert float(execution.result or 9) < 0.9, "the plugin did not wait for the reader"
    assert sum(left_out for _, left_out, _ in watcher.parts) > 1 << 20
    assert sum(left + len(data) for _, left, data in watcher.parts) == len(execution.stdout)
    assert len(execution.stdout) == (8 << 20) + 4, "the reply has all of it"


def test_calls_side_by_side_see_their_own(cells: CellSandbox) -> None:
    source = (
        "import time\n"
        "def run(arguments):\n"
        "    for _ in range(20): print(arguments['n'], flush=True); time.sleep(0.005)\n"
    )
    first = job(source, {"n": 0})
    watchers = [Watcher() for _ in range(4)]
    calls = []
    for number, watcher in enumerate(watchers):
        control = Control()
        control.live = watcher.take
        calls.append(
            dataclasses.replace(
                first, level="cell", control=control, arguments=b'{"n": %d}' % number
            )
        )
    with ThreadPoolExecutor(4) as pool:
        assert {e.status for e in pool.map(cells.execute, calls)} == {"ok"}
    for number, watcher in enumerate(watchers):
        assert watcher.text(0) == b"%d\n" % number * 20


def test_a_stopped_cell_gives_what_it_wrote(cells: CellSandbox) -> None:
    watcher = Watcher()
    source = "import time\ndef run(arguments):\n    print('began', flush=True); time.sleep(60)\n"
    call = watched(watcher, "cell", source, wall_seconds=60.0)

    def stop() -> None:
        watcher.came.wait(20)
        call.control.stop()

    threading.Thread(target=stop).start()
    began = time.monotonic()
    execution = cells.execute(call)
    assert (execution.status, execution.stdout) == ("stopped", "began\n")
    assert time.monotonic() - began < 10
