"""How long a caller waits, from its request to the container and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runner.client import RunnerClient
from runner.receipts import verify_reply_receipt
from runner.sandbox import Execution, Job, PoolSettings, Sandbox
from runner.sandbox.cell import CellSandbox, Levels
from runner.sandbox.cell.options import CellHardening
from runner.sandboxes import pool_of
from tests.runner.command import run
from tests.runner.kit import NAME, Calls, Site, TestRegistry, codes, executed
from tests.support.evidence import TrustFixture
from tests.support.servers import application
from tests.support.wheels import make_manifest
from trust.outcomes import Passed

SOON = 5.0
"""Seconds: far less than the plugin sleeps, far more than a deadline of these tests."""
SLEEPS = """
import time
def greet(arguments):
    print("begun", flush=True)
    time.sleep(arguments.get("seconds", 30))
    return {}
"""
GREET = {
    "callable": "example_plugin:greet",
    "summary": "Sleep.",
    "arguments": {"type": "object"},
    "result": {"type": "object"},
}
BODY = {"plugin": NAME, "version": "1.0.0", "method": "greet", "arguments": {"name": "Ada"}}


# A request that has it.


@pytest.mark.parametrize(
    "value",
    [0, -1, 0.0001, 3601, 1e300, 10**400, True, None, "1", [], b"NaN", b"Infinity", b"1e999"],
    ids=str,
)
def test_bad_values_are_refused(site: Site, calls: Calls, value: Any) -> None:
    if isinstance(value, bytes):
        written = (
            b'{"plugin": "example-plugin", "method": "greet", "arguments": {"name": "Ada"}, '
            b'"timeout_seconds": %b}'
        )
        answer = calls.post(written % value)
    else:
        answer = calls.post(BODY | {"timeout_seconds": value})
    reply = answer.get_json()
    assert (answer.status_code, reply["status"]) == (400, "invalid_arguments")
    assert all(each["what"] and each["expected"] for each in reply["error"]["problems"])
    if not isinstance(value, bytes):
        assert [p["where"] for p in reply["error"]["problems"]] == ["/timeout_seconds"]
    assert site.sandbox.jobs == []


def test_it_goes_with_the_job_and_only_where_it_is_asked_for(site: Site, calls: Calls) -> None:
    before = time.monotonic()
    assert calls.post(BODY | {"timeout_seconds": 7}).get_json()["status"] == "ok"
    assert calls.call()["status"] == "ok"
    named, unnamed = site.sandbox.jobs
    assert named.deadline is not None
    assert before + 7 <= named.deadline.at <= time.monotonic() + 7
    assert unnamed.deadline is None


def test_it_counts_from_the_request_on(site: Site, calls: Calls) -> None:
    """The plugin is looked up first: that takes of it as well."""
    path = f"/api/v1/plugins/{NAME}/1.0.0"
    site.registry.hostile[path] = lambda handler: _slowly(site.registry, handler)
    before = time.monotonic()
    assert calls.post(BODY | {"timeout_seconds": 60}).get_json()["status"] == "ok"
    (job,) = site.sandbox.jobs
    assert job.deadline is not None
    assert job.deadline.at - before < 60 + 0.3


def _slowly(registry: TestRegistry, handler: Any) -> None:
    time.sleep(0.3)
    body = registry.answer(handler.path) or b""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


# In real sandboxes, by HTTP.


@pytest.fixture(params=["container", "cell"])
def sleeper(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    trust_fixture: TrustFixture,
    registry: TestRegistry,
    image_id: str,
) -> Iterator[Calls]:
    """A runner whose plugin sleeps, with room for one call, on the driver `oci`."""
    site = Site(tmp_path, trust_fixture, registry, image_id)
    manifest = make_manifest(methods={"greet": GREET}, limits={"wall_seconds": 60})
    site.release(source=SLEEPS, manifest=manifest)
    with (
        _place(request.param, site, image_id, tmp_path / "roots") as place,
        site.runner(sandbox=place) as calls,
    ):
        warmed = calls.call(arguments={"seconds": 0})
        assert warmed["status"] == "ok", warmed
        end = time.monotonic() + 20
        while (pool := pool_of(place)()) is not None and not pool.ready:
            assert time.monotonic() < end
            time.sleep(0.01)
        yield calls


@contextmanager
def _place(level: str, site: Site, image: str, folder: Path) -> Iterator[Any]:
    if level == "cell":
        site.policy["plugins"][0]["cell_versions"] = "*"
    pool = PoolSettings(floor=1, ceiling=1)
    with Sandbox.connect(image, driver="oci", folder=folder, pool=pool) as containers:
        if level == "container":
            yield containers
            return
        hardening = CellHardening(cells=1)
        with CellSandbox.connect(image, driver="oci", folder=folder, hardening=hardening) as cells:
            yield Levels(containers, cells)


@pytest.mark.docker
def test_a_call_ends_with_its_callers_patience(sleeper: Calls) -> None:
    site = sleeper.site
    began = time.monotonic()
    with application(sleeper.service.app) as url, RunnerClient(url, site.token.token) as client:
        reply = client.invoke(NAME, "greet", {}, "1.0.0", timeout_seconds=1)
    assert time.monotonic() - began < SOON
    assert reply.status == "timeout", reply.raw
    text = "wall clock: more than the 1 s that the caller gave it"
    assert reply.raw["error"]["message"] == text
    assert codes(reply.raw) == ["call.deadline"]
    assert reply.problems[0].value == text
    assert reply.raw["stdout"] == "begun\n"
    assert 0 < reply.raw["usage"]["wall_seconds"] < SOON
    assert reply.raw["sandbox"]["limits"]["wall_seconds"] == 60, "it is the plugin's grant"
    decision, outcome = site.records()[-2:]
    assert (decision["decision"], outcome["status"]) == ("admitted", "timeout")
    assert [p["code"] for p in outcome["problems"]] == ["call.deadline"]
    assert isinstance(verify_reply_receipt(reply.raw, site.vkey), Passed)


@pytest.mark.docker
def test_no_call_waits_longer_than_its_caller(sleeper: Calls) -> None:
    site = sleeper.site
    with ThreadPoolExecutor(1) as other:
        running = other.submit(sleeper.call, arguments={"seconds": 2})
        end = time.monotonic() + 10
        while len(site.records()) < 3:  # the other one's decision: it has the place
            assert time.monotonic() < end
            time.sleep(0.01)
        headers = {"Idempotency-Key": "one"}
        body = BODY | {"arguments": {}, "timeout_seconds": 0.3}
        answer = sleeper.post(body, headers=headers)
        assert not running.done()
        again = sleeper.post(body | {"timeout_seconds": 0.2}, headers=headers)
        assert running.result()["status"] == "ok"
    reply = answer.get_json()
    assert (answer.status_code, reply["status"]) == (503, "unavailable")
    assert codes(reply) == ["call.deadline"]
    (problem,) = reply["error"]["problems"]
    assert "nothing was executed" in problem["what"]
    assert "0.3 s that the caller gave" in problem["value"]
    assert problem["expected"]
    assert problem["advice"]
    assert (reply["stdout"], reply["usage"]["wall_seconds"]) == ("", 0)
    assert 0 < reply["usage"]["waited_seconds"] < SOON
    mine = [r for r in site.records() if r["request_id"] == reply["request_id"]]
    assert [(r["type"], r["status"]) for r in mine][1:] == [("outcome", "unavailable")]
    assert mine[0]["decision"] == "admitted"
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)
    assert codes(again.get_json()) == ["call.deadline"], "not executed: the key is free again"


# The client and the command.


def test_the_client_waits_longer_than_the_call_may(site: Site, url: str) -> None:
    def slow(job: Job) -> Execution:
        time.sleep(0.6)
        return executed(job)

    site.sandbox.behave = slow
    with RunnerClient(url, site.token.token, seconds=0.3) as client:
        reply = client.invoke(NAME, "greet", {"name": "Ada"}, timeout_seconds=2)
    assert reply.status == "ok"


@pytest.mark.parametrize("more", [(), ("--follow",)])
def test_run_hands_it_over(site: Site, home: Path, more: tuple[str, ...]) -> None:
    result = run(home, NAME, "greet", "--arg", "name=Ada", "--timeout", "2.5", *more)
    assert result.exit_code == 0, result.output
    (job,) = site.sandbox.jobs
    assert job.deadline is not None
    assert job.deadline.seconds == 2.5


def test_run_refuses_a_timeout_that_no_runner_takes(home: Path) -> None:
    assert run(home, NAME, "greet", "--timeout", "0").exit_code == 2
