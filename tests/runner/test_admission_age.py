"""How long an admission lasts, by clocks that stop, jump and go back; and when none begins."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.main import StartRefused
from runner.policy_file import PolicyInvalid
from tests.runner.kit import (
    NAME,
    Calls,
    HandClock,
    Site,
    assert_refused,
    codes,
)
from tests.support.wheels import make_wheel


def test_an_admitted_plugin_goes_on_without_its_registry_within_its_age(site: Site) -> None:
    clock = HandClock()
    with site.runner(clock=clock) as calls:
        assert calls.call()["status"] == "ok"
        site.registry.down = True
        clock.pass_time(299)
        assert calls.call()["status"] == "ok"
        assert calls.call(version=None)["status"] == "ok"
        clock.pass_time(1)
        assert calls.call()["status"] == "unavailable"
        assert calls.call(version=None)["status"] == "unavailable"
        assert len(site.sandbox.jobs) == 3
        site.registry.down = False
        assert calls.call()["status"] == "ok"


@pytest.mark.parametrize("which", ["wall", "steady"])
def test_either_clock_ages_an_admission(site: Site, which: str) -> None:
    clock = HandClock()
    with site.runner(clock=clock) as calls:
        calls.call()
        site.registry.down = True
        if which == "wall":
            clock.wall += timedelta(seconds=301)
        else:
            clock.steady_seconds += 301
        assert calls.call()["status"] == "unavailable"


def test_a_wall_clock_that_was_ahead_for_a_while_prolongs_no_admission(site: Site) -> None:
    clock = HandClock()
    with site.runner(clock=clock) as calls:
        clock.wall += timedelta(hours=1)
        assert calls.call()["status"] == "ok"
        clock.wall -= timedelta(hours=1)
        site.registry.down = True
        clock.pass_time(299)
        assert calls.call()["status"] == "ok"
        clock.pass_time(2)
        assert calls.call()["status"] == "unavailable"


def test_a_new_plugin_needs_the_registry(site: Site, calls: Calls) -> None:
    site.registry.down = True
    assert_refused(site, calls.call(), "registry.unusable", "unavailable")


def test_a_clock_that_goes_back_makes_nothing_valid_again(site: Site) -> None:
    clock = HandClock()
    expires = clock.wall + timedelta(seconds=100)
    site.policy["callers"][0]["expires"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    with site.runner(clock=clock) as calls:
        assert calls.call()["status"] == "ok"
        clock.pass_time(101)
        assert codes(calls.call()) == ["caller.expired"]
        clock.wall -= timedelta(days=365)
        assert codes(calls.call()) == ["caller.expired"]
        ready = calls.get("/readyz")
        assert ready.status_code == 503
        assert ready.get_json()["checks"]["clock"][0]["code"] == "clock.set-back"


def test_an_admission_ends_with_its_layout(site: Site) -> None:
    clock = HandClock()
    site.policy["admission_max_age_seconds"] = 86400
    with site.runner(clock=clock) as calls:
        assert calls.call()["status"] == "ok"
        site.registry.releases.clear()
        clock.wall += timedelta(hours=23)
        assert calls.call()["status"] == "ok"
    clock = HandClock()
    near = site.trust.make_layout(expires=clock.wall + timedelta(hours=2))
    from trust.layout import sign_layout

    layout = sign_layout(near, site.trust.owner_signers)
    (site.keys / "layout.json").write_bytes(layout)
    filename, wheel = make_wheel(NAME, "3.0.0")
    before = site.trust.before_publish(filename, wheel)
    publish = site.trust.publish(filename, wheel, before, layout=layout)
    site.release("3.0.0", bundles=[*before, publish])
    with site.runner(clock=clock) as calls:
        assert calls.call(version="3.0.0")["status"] == "ok"
        site.sandbox.jobs.clear()
        clock.wall += timedelta(hours=3)
        assert_refused(site, calls.call(version="3.0.0"), "gate.refused")
        assert calls.get("/readyz").status_code == 503


# Starting.


def change_layout(site: Site) -> None:
    envelope = json.loads((site.keys / "layout.json").read_bytes())
    payload = base64.b64decode(envelope["payload"])
    envelope["payload"] = base64.b64encode(payload.replace(b"bob@", b"eve@")).decode()
    (site.keys / "layout.json").write_text(json.dumps(envelope))


def expire_layout(site: Site) -> None:
    from trust.layout import sign_layout

    model = site.trust.make_layout(expires=datetime.now(UTC) + timedelta(seconds=1))
    model.expires = "2020-01-01T00:00:00Z"
    (site.keys / "layout.json").write_bytes(sign_layout(model, site.trust.owner_signers))


def other_key(site: Site) -> None:
    vkey = site.vkey.split("+")
    from trust.log import NoteSigner

    (site.keys / "audit_log.vkey").write_text(NoteSigner.generate(vkey[0]).verifier_key)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda s: s.policy.update(extra=1), PolicyInvalid),
        (lambda s: (s.keys / "layout.json").unlink(), StartRefused),
        (lambda s: (s.keys / "layout.json").write_bytes(b"{}"), StartRefused),
        (lambda s: (s.keys / "layout_owners.json").write_bytes(b"{}"), StartRefused),
        (lambda s: (s.keys / "trusted_root.json").write_bytes(b"{}"), StartRefused),
        (change_layout, StartRefused),
        (expire_layout, StartRefused),
        (other_key, StartRefused),
    ],
)
def test_a_runner_that_cannot_verify_its_own_ground_does_not_start(
    site: Site, spoil: Callable[[Site], Any], error: type[Exception]
) -> None:
    spoil(site)
    with pytest.raises(error), site.runner():
        pytest.fail("it started")


def test_an_image_that_is_not_pinned_by_digest_does_not_start(site: Site) -> None:
    site.policy["image"] = "sealgate-runtime:latest"
    with pytest.raises(PolicyInvalid), site.runner():
        pytest.fail("it started")
