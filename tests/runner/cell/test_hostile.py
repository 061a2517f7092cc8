"""The whole hostile corpus in cells: what its caller sees, and that nothing else happens.

Where a status differs from that of the container level, the reason stands beside it.
"""

from __future__ import annotations

import concurrent.futures
import platform
import time

import pytest

from runner.sandbox import Execution
from runner.sandbox.cell import CellSandbox
from tests.hostile.test_corpus import CORPUS, HONEST, WALL_SECONDS, Hostile, host_state
from tests.support.sandbox import containers_of, run

pytestmark = [pytest.mark.docker, pytest.mark.slow]

DIFFERENT: dict[str, tuple[set[str], str]] = {
    "becomes_somebody_else": ({"plugin_error"}, "it reads /proc/self, and a cell has no /proc"),
    "hunts_the_nonce": ({"plugin_error"}, "it reads /proc/self, and a cell has no /proc"),
    "stops_itself": (
        {"plugin_error"},
        "the first process of a PID namespace takes no SIGSTOP from inside, and there is no other",
    ),
}
"""Plugin -> statuses in a cell, and why they are not those of the container level."""


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_hostile_plugin(hostile: Hostile, either: CellSandbox) -> None:
    if hostile.machine and hostile.machine != platform.machine():
        pytest.skip(f"written for {hostile.machine}, this is {platform.machine()}")
    expected, _ = DIFFERENT.get(hostile.name, (hostile.expected["runc"], ""))
    before = host_state()
    began = time.monotonic()

    def attack(_: int) -> Execution:
        return run(
            either, hostile.source, {"runtime": "runc"}, wall_seconds=WALL_SECONDS, cpu_seconds=1
        )

    if hostile.calls > 1:
        executions = [attack(number) for number in range(hostile.calls)]
    else:
        # twice, side by side, in the same container
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            executions = list(threads.map(attack, range(2)))
    elapsed = time.monotonic() - began

    for execution in executions:
        assert execution.sandbox["level"] == "cell"
        assert execution.status in expected, execution
        assert execution.usage.wall_seconds <= WALL_SECONDS + 1.5
        assert len(execution.stdout) + len(execution.stderr) <= 256 << 10
        if execution.status == "ok":
            assert execution.result["escaped"] == [], execution
        else:
            assert execution.result is None
            assert execution.detail
    assert elapsed < len(executions) * (WALL_SECONDS + 8)

    honest = run(either, HONEST, {"numbers": [1, 2, 3]}, wall_seconds=10.0)
    assert (honest.status, honest.result) == ("ok", {"sum": 6}), honest
    assert len(containers_of(either)) <= either.renewal.containers + 1
    assert host_state() == before


def test_every_difference_has_a_reason() -> None:
    names = {hostile.name for hostile in CORPUS}
    assert set(DIFFERENT) <= names
    assert all(len(reason) > 20 for _, reason in DIFFERENT.values())
