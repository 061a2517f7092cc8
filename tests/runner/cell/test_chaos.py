"""The engine is killed and comes back: cells run again, and no call is told anything false.

The engine is one of this test's own; the runner finds it by DOCKER_HOST and is not restarted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.runner import chaos
from tests.runner.chaos import assert_ended, assert_recorded, in_mid_call, timed
from tests.runner.kit import Calls, Site
from tests.support.engines import OwnEngine

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture
def calls(engine_site: Site) -> Iterator[Calls]:
    """A runner on that engine whose every call runs in a cell."""
    engine_site.policy["plugins"][0]["cell_versions"] = "*"
    # the other level keeps nothing warm: only cells are looked at
    engine_site.policy["sandbox"]["pool"] = {"floor": 0, "ceiling": 0}
    chaos.release(engine_site)
    with engine_site.runner(sandbox=None) as opened:
        yield opened


def test_cells_survive_the_loss_and_return_of_the_engine(calls: Calls, engine: OwnEngine) -> None:
    assert calls.call()["status"] == "ok"
    assert calls.get("/readyz").status_code == 200
    lost = in_mid_call(calls, engine.kill)
    assert_ended(calls.site, lost, "unavailable")
    assert lost[0]["sandbox"]["level"] == "cell"
    assert_ended(calls.site, timed(calls.call), "unavailable")
    time.sleep(1.1)
    assert calls.get("/readyz").status_code == 503

    engine.start()
    end = time.monotonic() + chaos.RECOVERY_SECONDS
    while (reply := calls.call())["status"] != "ok":
        assert reply["status"] == "unavailable", reply
        assert time.monotonic() < end, "no cell came back"
        time.sleep(0.1)
    assert reply["result"] == {"greeting": "Hello, Ada!"}
    assert reply["sandbox"]["level"] == "cell"
    assert_recorded(calls.site, reply)
    assert calls.get("/readyz").status_code == 200
