"""What the tests share that kill or stop the engine under a running call."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from runner.audit_source import open_source
from runner.audit_verify import verify
from runner.receipts import verify_reply_receipt
from tests.runner.kit import Calls, Site
from tests.support.wheels import make_manifest
from trust.outcomes import Passed

WALL_SECONDS = 3.0
END_SECONDS = WALL_SECONDS + 4.0
"""Until when a call has ended: its wall clock, the wait for the engine's word, and some air."""
RECOVERY_SECONDS = 20.0
SOURCE = """
import time

def greet(arguments):
    return {"greeting": "Hello, " + arguments["name"] + "!"}

def echo(arguments):
    time.sleep(arguments["seconds"])
    return {"value": arguments}
"""


def release(site: Site) -> None:
    """Publish the plugin whose method `echo` runs for as long as it is told."""
    site.release(source=SOURCE, manifest=make_manifest(limits={"wall_seconds": WALL_SECONDS}))


def until(met: Callable[[], bool], seconds: float = RECOVERY_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def timed(call: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    began = time.monotonic()
    return call(), time.monotonic() - began


def in_mid_call(
    calls: Calls, strike: Callable[[], None], begun: Callable[[], bool] | None = None
) -> tuple[dict[str, Any], float]:
    """Strike while a call runs, half a second after `begun`; return its reply and its seconds."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(timed, lambda: calls.call("echo", {"seconds": 60}))
        if begun is None:
            time.sleep(0.5)
        else:
            until(begun)
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


def assert_ended(
    site: Site, ended: tuple[dict[str, Any], float], status: str, seconds: float = END_SECONDS
) -> None:
    """The call ended in time with this status and no result, and that is on record."""
    reply, took = ended
    assert (reply["status"], reply["result"]) == (status, None)
    assert took < seconds
    assert_recorded(site, reply)
