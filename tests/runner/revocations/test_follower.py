"""Revocations reach the runner: by the registry's log, or past a registry that withholds them."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from registry.revocations.log import LogKeeper
from registry.revocations.models import RevocationRow
from runner.clock import SystemClock
from runner.revocations import follower
from tests.runner.kit import NAME, Calls, HandClock, assert_refused, codes
from tests.runner.revocations.town import PATH, Town
from tests.runner.underway import Held
from tests.support.evidence import AUTHOR, OUTSIDER, REVIEWERS, TrustFixture
from tests.support.wheels import make_wheel
from trust.log import Checkpoint, MerkleLog, NoteSigner
from trust.revocation import FreshHead, Target, lift_statement, verify_revocation
from trust.revocation.follow import Page

VERSION = Target.of_version(NAME, "1.0.0")


def refresh(calls: Calls, token: str | None = None) -> Any:
    held = calls.site.token.token if token is None else token
    with calls.service.app.test_client() as client:
        return client.post("/v1/revocations/refresh", headers={"Authorization": f"Bearer {held}"})


def hand(calls: Calls, bundle: bytes) -> Any:
    with calls.service.app.test_client() as client:
        return client.post("/v1/revocations", data=bundle, content_type="application/json")


def told(answer: Any) -> list[str]:
    return [p["code"] for p in answer.get_json()["problems"]]


# -- what is revoked does not run --------------------------------------------------------------


def test_a_revocation_reaches_the_runner_with_the_next_poll(t: Town) -> None:
    t.site.policy["revocation"]["poll_seconds"] = 0.1
    with t.site.runner() as calls:
        assert calls.call()["status"] == "ok"
        t.revoke(VERSION)
        end = time.monotonic() + 10
        while calls.call()["status"] == "ok":
            assert time.monotonic() < end
            time.sleep(0.02)
        reply = calls.call()
    assert (reply["status"], codes(reply)) == ("refused", ["revocation.version"])
    record = t.site.records()[-1]
    assert (record["decision"], record["problems"][0]["code"]) == ("refused", "revocation.version")


@pytest.mark.parametrize("kind", ["version", "wheel", "plugin", "publisher", "image"])
def test_each_kind_of_target(t: Town, kind: str) -> None:
    release = t.site.registry.releases[NAME, "1.0.0"]
    target = {
        "version": VERSION,
        "wheel": Target.of_version("other", "9", release.line()["sha256"]),
        "plugin": Target.of_plugin(NAME),
        "publisher": Target.of_publisher(t.site.trust.author),
        "image": Target.of_image(t.site.image),
    }[kind]
    t.revoke(target)
    with t.site.runner() as calls:
        reply = calls.call()
    code = "revocation.version" if kind == "wheel" else f"revocation.{kind}"
    assert_refused(t.site, reply, code)


def test_without_a_version_one_that_was_not_revoked_is_chosen(t: Town) -> None:
    t.site.release("1.1.0")
    t.revoke(Target.of_version(NAME, "1.1.0"))
    with t.site.runner() as calls:
        assert calls.call(version=None)["evidence"]["version"] == "1.0.0"


def test_a_call_under_way_is_stopped(t: Town) -> None:
    held = Held()
    t.site.sandbox.behave = held.behave
    replies: list[dict[str, Any]] = []
    with t.site.runner() as calls:
        thread = threading.Thread(target=lambda: replies.append(calls.call()))
        thread.start()
        assert held.inside.acquire(timeout=10)
        t.revoke(VERSION)
        assert refresh(calls).status_code == 200
        thread.join(10)
    (reply,) = replies
    assert reply["status"] == "refused"
    assert "revocation.version" in codes(reply)
    assert reply["result"] is None


def test_a_quarantine_ends_with_its_lift(t: Town) -> None:
    quarantine = t.revoke(VERSION, action="quarantine")
    with t.site.runner() as calls:
        assert codes(calls.call()) == ["revocation.version"]
        verifier = t.registry.services.trust.verifier()
        found = verify_revocation(verifier, quarantine, datetime.now(UTC))
        statement = lift_statement(found, reason="a mistake", effective=datetime.now(UTC))
        t.post(t.site.trust.sigstore.sign("admin@example.com", statement))
        assert refresh(calls).status_code == 200
        assert calls.call()["status"] == "ok"


def test_what_rested_on_a_revoked_reviewer_is_decided_anew(t: Town) -> None:
    with t.site.runner() as calls:
        assert calls.call()["status"] == "ok"
        t.revoke(Target.of_reviewer(t.site.trust.identity(REVIEWERS[0])))
        refresh(calls)
        reply = calls.call()
        assert reply["status"] == "refused"
        assert "gate.threshold" in codes(reply)
    # One approval more than needed, before the publication: it still runs.
    filename, wheel = make_wheel(NAME, "1.2.0")
    bundles = [
        *t.site.trust.before_publish(filename, wheel),
        t.site.trust.review(filename, wheel, REVIEWERS[2]),
    ]
    t.site.release("1.2.0", bundles=[*bundles, t.site.trust.publish(filename, wheel, bundles)])
    with t.site.runner() as calls:
        assert calls.call(version="1.2.0")["status"] == "ok"


# -- handed over directly ------------------------------------------------------------------------


def test_a_registry_that_withholds_a_revocation_withholds_it_in_vain(t: Town) -> None:
    bundle = t.sign(VERSION)
    with t.site.runner() as calls:
        assert calls.call()["status"] == "ok"
        answer = hand(calls, bundle)
        assert (answer.status_code, answer.get_json()["action"]) == (200, "revoke")
        assert codes(calls.call()) == ["revocation.version"]
        assert hand(calls, bundle).status_code == 200
    with t.site.runner() as calls:
        assert codes(calls.call()) == ["revocation.version"], "also after a restart"


def test_forged_revocations_stop_nothing(t: Town) -> None:
    with t.site.runner() as calls:
        answer = hand(calls, t.sign(VERSION, by=OUTSIDER))
        assert (answer.status_code, told(answer)) == (403, ["revocation.not-authorised"])
        plugin = t.sign(Target.of_plugin(NAME), by=AUTHOR)
        assert hand(calls, plugin).status_code == 403, "a publisher revokes versions only"
        bundle = json.loads(t.sign(VERSION))
        bundle["dsseEnvelope"]["payload"] = bundle["dsseEnvelope"]["payload"][:-4] + "AAAA"
        assert hand(calls, json.dumps(bundle).encode()).status_code == 422
        assert hand(calls, b"{").status_code == 422
        assert hand(calls, b" " * 70_000).status_code == 413
        assert calls.call()["status"] == "ok"
        # Nor where the registry has put them into its log.
        for bad in (t.sign(Target.of_plugin(NAME), by=OUTSIDER), b"no bundle at all"):
            row = RevocationRow(
                bundle_sha256=str(len(bad)), bundle=bad.decode(), action="revoke",
                target=VERSION.as_dict(), reason="", effective=datetime.now(UTC), issuer="",
                subject="", signed_at=datetime.now(UTC), added_at=datetime.now(UTC),
            )  # fmt: skip
            with t.registry.services.database.write() as session:
                session.add(row)
        t.keeper.once()
        assert refresh(calls).get_json()["entries"] == 2
        assert calls.call()["status"] == "ok"


def test_a_publisher_revokes_their_own_version(t: Town) -> None:
    with t.site.runner() as calls:
        assert hand(calls, t.sign(VERSION, by=AUTHOR)).status_code == 200
        assert codes(calls.call()) == ["revocation.version"]


def test_a_publisher_fills_no_disk(t: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "MAX_HANDED", 2)
    with t.site.runner() as calls:
        answers = [
            hand(calls, t.sign(Target.of_version(NAME, f"9.{number}"), by=AUTHOR)).status_code
            for number in range(3)
        ]
        assert answers == [200, 200, 422]
        assert hand(calls, t.sign(VERSION)).status_code == 200, "a revoker has no bound"
        assert codes(calls.call()) == ["revocation.version"]


def test_a_log_without_end_is_not_followed(t: Town) -> None:
    signer = t.keeper.signer
    now = datetime.now(UTC).replace(microsecond=0)
    head = FreshHead(Checkpoint(signer.origin, 20_001, b"r" * 32), now)
    page = Page(0, head.sign(signer), (), ())
    t.plugins.lie = lambda _: json.dumps(page.as_dict()).encode()
    with t.site.runner() as calls:
        assert told(refresh(calls)) == ["revocation-log.too-long"]


def test_the_policy_says_who_may_also_while_the_runner_runs(t: Town) -> None:
    t.revoke(VERSION)
    with t.site.runner() as calls:
        assert codes(calls.call()) == ["revocation.version"]
        t.site.policy["revocation"]["revokers"] = []
        assert t.site.settings
        calls.service.live_policy.look()
        assert calls.call()["status"] == "ok"
        t.site.policy["revocation"]["log_key"] = NoteSigner.generate("x.test/log").verifier_key
        assert t.site.settings
        assert calls.service.live_policy.look().problems[0].code == "policy.needs-restart"


def test_polling_now_takes_a_token(t: Town) -> None:
    with t.site.runner() as calls:
        assert refresh(calls, "wrong").status_code == 401
        assert refresh(calls).status_code == 200
        t.plugins.down = True
        assert refresh(calls).status_code == 503


# -- a log that does not behave ------------------------------------------------------------------


def test_a_log_that_went_silent_stops_admission_and_says_so_before(t: Town) -> None:
    clock = HandClock()
    t.registry.now = lambda: clock.wall
    t.keeper.once()
    with t.site.runner(clock=clock) as calls:
        assert calls.call()["status"] == "ok"
        clock.pass_time(40)
        t.plugins.down = True
        assert refresh(calls).status_code == 503
        assert calls.call()["status"] == "ok"
        note = calls.get("/readyz").get_json()["revocations"]
        assert 19 <= note["seconds_left"] <= 20
        assert note["trouble"][0]["code"] == "registry.unusable"
        assert b"sealgate_revocations_seconds_left 2" in calls.get("/metrics").data or (
            b"sealgate_revocations_seconds_left 19" in calls.get("/metrics").data
        )
        clock.pass_time(21)
        reply = calls.call()
        assert (reply["status"], codes(reply)[0]) == ("unavailable", "revocation.stale")
        assert t.site.records()[-1]["problems"][0]["code"] == "revocation.stale"
        ready = calls.get("/readyz")
        assert ready.status_code == 503
        assert ready.get_json()["checks"]["revocations"][0]["code"] == "revocation.stale"
        t.plugins.down = False
        t.keeper.once()
        assert refresh(calls).status_code == 200
        assert calls.call()["status"] == "ok"


def test_a_frozen_log_ages_although_it_answers(t: Town) -> None:
    """The registry answers every poll with the head of yesterday, signed as it should be."""
    clock = HandClock()
    t.registry.now = lambda: clock.wall
    t.keeper.once()
    with t.site.runner(clock=clock) as calls:
        for _ in range(7):
            assert refresh(calls).status_code == 200
            clock.pass_time(10)
        assert codes(calls.call())[0] == "revocation.stale"


def test_a_registry_whose_clock_goes_ahead_gains_nothing(t: Town) -> None:
    """Its head may be signed a little in the future, and ages from when it came all the same."""
    clock = HandClock()
    t.registry.now = lambda: clock.wall + timedelta(seconds=50)
    t.keeper.once()
    with t.site.runner(clock=clock) as calls:
        assert calls.call()["status"] == "ok"
        t.plugins.down = True
        clock.pass_time(61)
        assert codes(calls.call())[0] == "revocation.stale"


def test_a_runner_that_never_saw_the_log_admits_nothing(t: Town) -> None:
    t.plugins.hostile[f"{PATH}?since=0"] = lambda handler: handler.send_error(500)
    with t.site.runner() as calls:
        assert codes(calls.call())[0] == "revocation.stale"
        assert calls.get("/readyz").status_code == 503


def crafted(t: Town, entries: list[bytes], since: int) -> Any:
    """Return the answer of a registry whose log, signed with the same key, is `entries`."""
    log = MerkleLog(None, None)
    log.append_many(entries)
    signer = t.keeper.signer
    now = datetime.now(UTC).replace(microsecond=0)
    head = FreshHead(Checkpoint(signer.origin, log.size, log.root()), now)
    proof = log.consistency_proof(since) if since <= log.size else []
    page = Page(since, head.sign(signer), tuple(entries[since:]), tuple(proof))
    return lambda _answer: json.dumps(page.as_dict()).encode()


def test_a_fork_and_a_rollback_are_named_also_after_a_restart(t: Town) -> None:
    t.revoke(Target.of_plugin("one"))
    with t.site.runner() as calls:
        assert calls.get("/v1/revocations").get_json()["entries"] == 1
    for entries, code in (
        ([], "revocation-log.rollback"),
        ([b"another"], "revocation-log.fork"),
        ([b"another", b"and one more"], "revocation-log.fork"),
    ):
        t.plugins.lie = crafted(t, entries, 1)
        with t.site.runner() as calls:
            assert told(refresh(calls)) == [code]
            assert calls.call()["status"] == "ok", "within the age of what was known"
            trouble = calls.get("/readyz").get_json()["revocations"]["trouble"]
            assert [each["code"] for each in trouble] == [code]
    t.plugins.lie = lambda answer: answer
    with t.site.runner() as calls:
        assert refresh(calls).status_code == 200


def test_another_logs_key_is_not_believed(t: Town) -> None:
    signer = NoteSigner.generate(t.keeper.signer.origin)
    LogKeeper(t.registry.services, t.keeper.path, signer)
    t.site.policy["revocation"]["log_key"] = signer.verifier_key
    with t.site.runner() as calls:
        assert told(refresh(calls)) == ["revocation-log.signature"]
        assert codes(calls.call())[0] == "revocation.stale"


def test_a_clock_that_was_set_back_admits_nothing(t: Town) -> None:
    """While the runner runs, the steady clock counts; after a restart, the head that was kept."""
    clock = HandClock()
    t.registry.now = lambda: clock.wall
    t.keeper.once()
    with t.site.runner(clock=clock) as calls:
        clock.steady_seconds += 70
        clock.wall -= timedelta(hours=1)
        assert codes(calls.call())[0] == "revocation.stale"
    t.plugins.down = True
    back = HandClock()
    back.wall -= timedelta(hours=1)
    later = SystemClock(lambda: back.wall, lambda: back.steady_seconds)
    with t.site.runner(clock=later) as calls:
        reply = calls.call()
        assert (reply["status"], codes(reply)[0]) == ("unavailable", "revocation.stale")
        assert "clock" in reply["error"]["problems"][0]["what"]


def test_a_revocation_takes_force_at_its_time(t: Town) -> None:
    clock = HandClock()
    t.registry.now = lambda: clock.wall
    t.revoke(VERSION, at=clock.wall + timedelta(seconds=30))
    with t.site.runner(clock=clock) as calls:
        assert calls.call()["status"] == "ok"
        clock.pass_time(31)
        assert codes(calls.call()) == ["revocation.version"]


def test_a_long_log_comes_in_pages(t: Town) -> None:
    entries = [str(number).encode() for number in range(150)]
    log = MerkleLog(None, None)
    log.append_many(entries)
    now = datetime.now(UTC).replace(microsecond=0)
    note = FreshHead(Checkpoint(t.keeper.signer.origin, 150, log.root()), now).sign(t.keeper.signer)

    def page(since: int) -> bytes:
        proof = tuple(log.consistency_proof(since))
        shown = tuple(entries[since : since + 64])
        return json.dumps(Page(since, note, shown, proof).as_dict()).encode()

    for since in (0, 64, 128, 150):
        t.plugins.answers[f"{PATH}?since={since}"] = page(since)
    with t.site.runner() as calls:
        assert calls.get("/v1/revocations").get_json()["entries"] == 150
        assert refresh(calls).status_code == 200


def test_without_the_member_nothing_is_followed(t: Town) -> None:
    del t.site.policy["revocation"]
    t.plugins.down = False
    with t.site.runner() as calls:
        assert calls.call()["status"] == "ok"
        assert hand(calls, t.sign(VERSION)).status_code == 404
        assert refresh(calls).status_code == 404
    assert not any(path.startswith(PATH) for path in t.plugins.requests)


def test_another_trusted_root_verifies_everything_once_more(t: Town) -> None:
    t.revoke(VERSION)
    with t.site.runner() as calls:
        assert len(calls.get("/v1/revocations").get_json()["in_force"]) == 1
        other = TrustFixture()
        calls.service.runner.adopt_gate(other.gate)
        assert calls.get("/v1/revocations").get_json()["in_force"] == []
        calls.service.runner.adopt_gate(t.site.trust.gate)
        assert codes(calls.call()) == ["revocation.version"]
