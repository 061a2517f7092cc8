"""Bounds on callers, and the metrics that show them."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from runner.app import CALLS_AT_ONCE
from runner.policy import Caller
from runner.quota import OverQuota, Quotas
from runner.setup import make_caller_token
from tests.runner.kit import Site, codes
from tests.runner.underway import Gate

BODY = {
    "plugin": "example-plugin",
    "version": "1.0.0",
    "method": "greet",
    "arguments": {"name": "Ada"},
}


def caller(**bounds: int) -> Caller:
    return Caller("demo", "ab" * 32, (), **bounds)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_caller_has_so_many_calls_in_a_minute(site: Site) -> None:
    site.policy["callers"][0]["calls_per_minute"] = 2
    with site.runner() as calls:
        assert [calls.call()["status"] for _ in range(2)] == ["ok", "ok"]
        ran = len(site.sandbox.jobs)
        response = calls.post(BODY)
        assert response.status_code == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 60
        reply = response.get_json()
        assert codes(reply) == ["quota.rate"]
        assert reply["status"] == "unavailable"
        assert len(site.sandbox.jobs) == ran
        for _ in range(5):
            calls.post(BODY)
    summaries = [r for r in site.records() if r["type"] == "turned_away"]
    assert summaries[0]["caller"] == "demo"
    assert summaries[0]["attempts"] == 1
    assert len(summaries) <= 2, "a flood must not fill the log"


def test_a_caller_has_so_many_calls_at_one_time(site: Site, gate: Gate) -> None:
    site.policy["callers"][0]["calls_at_once"] = 1
    with site.runner() as calls:
        first: list[str] = []
        thread = threading.Thread(target=lambda: first.append(calls.call()["status"]))
        thread.start()
        assert gate.inside.wait(20)
        response = calls.post(BODY)
        gate.opened.set()
        thread.join()
        assert response.status_code == 429
        assert codes(response.get_json()) == ["quota.at-once"]
        assert first == ["ok"]
        assert calls.call()["status"] == "ok"


def test_a_minutes_calls_come_back_evenly() -> None:
    now = [1000.0]
    quotas = Quotas(10, lambda: now[0])
    limited = caller(calls_per_minute=60)

    def calls() -> int:
        for done in itertools.count():
            try:
                with quotas.slot(limited):
                    continue
            except OverQuota:
                return done
        raise AssertionError("no bound")

    assert calls() == 60
    now[0] += 5
    assert calls() == 5
    now[0] += 3600
    assert calls() == 60


def test_the_runner_takes_on_so_many_calls_in_all() -> None:
    quotas = Quotas(1)
    with quotas.slot(caller()):
        assert quotas.running == 1
        with pytest.raises(OverQuota) as refused, quotas.slot(Caller("other", "cd" * 32, ())):
            raise AssertionError("a second call was taken on")
    assert (refused.value.code, refused.value.problem.code) == (503, "quota.full")
    assert quotas.running == 0


def fill(quotas: Quotas, who: Caller, held: ExitStack) -> tuple[int, OverQuota]:
    """Take places until one is refused; return how many there were, and the refusal."""
    for taken in itertools.count():
        try:
            held.enter_context(quotas.slot(who))
        except OverQuota as refused:
            return taken, refused
    raise AssertionError("no bound")


def test_one_caller_cannot_take_every_place() -> None:
    quotas = Quotas(CALLS_AT_ONCE)
    with ExitStack() as held:
        taken, refused = fill(quotas, caller(), held)
        assert (taken, refused.code, refused.problem.code) == (18, 429, "quota.at-once")
        assert (refused.problem.value, refused.problem.expected) == (
            "18 calls",
            "at most 18 at one time",
        )
        others, full = fill(quotas, Caller("other", "cd" * 32, ()), held)
        assert (others, full.code, full.problem.code) == (6, 503, "quota.full")
    assert quotas.running == 0


@pytest.mark.parametrize(("said", "taken", "code"), [
    (2, 2, "quota.at-once"), (20, 20, "quota.at-once"), (100, 24, "quota.full"),
])  # fmt: skip
def test_the_policy_s_word_counts_as_it_is(said: int, taken: int, code: str) -> None:
    with ExitStack() as held:
        found, refused = fill(Quotas(CALLS_AT_ONCE), caller(calls_at_once=said), held)
    assert (found, refused.problem.code) == (taken, code)


def test_a_caller_of_a_real_runner_leaves_places_to_others(site: Site, gate: Gate) -> None:
    second = make_caller_token()
    site.policy["callers"].append(
        {**site.policy["callers"][0], "name": "second", "token_sha256": second.sha256}
    )
    with site.runner() as calls, ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
        of_one = [threads.submit(calls.post, BODY) for _ in range(18)]
        until(lambda: calls.service.quotas.running == 18)
        assert codes(calls.post(BODY).get_json()) == ["quota.at-once"]
        of_other = threads.submit(calls.post, BODY, token=second.token)
        until(lambda: calls.service.quotas.running == 19)
        gate.opened.set()
        assert {each.result().status_code for each in [*of_one, of_other]} == {200}


def test_a_place_is_given_back_whatever_happens() -> None:
    quotas = Quotas(1)
    with pytest.raises(RuntimeError), quotas.slot(caller()):
        raise RuntimeError
    limited = caller(calls_per_minute=1)
    with quotas.slot(limited):
        pass
    with pytest.raises(OverQuota), quotas.slot(limited):
        raise AssertionError("over the rate")
    assert quotas.running == 0


def samples(text: str) -> dict[str, float]:
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) ([0-9.e+-]+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_metrics_tell_calls_refusals_and_phases(site: Site) -> None:
    with site.runner() as calls:
        calls.call()
        calls.call(arguments={"name": 1})
        calls.call(token="wrong")
        response = calls.get("/metrics")
    assert response.content_type.startswith("text/plain; version=0.0.4")
    values = samples(response.get_data(as_text=True))
    assert values['sealgate_calls_total{status="ok"}'] == 1
    assert values['sealgate_calls_total{status="invalid_arguments"}'] == 1
    assert values['sealgate_refusals_total{code="arguments.schema"}'] == 1
    assert values['sealgate_refusals_total{code="caller.unknown"}'] == 1
    for phase in ("decide", "record", "execute", "outcome"):
        assert values[f'sealgate_call_seconds_count{{phase="{phase}"}}'] == 1
    # two for the call, one for the refusal; that of the wrong token may still be owed
    assert values["sealgate_audit_entries"] in (3, 4)
    assert values["sealgate_calls_running"] == 0
    assert values["sealgate_layout_expires_timestamp_seconds"] > 0


def test_metrics_name_neither_callers_nor_plugins(site: Site) -> None:
    with site.runner() as calls:
        calls.call()
        calls.call(plugin="somebody-elses")
        text = calls.get("/metrics").get_data(as_text=True)
    assert "demo" not in text
    assert "somebody-elses" not in text
    assert "example-plugin" not in text
