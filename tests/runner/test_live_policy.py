"""The policy is followed while the runner runs: whole, at once, and never an invalid one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.runner.kit import NAME, Calls, Site, assert_refused, codes


def write(site: Site, **changes: Any) -> None:
    site.policy.update(changes)
    (site.keys / "runner_policy.json").write_text(json.dumps(site.policy))


def test_a_revocation_takes_force_without_a_restart(site: Site, calls: Calls) -> None:
    assert calls.call()["status"] == "ok"
    site.sandbox.jobs.clear()
    write(site, revoked=[{"plugin": NAME, "version": "1.0.0", "reason": "stolen key"}])
    standing = calls.service.live_policy.look()
    assert (standing.reloads, standing.problems) == (1, ())
    assert_refused(site, calls.call(), "policy.revoked")
    # the record says under which policy it was refused
    assert site.records()[-1]["policy_sha256"] == standing.digest


def test_an_admission_does_not_outlive_the_policy_that_it_was_made_under(
    site: Site, calls: Calls
) -> None:
    assert calls.call()["status"] == "ok"
    site.sandbox.jobs.clear()
    site.policy["plugins"][0]["publishers"] = [
        {"issuer": site.trust.author.issuer, "subject": "somebody@else.test"}
    ]
    write(site)
    calls.service.live_policy.look()
    assert_refused(site, calls.call(), "gate.refused")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "json.invalid"),
        ("{}", "policy.schema"),
        (None, "policy.unreadable"),
    ],
)
def test_an_invalid_file_is_refused_and_the_old_policy_stays(
    site: Site, calls: Calls, text: str | None, code: str
) -> None:
    path = site.keys / "runner_policy.json"
    before = calls.service.live_policy.standing.digest
    good = path.read_bytes()
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    standing = calls.service.live_policy.look()
    assert (standing.digest, standing.refused) == (before, 1)
    assert code in [p.code for p in standing.problems]
    assert calls.call()["status"] == "ok"
    assert b"sealgate_policy_file_in_force 0.0" in calls.get("/metrics").data
    # looked at again, the same file is not refused again; put back, all is well
    assert calls.service.live_policy.look().refused == 1
    path.write_bytes(good)
    assert calls.service.live_policy.look().problems == ()
    assert b"sealgate_policy_file_in_force 1.0" in calls.get("/metrics").data


@pytest.mark.parametrize(
    "change",
    [
        {"image": "sha256:" + "cd" * 32},
        {"registry": "http://127.0.0.1:1"},
        {"sandbox": {"runtime": "runsc"}},
        {"sandbox": {"runtime": "runc", "driver": "oci"}},
        {"sandbox": {"runtime": "runc", "pool": {"floor": 0, "ceiling": 1}}},
    ],
)
def test_what_only_a_start_can_change_is_refused_whole(
    site: Site, calls: Calls, change: dict[str, Any]
) -> None:
    before = calls.service.live_policy.standing.digest
    # a revocation in the same file does not take force either: all or nothing, and it is said
    write(site, **change, revoked=[{"plugin": NAME, "version": "1.0.0", "reason": "x"}])
    standing = calls.service.live_policy.look()
    assert standing.digest == before
    assert [p.code for p in standing.problems] == ["policy.needs-restart"]
    assert calls.call()["status"] == "ok"


def test_the_file_is_followed_without_being_told(site: Site, calls: Calls) -> None:
    import time

    write(site, revoked=[{"plugin": NAME, "version": "1.0.0", "reason": "x"}])
    end = time.monotonic() + 10
    while calls.service.live_policy.standing.reloads == 0 and time.monotonic() < end:
        time.sleep(0.05)
    assert "policy.revoked" in codes(calls.call())


def test_a_caller_that_was_removed_is_nobody_at_once(site: Site, calls: Calls) -> None:
    write(site, callers=[])
    calls.service.live_policy.look()
    assert codes(calls.call()) == ["caller.unknown"]
    assert site.sandbox.jobs == []
