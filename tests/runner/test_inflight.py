"""Stops of calls under way: registered before the decision, checked after it, told and recorded."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from runner.inflight import CallFacts, InFlight
from runner.sandbox import Execution, Job
from runner.sandbox.control import CallStopped, Control
from tests.runner.kit import NAME, Calls, Site, codes, executed
from tests.runner.underway import Held, assert_stopped, started
from trust.errors import problem
from trust.identity import Identity

WHY = problem("advisory.revoked", "the author's key was stolen", value="A-1")
SOMEBODY = Identity("https://issuer.test", "somebody@example.test")


def facts(request_id: str = "one", **parts: Any) -> CallFacts:
    known: dict[str, Any] = {
        "caller": "demo", "plugin": NAME, "version": "1.0.0", "wheel_sha256": "ab" * 32,
        "author": SOMEBODY, "reviewers": (), "image": "sha256:" + "cd" * 32,
        "since": datetime.now(UTC),
    }  # fmt: skip
    return CallFacts(request_id, **(known | parts))


def test_a_stop_ends_what_matches_and_nothing_else(site: Site, calls: Calls, held: Held) -> None:
    inflight = calls.service.runner.inflight
    thread, answers = started(calls, held)
    [known] = inflight.calls()
    assert (known.plugin, known.version, known.caller) == (NAME, "1.0.0", "demo")
    assert known.author == site.trust.author
    assert known.image == site.image
    assert inflight.stop(lambda each: each.plugin != NAME, (WHY,)) == 0
    assert held.killed == []
    assert inflight.stop(lambda each: each.wheel_sha256 == known.wheel_sha256, (WHY,)) == 1
    assert inflight.stop(lambda _: True, (WHY,)) == 0
    thread.join(20)
    reply = answers[0].get_json()
    assert_stopped(site, reply, "advisory.revoked")
    assert site.records()[-1]["problems"][0]["value"] == "A-1"
    assert reply["usage"]["wall_seconds"] == 0.5
    assert answers[0].status_code == 200, "it was executed: nobody should repeat it blindly"
    assert inflight.calls() == ()
    metrics = calls.get("/metrics").get_data(as_text=True)
    assert 'sealgate_calls_stopped_total{reason="revoked"} 1.0' in metrics


def test_a_result_that_comes_with_the_stop_is_not_used(site: Site, calls: Calls) -> None:
    def late(job: Job) -> Execution:
        calls.service.runner.inflight.stop(lambda _: True, (WHY,))
        return executed(job)

    site.sandbox.behave = late
    assert_stopped(site, calls.call(), "advisory.revoked")


def test_a_stop_between_the_record_and_the_start(
    site: Site, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = calls.service.audit
    begin = audit.begin

    def stop_then(record: Any, **options: Any) -> Any:
        recording = begin(record, **options)
        recording.wait()
        if record["decision"] == "admitted":
            assert calls.service.runner.inflight.stop(lambda _: True, (WHY,)) == 1
        return recording

    monkeypatch.setattr(audit, "begin", stop_then)
    assert_stopped(site, calls.call(), "advisory.revoked", partly=False)
    assert site.sandbox.jobs == []


def test_a_revocation_between_the_decision_and_the_record(site: Site, calls: Calls) -> None:
    """In force after the call was decided, stopped before it was entered: only the check sees it"""
    inflight = calls.service.runner.inflight
    seen: list[CallFacts] = []

    def check(known: CallFacts) -> list[Any]:
        seen.append(known)
        return [WHY]

    inflight.check_with(check)
    reply = calls.call()
    assert (reply["status"], codes(reply)) == ("refused", ["advisory.revoked"])
    assert (len(seen), site.sandbox.jobs) == (1, [])
    assert [r["decision"] for r in site.records()] == ["refused"]


@pytest.mark.parametrize("kind", ["sha256", "version", "publisher"])
def test_a_policy_that_revokes_stops_calls_under_way(site: Site, held: Held, kind: str) -> None:
    with site.runner() as calls:
        thread, answers = started(calls, held)
        [known] = calls.service.runner.inflight.calls()
        kinds: dict[str, dict[str, Any]] = {
            "sha256": {"sha256": known.wheel_sha256},
            "version": {"plugin": NAME, "version": "1.0"},
            "publisher": {"publisher": known.author.as_dict()},
        }
        site.policy["revoked"] = [{**kinds[kind], "reason": "stolen"}]
        path = site.keys / "runner_policy.json"
        path.write_text(json.dumps(site.policy))
        calls.service.live_policy.look()
        thread.join(20)
        assert_stopped(site, answers[0].get_json(), "policy.revoked")


def test_a_policy_that_revokes_another_version_stops_nothing(site: Site, held: Held) -> None:
    with site.runner() as calls:
        thread, answers = started(calls, held)
        site.policy["revoked"] = [{"plugin": NAME, "version": "2.0.0", "reason": "stolen"}]
        (site.keys / "runner_policy.json").write_text(json.dumps(site.policy))
        assert not calls.service.live_policy.look().problems
        assert thread.is_alive()
        calls.service.runner.inflight.stop(lambda _: True, (WHY,))
        thread.join(20)
        assert_stopped(site, answers[0].get_json(), "advisory.revoked")


def test_a_check_that_fails_stops() -> None:
    inflight = InFlight()

    def broken(_: CallFacts) -> bool:
        raise RuntimeError

    with inflight.begin("one", "demo") as ticket:
        ticket.enter(facts())
        assert inflight.stop(broken, (WHY,)) == 1
        assert ticket.control.stopped
        assert ticket.stopped is not None
        assert ticket.stopped.problems[0].code == "call.unchecked"
    with pytest.raises(ValueError, match="reason"):
        inflight.stop(lambda _: True, ())


def test_no_stop_after_the_end() -> None:
    inflight = InFlight()
    with inflight.begin("one", "demo") as ticket:
        ticket.enter(facts())
        assert ticket.end() is None
        assert inflight.stop(lambda _: True, (WHY,)) == 0
        assert not inflight.cancel("one", "demo")
        assert not ticket.control.stopped


def test_only_its_caller_cancels_a_call_and_may_do_it_twice() -> None:
    counted: list[str] = []
    inflight = InFlight(counted.append)
    with inflight.begin("one", "demo") as ticket:
        assert not inflight.cancel("one", "other")
        assert not inflight.cancel("two", "demo")
        assert inflight.cancel("one", "demo")
        assert inflight.cancel("one", "demo")
        assert ticket.stopped is not None
        assert ticket.stopped.problems[0].code == "call.cancelled"
    assert counted == ["cancelled"]


def test_stops_and_ends_from_many_threads_agree() -> None:
    inflight = InFlight()
    stopped, ended = [0], []
    done = threading.Event()

    def stopper() -> None:
        while not done.is_set():
            stopped[0] += inflight.stop(lambda _: True, (WHY,))

    def caller(number: int) -> None:
        for turn in range(200):
            name = f"{number}-{turn}"
            with inflight.begin(name, "demo") as ticket:
                ticket.enter(facts(name))
                ended.append(ticket.end() is not None)

    threads = [threading.Thread(target=caller, args=(n,)) for n in range(4)]
    watcher = threading.Thread(target=stopper)
    watcher.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    watcher.join()
    assert stopped[0] == sum(ended)
    assert len(ended) == 800


def test_a_control_that_was_stopped_lets_nothing_begin() -> None:
    control, killed = Control(), []
    with control.attached(lambda: killed.append(1)):
        assert not control.stopped
        control.stop()
        control.stop()
    assert killed == [1]
    with pytest.raises(CallStopped), control.attached(lambda: killed.append(2)):
        raise AssertionError
    assert killed == [1]
