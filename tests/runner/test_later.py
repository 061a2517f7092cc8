"""Calls for later: taken on, asked for, bounded, and let end when the runner does."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from runner.calls import InvocationRequest
from runner.client import CallFailed, NoReply, RunnerClient
from runner.desk import Desk
from runner.quota import OverQuota, Quotas
from runner.receipts import verify_reply_receipt
from runner.setup import make_caller_token
from tests.runner.kit import NAME, Calls, Site, codes
from tests.runner.underway import BODY, KEY, LATER, Gate, assert_accepted, ended
from tests.support.servers import application
from trust.outcomes import Passed


@pytest.mark.parametrize("prefer", ["respond-async", "wait=5, Respond-Async;x=1"])
def test_a_call_for_later(site: Site, gate: Gate, prefer: str) -> None:
    with site.runner() as calls:
        answer = calls.post(BODY, headers={"Prefer": prefer})
        location = assert_accepted(answer)
        assert answer.headers["Preference-Applied"] == "respond-async"
        assert gate.inside.wait(20)
        assert_accepted(calls.get(location, site.token.token))
        gate.opened.set()
        reply = ended(calls, location, site.token.token).get_json()
        assert reply["status"] == "ok"
        assert reply["request_id"] == answer.get_json()["request_id"]
        assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)
        assert {r["request_id"] for r in site.records()} == {reply["request_id"]}


def test_another_preference_changes_nothing(calls: Calls) -> None:
    assert calls.post(BODY, headers={"Prefer": "wait=10"}).status_code == 200


def test_only_its_caller_may_ask(site: Site, gate: Gate) -> None:
    other = make_caller_token()
    site.policy["callers"].append({"name": "other", "token_sha256": other.sha256, "allow": []})
    with site.runner() as calls:
        location = assert_accepted(calls.post(BODY, headers=LATER))
        assert calls.get(location, other.token).status_code == 404
        gate.opened.set()
        ended(calls, location, site.token.token)
        for token, code in ((other.token, 404), ("wrong", 401), (None, 401)):
            answer = calls.get(location, token)
            assert answer.status_code == code
            assert answer.headers["Content-Type"] == "application/problem+json"
        missing = "/v1/invocations/00000000-0000-4000-8000-000000000000"
        assert calls.get(missing, site.token.token).get_json()["problems"][0]["code"] == (
            "call.not-kept"
        )


def test_a_refusal_comes_later_too_and_one_of_the_request_at_once(site: Site, calls: Calls) -> None:
    assert calls.post(b"{", headers=LATER).status_code == 400
    assert calls.post(BODY, token="wrong", headers=LATER).status_code == 401
    location = assert_accepted(calls.post({**BODY, "method": "missing"}, headers=LATER))
    answer = ended(calls, location, site.token.token)
    assert (answer.status_code, answer.get_json()["status"]) == (200, "refused")


def test_a_reply_to_one_who_waits_is_not_kept(site: Site, calls: Calls) -> None:
    request_id = calls.post(BODY).get_json()["request_id"]
    assert calls.get(f"/v1/invocations/{request_id}", site.token.token).status_code == 404


def test_it_counts_in_the_quotas_until_it_ends(site: Site, gate: Gate) -> None:
    site.policy["callers"][0]["calls_at_once"] = 1
    with site.runner() as calls:
        location = assert_accepted(calls.post(BODY, headers=LATER))
        assert gate.inside.wait(20)
        over = calls.post(BODY, headers=LATER)
        assert over.status_code == 429
        assert codes(over.get_json()) == ["quota.at-once"]
        gate.opened.set()
        ended(calls, location, site.token.token)
        assert calls.service.quotas.drain(20)


def test_so_many_are_under_way_at_one_time(site: Site, gate: Gate) -> None:
    with site.runner() as calls:
        caller: Any = calls.service.runner.authenticate(site.token.token)
        quotas = Quotas(8)
        desk = Desk(calls.service.runner, quotas, later_at_once=1)
        request = InvocationRequest(NAME, "greet", {"name": "Ada"}, "1.0.0")
        desk.take(request, caller.value, later=True)
        with pytest.raises(OverQuota) as full:
            desk.take(request, caller.value, later=True)
        assert (full.value.code, full.value.problem.code) == (503, "call.later-full")
        assert quotas.running == 1
        gate.opened.set()
        assert quotas.drain(20)


def test_a_thread_that_does_not_start_gives_everything_back(
    site: Site, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", fail)
        assert calls.post(BODY, headers=LATER | KEY).status_code == 503
    assert calls.service.quotas.running == 0
    answer = calls.post(BODY, headers=KEY)
    assert answer.status_code == 200
    assert "Idempotency-Replayed" not in answer.headers


def test_a_key_and_later_together_are_one_call(site: Site, gate: Gate) -> None:
    with site.runner() as calls:
        first = calls.post(BODY, headers=LATER | KEY)
        second = calls.post(BODY, headers=LATER | KEY)
        location = assert_accepted(first)
        assert assert_accepted(second) == location
        assert second.headers["Idempotency-Replayed"] == "true"
        gate.opened.set()
        reply = ended(calls, location, site.token.token)
        third = calls.post(BODY, headers=LATER | KEY)
        assert (third.status_code, third.data) == (200, reply.data)
    assert len(site.sandbox.jobs) == 1


def test_the_end_waits_for_calls_and_takes_no_more(site: Site, gate: Gate) -> None:
    with site.runner() as calls:
        assert_accepted(calls.post(BODY, headers=LATER))
        assert gate.inside.wait(20)
        assert not calls.service.quotas.drain(0.05)
        late = calls.post(BODY)
        assert (late.status_code, codes(late.get_json())) == (503, ["call.shutting-down"])
        assert "Retry-After" in late.headers
        gate.opened.set()
        while calls.service.quotas.running:
            time.sleep(0.01)
    assert [r["status"] for r in site.records() if r["type"] == "outcome"] == ["ok"]


def test_an_open_service_ends_after_its_calls(site: Site, gate: Gate) -> None:
    with site.runner() as calls:
        assert_accepted(calls.post(BODY, headers=LATER))
        assert gate.inside.wait(20)
        threading.Timer(0.3, gate.opened.set).start()
    assert [r["status"] for r in site.records() if r["type"] == "outcome"] == ["ok"]


def test_the_client_submits_and_asks(site: Site, gate: Gate) -> None:
    with (
        site.runner() as calls,
        application(calls.service.app) as url,
        RunnerClient(url, site.token.token) as client,
    ):
        request_id = client.submit(NAME, "greet", {"name": "Ada"}, idempotency_key="k")
        assert client.submit(NAME, "greet", {"name": "Ada"}, idempotency_key="k") == request_id
        assert client.result(request_id) is None
        gate.opened.set()
        reply = client.invoke(NAME, "greet", {"name": "Ada"}, idempotency_key="k")
        assert reply.result == {"greeting": "Hello, Ada!"}
        assert client.result(request_id) == reply
        assert client.submit(NAME, "greet", {"name": "Ada"}, idempotency_key="k") == request_id
        assert isinstance(reply.verify_receipt(site.vkey), Passed)
        for wrong in ("00000000-0000-4000-8000-000000000000", "../audit/checkpoint"):
            with pytest.raises(NoReply):
                client.result(wrong)
        with pytest.raises(CallFailed):
            client.submit(NAME, "echo", idempotency_key="k")
    assert len(site.sandbox.jobs) == 1
