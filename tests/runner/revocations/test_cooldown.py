"""The cool-down: a version may not run until it has been published long enough, or was waived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.clock import SystemClock
from runner.policy_file import PolicyInvalid
from tests.runner.kit import NAME, HandClock, Site, TestRegistry, assert_refused, codes
from tests.support.evidence import TrustFixture
from tests.support.local_sigstore import LocalSigstore

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@pytest.fixture(scope="module")
def trust_then() -> TrustFixture:
    """Everything is signed 30 hours ago."""
    then = datetime.now(UTC) - timedelta(hours=30)
    return TrustFixture(LocalSigstore(clock=lambda: then))


@pytest.fixture
def site(tmp_path: Path, trust_then: TrustFixture, registry: TestRegistry) -> Site:
    made = Site(tmp_path, trust_then, registry)
    made.release()
    return made


def waiver(until: datetime, version: str = "1.0") -> dict[str, Any]:
    return {
        "plugin": NAME,
        "version": version,
        "reason": "mends CVE-2026-0001",
        "until": until.strftime(FORMAT),
    }


def test_a_young_version_waits_and_an_old_one_runs(site: Site) -> None:
    site.policy["cool_down_hours"] = 48
    with site.runner() as calls:
        reply = calls.call()
    assert_refused(site, reply, "policy.cool-down")
    assert "published for 48 hours" in reply["error"]["problems"][0]["expected"]
    site.policy["cool_down_hours"] = 29.5
    with site.runner() as calls:
        assert calls.call()["status"] == "ok"
    assert "cool_down_waiver" not in site.records()[-1]


def test_the_time_passes_while_the_runner_runs(site: Site) -> None:
    site.policy["cool_down_hours"] = 31
    clock = HandClock()
    with site.runner(clock=clock) as calls:
        assert codes(calls.call()) == ["policy.cool-down"]
        clock.pass_time(3600 + 60)
        assert calls.call()["status"] == "ok"


def test_a_clock_that_is_set_back_waits_longer_never_shorter(site: Site) -> None:
    site.policy["cool_down_hours"] = 30.01
    clock = HandClock()
    clock.wall -= timedelta(hours=2)
    with site.runner(clock=SystemClock(lambda: clock.wall, lambda: clock.steady_seconds)) as calls:
        assert calls.call()["status"] == "refused"


def test_a_waiver_stands_in_each_record(site: Site) -> None:
    site.policy["cool_down_hours"] = 48
    given = waiver(datetime.now(UTC) + timedelta(hours=1))
    site.policy["cool_down_waivers"] = [given]
    with site.runner() as calls:
        assert calls.call()["status"] == "ok"
    decision, outcome = site.records()[-2:]
    assert decision["cool_down_waiver"] == outcome["cool_down_waiver"] == given


@pytest.mark.parametrize("wrong", ["expired", "another version"])
def test_a_waiver_is_for_one_version_and_ends(site: Site, wrong: str) -> None:
    site.policy["cool_down_hours"] = 48
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    given = waiver(now - hour) if wrong == "expired" else waiver(now + hour, "1.0.1")
    site.policy["cool_down_waivers"] = [given]
    with site.runner() as calls:
        assert_refused(site, calls.call(), "policy.cool-down")


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("cool_down_waivers", [waiver(datetime.now(UTC), "no version")], "policy.version"),
        (
            "cool_down_waivers",
            [waiver(datetime.now(UTC)) | {"until": "2030-13-01T00:00:00Z"}],
            "policy.until",
        ),
        ("cool_down_waivers", [{"plugin": NAME, "version": "1"}], "policy.schema"),
        ("cool_down_hours", -1, "policy.schema"),
        (
            "revocation",
            {"poll_seconds": 1, "max_age_seconds": 60, "log_key": "nonsense-key", "revokers": []},
            "policy.log-key",
        ),
        (
            "revocation",
            {"poll_seconds": 60, "max_age_seconds": 60, "log_key": "nonsense-key", "revokers": []},
            "policy.revocation-age",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    site: Site, member: str, value: Any, code: str
) -> None:
    site.policy[member] = value
    with pytest.raises(PolicyInvalid) as caught, site.runner():
        raise AssertionError("it started")
    assert code in [p.code for p in caught.value.problems]
