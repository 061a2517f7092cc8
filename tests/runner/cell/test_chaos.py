"""The engine is killed and comes back: cells run again, and no call is told anything false.

The engine is one of this test's own; the runner finds it by DOCKER_HOST and is not restarted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.audit_source import open_source
from runner.audit_verify import verify
from runner.receipts import verify_reply_receipt
from tests.runner.kit import Calls, Site, TestRegistry
from tests.support.engines import OwnEngine, own_engine
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_manifest
from trust.outcomes import Passed

pytestmark = [pytest.mark.docker, pytest.mark.slow]

WALL_SECONDS = 3.0
END_SECONDS = WALL_SECONDS + 4.0
RECOVERY_SECONDS = 20.0
SOURCE = """
import time

def greet(arguments):
    return {"greeting": "Hello, " + arguments["name"] + "!"}

def echo(arguments):
    print("begun", flush=True)
    time.sleep(arguments["seconds"])
    return {"value": arguments}
"""


@pytest.fixture
def engine(image_id: str) -> Iterator[OwnEngine]:
    with own_engine() as own:
        own.load(image_id)
        yield own


@pytest.fixture
def calls(
    tmp_path: Path,
    trust_fixture: TrustFixture,
    registry: TestRegistry,
    image_id: str,
    engine: OwnEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Calls]:
    """A runner on that engine whose every call runs in a cell."""
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    site = Site(tmp_path, trust_fixture, registry, image_id)
    site.policy["plugins"][0]["cell_versions"] = "*"
    # the other level keeps nothing warm: only cells are looked at
    site.policy["sandbox"]["pool"] = {"floor": 0, "ceiling": 0}
    site.release(source=SOURCE, manifest=make_manifest(limits={"wall_seconds": WALL_SECONDS}))
    with site.runner(sandbox=None) as opened:
        yield opened


def timed(call: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    began = time.monotonic()
    return call(), time.monotonic() - began


def assert_recorded(site: Site, reply: dict[str, Any]) -> None:
    records = [r for r in site.records() if r.get("request_id") == reply["request_id"]]
    assert [r["type"] for r in records] == ["decision", "outcome"]
    assert records[1]["status"] == reply["status"]
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)
    with open_source(site.log) as source:
        report = verify(source, site.vkey)
    assert (report.problems, report.open_calls) == ([], [])


def test_cells_survive_the_loss_and_return_of_the_engine(calls: Calls, engine: OwnEngine) -> None:
    assert calls.call()["status"] == "ok"
    assert calls.get("/readyz").status_code == 200
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(timed, lambda: calls.call("echo", {"seconds": 60}))
        time.sleep(1.0)
        engine.kill()
        lost, seconds = future.result(60)
    assert (lost["status"], lost["result"]) == ("unavailable", None)
    assert lost["sandbox"]["level"] == "cell"
    assert seconds < END_SECONDS
    assert_recorded(calls.site, lost)

    turned_away, seconds = timed(calls.call)
    assert (turned_away["status"], turned_away["result"]) == ("unavailable", None)
    assert seconds < END_SECONDS
    assert_recorded(calls.site, turned_away)
    time.sleep(1.1)
    assert calls.get("/readyz").status_code == 503

    engine.start()
    end = time.monotonic() + RECOVERY_SECONDS
    while (reply := calls.call())["status"] != "ok":
        assert reply["status"] == "unavailable", reply
        assert time.monotonic() < end, "no cell came back"
        time.sleep(0.1)
    assert reply["result"] == {"greeting": "Hello, Ada!"}
    assert reply["sandbox"]["level"] == "cell"
    assert_recorded(calls.site, reply)
    assert calls.get("/readyz").status_code == 200
