"""The engine dies or hangs in mid-call: the call ends in time, is recorded, and calls run again.

The engine is one of these tests' own; the runner finds it by DOCKER_HOST and is not restarted.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runner.readiness import KEPT_SECONDS
from tests.runner import chaos
from tests.runner.chaos import assert_ended, assert_recorded, timed, until
from tests.runner.kit import Calls, Site
from tests.support.engines import OwnEngine

pytestmark = [pytest.mark.docker, pytest.mark.slow]

DOWN_SECONDS = 12.0
"""Until when a call that finds no engine is turned away: the pool's queue, and some air."""


@pytest.fixture
def calls(engine_site: Site) -> Iterator[Calls]:
    """A runner on that engine, with warm containers."""
    chaos.release(engine_site)
    with engine_site.runner(sandbox=None) as opened:
        until(lambda: pool_of(opened, "ready") >= 2)
        yield opened


def pool_of(calls: Calls, state: str) -> int:
    name = f'sealgate_pool{{state="{state}"}} '
    lines = calls.get("/metrics").text.splitlines()
    return int(float(next(line for line in lines if line.startswith(name)).removeprefix(name)))


def ready(calls: Calls) -> bool:
    code: int = calls.get("/readyz").status_code
    return code == 200


def in_mid_call(calls: Calls, strike: Callable[[], None]) -> tuple[dict[str, Any], float]:
    return chaos.in_mid_call(calls, strike, lambda: pool_of(calls, "busy") == 1)


def assert_recovers(calls: Calls) -> None:
    """Calls run again, and the shelf is full again, without a restart of the runner."""
    until(lambda: ready(calls) and pool_of(calls, "ready") >= 2)
    reply, seconds = timed(calls.call)
    assert (reply["status"], reply["result"]) == ("ok", {"greeting": "Hello, Ada!"})
    assert seconds < chaos.WALL_SECONDS
    assert_recorded(calls.site, reply)


def test_the_engine_is_killed_in_mid_call_and_comes_back(calls: Calls, engine: OwnEngine) -> None:
    assert calls.call()["status"] == "ok"
    assert_ended(calls.site, in_mid_call(calls, engine.kill), "unavailable")
    assert_ended(calls.site, timed(calls.call), "unavailable", DOWN_SECONDS)
    time.sleep(KEPT_SECONDS)
    assert not ready(calls)

    engine.start()
    assert_recovers(calls)
    with engine.client() as client:
        until(lambda: len(client.containers(all=True)) <= pool_of(calls, "ready") + 1)


def test_the_engine_hangs_in_mid_call_and_goes_on(calls: Calls, engine: OwnEngine) -> None:
    hung = in_mid_call(calls, lambda: engine.signal(signal.SIGSTOP))
    try:
        assert_ended(calls.site, hung, "timeout")
    finally:
        engine.signal(signal.SIGCONT)
    assert_recovers(calls)
