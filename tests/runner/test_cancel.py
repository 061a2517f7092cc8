"""A caller cancels a call: the one that it made, once or twice, before, while and after it runs."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runner.client import NoReply, RunnerClient
from runner.openapi import document
from runner.sandbox import Execution, Job
from runner.setup import make_caller_token
from tests.runner.command import run
from tests.runner.kit import NAME, Calls, Site, codes, executed
from tests.runner.underway import (
    BODY,
    KEY,
    LATER,
    Held,
    assert_accepted,
    assert_stopped,
    ended,
    started,
)
from tests.support.servers import application


def delete(calls: Calls, path: str, token: str | None, **headers: str) -> Any:
    given = {"Authorization": f"Bearer {token}"} if token else {}
    with calls.service.app.test_client() as client:
        return client.delete(path, headers=given | headers)


def test_its_caller_cancels_a_call_for_later(site: Site, held: Held) -> None:
    token = site.token.token
    with site.runner() as calls:
        location = assert_accepted(calls.post(BODY, headers=LATER))
        assert held.inside.acquire(timeout=20)
        assert_accepted(delete(calls, location, token))
        reply = ended(calls, location, token).get_json()
        assert_stopped(site, reply, "call.cancelled")
        again = delete(calls, location, token)
        assert (again.status_code, again.get_json()) == (200, reply)
        assert again.data == calls.get(location, token).data
        schema = {"$ref": "#/components/schemas/Reply", "components": document()["components"]}
        Draft202012Validator(schema).validate(reply)
        metrics = calls.get("/metrics").get_data(as_text=True)
    assert 'sealgate_calls_stopped_total{reason="cancelled"} 1.0' in metrics
    assert [r["type"] for r in site.records()] == ["decision", "outcome"]


def test_nobody_else_cancels_or_learns_of_it(site: Site, held: Held) -> None:
    other = make_caller_token()
    site.policy["callers"].append({"name": "other", "token_sha256": other.sha256, "allow": []})
    with site.runner() as calls:
        location = assert_accepted(calls.post(BODY, headers=LATER | KEY))
        assert held.inside.acquire(timeout=20)
        missing = "/v1/invocations/00000000-0000-4000-8000-000000000000"
        theirs = delete(calls, location, other.token)
        unknown = delete(calls, missing, other.token)
        for answer in (theirs, unknown):
            assert answer.status_code == 404
            assert answer.get_json()["problems"][0]["code"] == "call.not-kept"
        assert delete(calls, "/v1/invocations", other.token, **KEY).status_code == 404
        assert delete(calls, location, "wrong").status_code == 401
        assert delete(calls, location, None).status_code == 401
        assert delete(calls, "/v1/invocations", None, **KEY).status_code == 401
        assert held.killed == []
        delete(calls, location, site.token.token)
        ended(calls, location, site.token.token)


def test_a_call_that_somebody_waits_for_is_cancelled_by_its_key(site: Site, held: Held) -> None:
    with site.runner() as calls:
        thread, answers = started(calls, held, headers=KEY)
        accepted = delete(calls, "/v1/invocations", site.token.token, **KEY)
        location = assert_accepted(accepted)
        thread.join(20)
        assert_stopped(site, answers[0].get_json(), "call.cancelled")
        assert calls.get(location, site.token.token).get_json() == answers[0].get_json()
        repeated = calls.post(BODY, headers=KEY)
        assert repeated.headers["Idempotency-Replayed"] == "true", "it is not executed again"
        for wrong in ({}, {"Idempotency-Key": "ü"}):
            assert delete(calls, "/v1/invocations", site.token.token, **wrong).status_code == 400
        unused = delete(calls, "/v1/invocations", site.token.token, **{"Idempotency-Key": "two"})
        assert unused.status_code == 404


def test_a_call_without_a_key_is_cancelled_by_its_id(site: Site, held: Held) -> None:
    with site.runner() as calls:
        thread, answers = started(calls, held)
        [known] = calls.service.runner.inflight.calls()
        location = f"/v1/invocations/{known.request_id}"
        assert_accepted(delete(calls, location, site.token.token))
        thread.join(20)
        assert_stopped(site, answers[0].get_json(), "call.cancelled")


def test_a_call_that_was_taken_on_and_has_not_begun(
    site: Site, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = threading.Event()
    with site.runner() as calls:
        runner = calls.service.runner
        invoke = runner.invoke

        def slowly(*arguments: Any) -> Any:
            assert begin.wait(20)
            return invoke(*arguments)

        monkeypatch.setattr(runner, "invoke", slowly)
        location = assert_accepted(calls.post(BODY, headers=LATER))
        assert_accepted(delete(calls, location, site.token.token))
        begin.set()
        reply = ended(calls, location, site.token.token).get_json()
        assert (reply["status"], codes(reply)) == ("refused", ["call.cancelled"])
        assert site.sandbox.jobs == []
        assert [r["decision"] for r in site.records()] == ["refused"]


def test_a_call_that_has_ended_stays_as_it_ended(site: Site) -> None:
    with site.runner() as calls:
        location = assert_accepted(calls.post(BODY, headers=LATER))
        reply = ended(calls, location, site.token.token)
        answer = delete(calls, location, site.token.token)
        assert (answer.status_code, answer.data) == (200, reply.data)
        assert answer.get_json()["status"] == "ok"


def test_the_client_cancels(site: Site, held: Held) -> None:
    with (
        site.runner() as calls,
        application(calls.service.app) as url,
        RunnerClient(url, site.token.token) as client,
    ):
        request_id = client.submit(NAME, "greet", {"name": "Ada"}, idempotency_key="k")
        assert held.inside.acquire(timeout=20)
        assert client.cancel_key("k") == request_id
        reply = client.wait(request_id, 20)
        assert client.cancel(request_id) == reply
        assert client.cancel_key("k") == request_id
        assert (reply.status, reply.problems[0].code) == ("refused", "call.cancelled")
        for wrong in ("00000000-0000-4000-8000-000000000000", "../x"):
            with pytest.raises(NoReply):
                client.cancel(wrong)


@pytest.mark.parametrize("words", [(), ("--follow",)])
def test_control_c_cancels_the_call_of_the_command(
    home: Path, site: Site, words: tuple[str, ...]
) -> None:
    held = Held()

    def interrupted(job: Job) -> Execution:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        return held.behave(job)

    site.sandbox.behave = interrupted
    result = run(home, NAME, "greet", "--arg", "name=Ada", *words)
    assert result.exit_code == 10, result.output
    assert "cancelling the call" in result.stderr
    assert "the caller cancelled the call" in result.stderr
    assert len(held.killed) == 1
    assert site.records()[-1]["problems"][0]["code"] == "call.cancelled"


def test_the_command_follows_what_the_plugin_writes(home: Path, site: Site) -> None:
    def write(job: Job) -> Execution:
        assert job.control.live is not None
        job.control.live(0, 0, b"one\x1b[31m\n")
        job.control.live(1, 9, b"two\n")
        return executed(job, stdout="one")

    site.sandbox.behave = write
    result = run(home, NAME, "greet", "--arg", "name=Ada", "--follow")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"greeting": "Hello, Ada!"})
    assert result.stderr.splitlines() == [
        "[plugin stdout] one\\x1b[31m",
        "[plugin stderr] (9 bytes before this are missing) two",
    ]


def test_the_command_says_why_a_call_was_not_taken_on(home: Path, site: Site) -> None:
    result = run(home, NAME, "missing", "--arg", "name=Ada", "--follow")
    assert (result.exit_code, "method.undeclared" in result.stderr) == (10, True)
