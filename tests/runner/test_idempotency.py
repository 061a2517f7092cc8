"""Idempotency keys: asked twice, run once."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from runner.calls import InvocationRequest
from runner.desk import Desk, Key
from runner.idempotency import Keys, OtherRequest
from runner.quota import OverQuota, Quotas
from runner.replies import KeptReply, Replies
from runner.sandbox import Execution, Job, Usage
from runner.setup import make_caller_token
from tests.runner.kit import NAME, Calls, HandClock, Site, codes, executed
from tests.runner.underway import Gate

BODY = {"plugin": NAME, "version": "1.0.0", "method": "greet", "arguments": {"name": "Ada"}}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def test_the_second_sending_gets_the_stored_reply(site: Site, calls: Calls) -> None:
    first, second = (calls.post(BODY, headers=KEY) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.data == first.data
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(site.sandbox.jobs) == 1
    assert calls.post(BODY).get_json()["request_id"] != first.get_json()["request_id"]


def test_many_at_one_time_are_one_execution(site: Site, calls: Calls, gate: Gate) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(calls.post(BODY, headers=KEY)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert gate.inside.wait(20)
    while len(answers) < 3:  # four may wait; the others are told to come again
        threading.Event().wait(0.01)
    gate.opened.set()
    for thread in threads:
        thread.join()
    assert len(site.sandbox.jobs) == 1
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 5
    assert len({answer.data for answer in good}) == 1
    for answer in answers:
        if answer.status_code != 200:
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert codes(answer.get_json()) == ["idempotency.under-way"]


def test_another_body_is_another_request(site: Site, calls: Calls) -> None:
    calls.post(BODY, headers=KEY)
    other = calls.post({**BODY, "arguments": {"name": "Bob"}}, headers=KEY)
    assert other.status_code == 422
    assert other.get_json()["status"] == "invalid_arguments"
    assert codes(other.get_json()) == ["idempotency.other-request"]
    assert len(site.sandbox.jobs) == 1


def test_a_key_belongs_to_one_caller(site: Site) -> None:
    other = make_caller_token()
    entry = {**site.policy["callers"][0], "name": "other", "token_sha256": other.sha256}
    site.policy["callers"].append(entry)
    with site.runner() as calls:
        first = calls.post(BODY, headers=KEY)
        second = calls.post({**BODY, "arguments": {"name": "B"}}, token=other.token, headers=KEY)
    assert (first.status_code, second.status_code) == (200, 200)
    assert "Idempotency-Replayed" not in second.headers
    assert len(site.sandbox.jobs) == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "ä"])
def test_a_key_that_is_none(site: Site, calls: Calls, key: str) -> None:
    response = calls.post(BODY, headers={"Idempotency-Key": key})
    assert response.status_code == 400
    assert codes(response.get_json()) == ["idempotency.key"]
    assert site.sandbox.jobs == []


def test_what_was_not_executed_is_not_kept(site: Site, calls: Calls) -> None:
    site.registry.down = True
    assert calls.post(BODY, headers=KEY).status_code == 503
    site.registry.down = False
    full = Usage(0.0, waited_seconds=1.0)
    site.sandbox.behave = lambda job: executed(job, status="unavailable", result=None, usage=full)
    assert calls.post(BODY, headers=KEY).status_code == 503
    site.sandbox.behave = executed
    good = calls.post(BODY, headers=KEY)
    assert good.status_code == 200
    assert "Idempotency-Replayed" not in good.headers


def test_a_call_over_its_quota_leaves_its_key_free(site: Site) -> None:
    site.policy["callers"][0]["calls_per_minute"] = 1
    with site.runner() as calls:
        calls.post(BODY)
        for _ in range(2):
            assert codes(calls.post(BODY, headers=KEY).get_json()) == ["quota.rate"]


@pytest.mark.parametrize("status", ["timeout", "resource_limit", "plugin_error", "unavailable"])
def test_what_was_executed_is_kept_however_it_ended(site: Site, calls: Calls, status: str) -> None:
    site.sandbox.behave = lambda job: executed(job, status=status, result=None)
    first, second = (calls.post(BODY, headers=KEY) for _ in range(2))
    assert first.get_json()["status"] == status
    assert (second.data, second.status_code) == (first.data, first.status_code)
    assert len(site.sandbox.jobs) == 1


def test_an_unknown_outcome_is_kept(site: Site, calls: Calls) -> None:
    def crash(_: Job) -> Execution:
        raise RuntimeError("the engine went away in the middle")

    site.sandbox.behave = crash
    first, second = (calls.post(BODY, headers=KEY) for _ in range(2))
    assert first.get_json()["status"] == "unavailable"
    assert second.data == first.data
    assert len(site.sandbox.jobs) == 1


def test_keys_stand_in_no_log_and_no_record(
    site: Site, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    calls.post(BODY, headers=KEY)
    calls.post({**BODY, "method": "echo"}, headers=KEY)
    bad = "secret key"
    calls.post(BODY, headers={"Idempotency-Key": bad})
    seen = caplog.text + json.dumps(site.records())
    assert KEY["Idempotency-Key"] not in seen
    assert bad not in seen


# Its parts, with a clock and bounds of the test's.


def test_keys_are_forgotten_after_their_time_and_not_before() -> None:
    clock = HandClock()
    keys = Keys(clock.steady, seconds=600, most=2, most_of_caller=1)
    first = keys.claim("demo", "k", "aa", "1")
    keys.end(first, executed=True)
    clock.pass_time(599)
    assert keys.claim("demo", "k", "aa", "2") is first
    with pytest.raises(OtherRequest):
        keys.claim("demo", "k", "bb", "2")
    with pytest.raises(OverQuota) as own:
        keys.claim("demo", "other", "aa", "3")
    keys.claim("second", "k", "aa", "4")
    with pytest.raises(OverQuota) as all_of_them:
        keys.claim("third", "k", "aa", "5")
    assert (own.value.code, all_of_them.value.code) == (429, 503)
    assert own.value.problem.code == "idempotency.full"
    clock.pass_time(2)
    assert keys.claim("demo", "k", "bb", "6").request_id == "6"


def test_a_call_under_way_keeps_its_key_beyond_its_time() -> None:
    clock = HandClock()
    keys = Keys(clock.steady, seconds=600)
    first = keys.claim("demo", "k", "aa", "1")
    clock.pass_time(1000)
    assert keys.claim("demo", "k", "aa", "2") is first


def test_replies_are_bounded_by_age_count_and_bytes() -> None:
    clock = HandClock()
    replies = Replies(clock.steady, seconds=600, most=3, most_bytes=100)

    def end(request_id: str, caller: str, size: int) -> None:
        replies.begin(request_id, caller)
        replies.end(request_id, KeptReply("ok", True, b"x" * size))

    def held() -> str:
        return "".join(i for i in "abcdefg" for who in ("A", "B") if replies.reply(i, who))

    for request_id in "abc":
        end(request_id, "A", 10)
    end("d", "B", 10)
    assert held() == "bcd", "the oldest of who has most makes room"
    end("e", "B", 85)
    assert held() == "bc", "so does it by bytes"
    assert replies.reply("b", "B") is None, "another caller's"
    end("f", "A", 101)
    assert held() == "" or "f" not in held()
    clock.pass_time(600)
    assert held() == ""


def test_an_executed_call_whose_reply_is_gone_is_not_run_again(site: Site) -> None:
    with site.runner() as calls:
        runner = calls.service.runner
        outcome: Any = runner.authenticate(site.token.token)
        desk = Desk(runner, Quotas(4), replies=Replies(most_bytes=10))
        request, key = InvocationRequest(NAME, "greet", {"name": "Ada"}, "1.0.0"), Key("k", "aa")
        first = desk.take(request, outcome.value, key)
        second = desk.take(request, outcome.value, key)
    assert first.reply is not None
    assert first.reply.status == "ok"
    assert second.reply is not None
    assert codes(json.loads(second.reply.body)) == ["idempotency.reply-gone"]
    assert second.request_id == first.request_id
    assert len(site.sandbox.jobs) == 1


def test_nobody_waits_for_ever(site: Site, gate: Gate) -> None:
    with site.runner() as calls:
        runner = calls.service.runner
        caller: Any = runner.authenticate(site.token.token)
        desk = Desk(runner, Quotas(4), wait_seconds=0.05)
        request, key = InvocationRequest(NAME, "greet", {"name": "Ada"}, "1.0.0"), Key("k", "aa")
        thread = threading.Thread(target=desk.take, args=(request, caller.value, key))
        thread.start()
        assert gate.inside.wait(20)
        with pytest.raises(OverQuota) as late:
            desk.take(request, caller.value, key)
        gate.opened.set()
        thread.join()
    assert late.value.problem.code == "idempotency.under-way"
