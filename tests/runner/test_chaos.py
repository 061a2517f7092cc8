"""The engine dies or hangs in mid-call: the call ends in time, is recorded, and calls run again.

The engine is one of these tests' own; the runner finds it by DOCKER_HOST and is not restarted.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.audit_source import open_source
from runner.audit_verify import verify
from runner.readiness import KEPT_SECONDS
from runner.receipts import verify_reply_receipt
from tests.runner.kit import Calls, Site, TestRegistry
from tests.support.engines import OwnEngine, own_engine
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_manifest
from trust.outcomes import Passed

pytestmark = [pytest.mark.docker, pytest.mark.slow]

WALL_SECONDS = 3.0
END_SECONDS = WALL_SECONDS + 4.0
"""Until when a call has ended: its wall clock, the wait for the engine's word, and some air."""
DOWN_SECONDS = 12.0
"""Until when a call that finds no engine is turned away: the pool's queue, and some air."""
RECOVERY_SECONDS = 20.0
SOURCE = """
import time

def greet(arguments):
    return {"greeting": "Hello, " + arguments["name"] + "!"}

def echo(arguments):
    time.sleep(arguments["seconds"])
    return {"value": arguments}
"""


@pytest.fixture(scope="module")
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
    """A runner on that engine, with warm containers."""
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    site = Site(tmp_path, trust_fixture, registry, image_id)
    limits = {"wall_seconds": WALL_SECONDS}
    site.release(source=SOURCE, manifest=make_manifest(limits=limits))
    with site.runner(sandbox=None) as opened:
        until(lambda: warm(opened) >= 2)
        yield opened


def until(met: Callable[[], bool], seconds: float = RECOVERY_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def pool_of(calls: Calls, state: str) -> int:
    name = f'sealgate_pool{{state="{state}"}} '
    lines = calls.get("/metrics").text.splitlines()
    return int(float(next(line for line in lines if line.startswith(name)).removeprefix(name)))


def warm(calls: Calls) -> int:
    return pool_of(calls, "ready")


def ready(calls: Calls) -> bool:
    code: int = calls.get("/readyz").status_code
    return code == 200


def timed(call: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    began = time.monotonic()
    return call(), time.monotonic() - began


def in_mid_call(calls: Calls, strike: Callable[[], None]) -> tuple[dict[str, Any], float]:
    """Strike while a call runs in its container; return its reply and its seconds."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(timed, lambda: calls.call("echo", {"seconds": 60}))
        until(lambda: pool_of(calls, "busy") == 1)
        time.sleep(0.5)
        strike()
        return future.result(60)


def assert_recorded(site: Site, reply: dict[str, Any]) -> None:
    """The call has both records, its receipt holds, and the log is whole."""
    records = [r for r in site.records() if r.get("request_id") == reply["request_id"]]
    assert [r["type"] for r in records] == ["decision", "outcome"]
    assert records[1]["status"] == reply["status"]
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)
    with open_source(site.log) as source:
        report = verify(source, site.vkey)
    assert (report.problems, report.open_calls) == ([], [])


def assert_recovers(calls: Calls) -> None:
    """Calls run again, and the shelf is full again, without a restart of the runner."""
    until(lambda: ready(calls) and warm(calls) >= 2)
    reply, seconds = timed(calls.call)
    assert (reply["status"], reply["result"]) == ("ok", {"greeting": "Hello, Ada!"})
    assert seconds < WALL_SECONDS
    assert_recorded(calls.site, reply)


def test_the_engine_is_killed_in_mid_call_and_comes_back(calls: Calls, engine: OwnEngine) -> None:
    assert calls.call()["status"] == "ok"
    killed, seconds = in_mid_call(calls, engine.kill)
    assert (killed["status"], killed["result"]) == ("unavailable", None)
    assert seconds < END_SECONDS
    assert_recorded(calls.site, killed)

    turned_away, seconds = timed(calls.call)
    assert (turned_away["status"], turned_away["result"]) == ("unavailable", None)
    assert seconds < DOWN_SECONDS
    assert_recorded(calls.site, turned_away)
    time.sleep(KEPT_SECONDS)
    assert not ready(calls)

    engine.start()
    assert_recovers(calls)
    with engine.client() as client:
        until(lambda: len(client.containers(all=True)) <= pool_of(calls, "ready") + 1)


def test_the_engine_hangs_in_mid_call_and_goes_on(calls: Calls, engine: OwnEngine) -> None:
    hung, seconds = in_mid_call(calls, lambda: engine.signal(signal.SIGSTOP))
    try:
        assert (hung["status"], hung["result"]) == ("timeout", None)
        assert seconds < END_SECONDS
        assert_recorded(calls.site, hung)
    finally:
        engine.signal(signal.SIGCONT)
    assert_recovers(calls)
