"""The road of one call: its order, and that nothing runs that must not."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner import records
from runner.clock import SystemClock
from runner.main import StartRefused
from runner.policy_file import PolicyInvalid
from runner.receipts import verify_reply_receipt
from runner.sandbox import Execution, Job
from runner.setup import make_caller_token
from tests.runner.kit import NAME, Calls, Site, codes, executed, hexdigest
from tests.support.evidence import REVIEWERS, sha256
from tests.support.wheels import make_manifest, make_wheel
from trust.outcomes import Failed, Passed

MEMBERS = {
    "request_id", "status", "result", "error", "stdout", "stderr", "usage", "sandbox",
    "evidence", "receipt",
}  # fmt: skip


@pytest.fixture
def calls(site: Site) -> Iterator[Calls]:
    with site.runner() as open_calls:
        yield open_calls


def assert_refused(site: Site, reply: dict[str, Any], code: str, status: str = "refused") -> None:
    """Check that a call was refused, told so in the one shape, recorded, and never executed."""
    assert set(reply) == MEMBERS
    assert reply["status"] == status
    assert code in codes(reply)
    assert reply["result"] is None
    assert site.sandbox.jobs == []
    record = site.records()[-1]
    assert (record["type"], record["decision"], record["status"]) == ("decision", "refused", status)
    assert record["request_id"] == reply["request_id"]
    assert code in [p["code"] for p in record["problems"]]
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)


def test_an_admitted_call_is_recorded_before_and_after_it_runs(site: Site, calls: Calls) -> None:
    reply = calls.call()
    assert reply["status"] == "ok"
    assert reply["result"] == {"greeting": "Hello, Ada!"}
    (before,) = site.sandbox.records_before
    assert [r["decision"] for r in before] == ["admitted"]
    decision, outcome = site.records()
    assert decision["request_id"] == outcome["request_id"] == reply["request_id"]
    assert (outcome["status"], outcome["decision_index"]) == ("ok", 0)
    assert decision["wheel_sha256"] == sha256(site.sandbox.jobs[0].wheel)
    assert decision["arguments_sha256"] == records.digest_of({"name": "Ada"})
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)
    evidence = reply["evidence"]
    assert evidence["author"]["subject"] == site.trust.author.subject
    assert [r["subject"] for r in evidence["reviewers"]] == sorted(REVIEWERS[:2])
    assert len(evidence["bundle_sha256s"]) == 5


def test_every_record_has_the_fields_that_the_design_promises(site: Site, calls: Calls) -> None:
    calls.call()
    calls.call("nothing")
    calls.call(arguments={})
    calls.call(token="wrong")
    calls.post(b"{")
    kinds = []
    for record in site.records():
        kinds.append((record["type"], record["status"]))
        assert records.check(record) == ()
        assert datetime.fromisoformat(record["time"]).tzinfo == UTC
        assert record["hostname"]
        assert record["pid"] > 0
        assert len(record["image"]) == 71
    assert kinds[-1] == ("decision", "invalid_arguments")


def test_the_bytes_that_were_verified_are_the_bytes_that_run(site: Site, calls: Calls) -> None:
    release = site.registry.releases[NAME, "1.0.0"]
    verified = release.wheel
    calls.call()
    release.wheel = b"something else"
    calls.call()
    assert [job.wheel for job in site.sandbox.jobs] == [verified, verified]


def test_arguments_stand_in_a_record_only_where_the_policy_says_so(site: Site) -> None:
    with site.runner() as calls:
        calls.call(arguments={"name": "secret-value"})
        calls.call(arguments={"name": ["secret-value"]})
    assert "secret-value" not in json.dumps(site.records())
    site.policy["audit"]["record_arguments"] = True
    with site.runner() as calls:
        calls.call(arguments={"name": "shown-value"})
    assert site.records()[-1]["arguments"] == {"name": "shown-value"}


def test_large_arguments_are_recorded_by_digest_only(site: Site) -> None:
    site.policy["audit"]["record_arguments"] = True
    with site.runner() as calls:
        reply = calls.call("echo", {"x": "y" * 100_000})
    assert reply["status"] == "ok"
    assert "arguments" not in site.records()[-1]


def test_no_token_is_ever_written(site: Site, capfd: Any, caplog: Any) -> None:
    other = make_caller_token()
    with site.runner() as calls:
        calls.call()
        calls.call(token=other.token)
        calls.call(plugin="unknown")
    written = b"".join(p.read_bytes() for p in site.state.glob("*") if p.is_file())
    shown = "".join(capfd.readouterr()) + caplog.text
    for token in (site.token.token, other.token):
        assert token.encode() not in written
        assert token not in shown


# Refused by the policy.


@pytest.mark.parametrize("plugin", ["unknown", "../etc", "example_plugin", "Example-Plugin", "os"])
def test_a_plugin_that_is_not_in_the_policy(site: Site, calls: Calls, plugin: str) -> None:
    reply = calls.call(plugin=plugin)
    expected = "policy.plugin" if plugin in ("unknown", "os") else "request.plugin"
    assert_refused(site, reply, expected)
    assert site.registry.requests == []


@pytest.mark.parametrize(
    "method",
    ["missing", "__init__", "__class__", "greet.__globals__", "os.system", "greet ", "GREET", "*"],
)
def test_a_method_that_the_manifest_does_not_declare(site: Site, calls: Calls, method: str) -> None:
    assert_refused(site, calls.call(method), "method.undeclared")


def test_a_declared_method_that_the_caller_may_not_call(site: Site) -> None:
    site.policy["callers"][0]["allow"][0]["methods"] = ["echo"]
    with site.runner() as calls:
        assert_refused(site, calls.call("greet"), "policy.method")


def test_a_caller_without_rights(site: Site) -> None:
    other = make_caller_token()
    site.policy["callers"].append({"name": "other", "token_sha256": other.sha256, "allow": []})
    with site.runner() as calls:
        assert_refused(site, calls.call(token=other.token), "policy.plugin")
    assert site.records()[-1]["caller"] == "other"


def test_the_registry_does_not_hear_of_what_a_caller_may_not_call(site: Site, calls: Calls) -> None:
    assert_refused(site, calls.call(plugin="unknown", version=None), "policy.plugin")
    assert site.registry.requests == []


def test_a_version_outside_the_policy(site: Site) -> None:
    site.policy["plugins"][0]["versions"] = ">=2"
    with site.runner() as calls:
        assert_refused(site, calls.call(), "policy.version")
        assert_refused(site, calls.call(version="one"), "request.version")
        assert_refused(site, calls.call(version=None), "registry.no-version")


@pytest.mark.parametrize("kind", ["digest", "version", "publisher"])
def test_what_was_revoked(site: Site, kind: str) -> None:
    release = site.registry.releases[NAME, "1.0.0"]
    site.policy["revoked"] = [
        {"reason": "stolen key"}
        | {
            "digest": {"sha256": sha256(release.wheel)},
            "version": {"plugin": NAME, "version": "1.0"},
            "publisher": {"publisher": site.trust.author.as_dict()},
        }[kind]
    ]
    with site.runner() as calls:
        assert_refused(site, calls.call(), "policy.revoked")
    asked_for_bytes = any(path.endswith("/wheel") for path in site.registry.requests)
    assert asked_for_bytes is (kind == "publisher")
    assert bool(site.registry.requests) is (kind != "version")


# Refused by the gate.


def evidence_without(site: Site, place: int) -> list[bytes]:
    bundles = list(site.registry.releases[NAME, "1.0.0"].bundles)
    del bundles[place]
    return bundles


@pytest.mark.parametrize(
    ("place", "step"), [(0, "submit"), (1, "scan"), (2, "review"), (3, "review"), (4, "publish")]
)
def test_evidence_that_is_missing(site: Site, calls: Calls, place: int, step: str) -> None:
    site.registry.releases[NAME, "1.0.0"].bundles = evidence_without(site, place)
    reply = calls.call()
    assert_refused(site, reply, "gate.refused")
    assert reply["error"]["problems"][0]["where"] == step


def test_a_wheel_without_any_evidence(site: Site, calls: Calls) -> None:
    site.registry.releases[NAME, "1.0.0"].bundles = []
    assert_refused(site, calls.call(), "gate.refused")


def test_a_flipped_byte_that_the_registry_admits_to(site: Site, calls: Calls) -> None:
    release = site.registry.releases[NAME, "1.0.0"]
    middle = len(release.wheel) // 2
    release.wheel = release.wheel[:middle] + b"\x00" + release.wheel[middle + 1 :]
    assert_refused(site, calls.call(), "gate.refused")


def test_a_flipped_byte_under_the_old_digest(site: Site, calls: Calls) -> None:
    release = site.registry.releases[NAME, "1.0.0"]
    release.digest = sha256(release.wheel)
    release.wheel = release.wheel[:-1] + bytes([release.wheel[-1] ^ 1])
    assert_refused(site, calls.call(), "registry.other-bytes")


def test_another_version_s_evidence(site: Site, calls: Calls) -> None:
    evidence = site.registry.releases[NAME, "1.0.0"].bundles
    site.release("1.1.0", bundles=evidence)
    assert_refused(site, calls.call(version="1.1.0"), "gate.refused")


def test_another_version_s_wheel_under_this_version(site: Site, calls: Calls) -> None:
    old = site.registry.releases[NAME, "1.0.0"]
    site.registry.add(replace(old, version="2.0.0"))
    assert_refused(site, calls.call(version="2.0.0"), "registry.malformed")


def test_a_publisher_whom_the_policy_does_not_name(site: Site) -> None:
    site.policy["plugins"][0]["publishers"][0]["subject"] = "mallory@example.com"
    with site.runner() as calls:
        assert_refused(site, calls.call(), "gate.refused")


def test_one_reviewer_who_approves_twice(site: Site, calls: Calls) -> None:
    filename, wheel = make_wheel(NAME, "1.1.0")
    trust = site.trust
    bundles = [trust.submit(filename, wheel), trust.scan(filename, wheel)]
    bundles += [trust.review(filename, wheel, REVIEWERS[0], comment=text) for text in ("a", "b")]
    site.release("1.1.0", bundles=[*bundles, trust.publish(filename, wheel, bundles)])
    assert_refused(site, calls.call(version="1.1.0"), "gate.refused")


def test_a_schema_that_cannot_be_bounded(site: Site, calls: Calls) -> None:
    manifest = copy.deepcopy(make_manifest(NAME))
    manifest["methods"]["greet"]["arguments"]["properties"]["name"]["pattern"] = "(?=x)"
    site.release("1.1.0", manifest=manifest)
    reply = calls.call(version="1.1.0")
    assert reply["status"] == "refused"
    assert site.sandbox.jobs == []


def test_other_bytes_under_a_name_and_version_that_ran(site: Site) -> None:
    with site.runner() as calls:
        calls.call()
    first = site.registry.releases[NAME, "1.0.0"].wheel
    second = site.release("1.0.0", files={"example_plugin/more.txt": "x"}).wheel
    site.sandbox.jobs.clear()
    with site.runner() as calls:  # a restart: the binding comes from the audit log
        reply = calls.call()
    assert_refused(site, reply, "admission.rebound")
    text = json.dumps(reply["error"])
    assert sha256(first) in text
    assert sha256(second) in text


# Versions.


def test_without_a_version_the_highest_final_one_runs(site: Site, calls: Calls) -> None:
    site.release("1.10.0")
    site.release("1.9.0")
    site.release("2.0.0rc1")
    assert calls.call(version=None)["evidence"]["version"] == "1.10.0"


def test_a_prerelease_runs_if_there_is_no_other(site: Site, calls: Calls) -> None:
    site.registry.releases.clear()
    site.release("2.0.0rc1")
    assert calls.call(version=None)["evidence"]["version"] == "2.0.0rc1"


def test_a_revoked_version_is_passed_over(site: Site) -> None:
    site.release("1.1.0")
    site.policy["revoked"] = [{"plugin": NAME, "version": "1.1.0", "reason": "bad"}]
    with site.runner() as calls:
        assert calls.call(version=None)["evidence"]["version"] == "1.0.0"


def test_a_registry_that_lies_about_its_versions_runs_nothing(site: Site, calls: Calls) -> None:
    site.release("9.9.9", bundles=[])
    reply = calls.call(version=None)
    assert reply["status"] == "refused"
    assert site.sandbox.jobs == []


# Age.


class HandClock(SystemClock):
    """A clock that a test sets: `wall` and `steady_seconds`."""

    def __init__(self) -> None:
        self.wall = datetime.now(UTC)
        self.steady_seconds = 1000.0
        super().__init__(lambda: self.wall, lambda: self.steady_seconds)

    def pass_time(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady_seconds += seconds


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


# Arguments and results.


@pytest.mark.parametrize(
    "arguments", [{}, {"name": 5}, {"name": "x" * 101}, {"name": "Ada", "more": 1}]
)
def test_arguments_that_break_the_schema(
    site: Site, calls: Calls, arguments: dict[str, Any]
) -> None:
    assert_refused(site, calls.call(arguments=arguments), "arguments.schema", "invalid_arguments")


def test_a_result_that_breaks_the_schema_is_the_plugin_s_error(site: Site, calls: Calls) -> None:
    site.sandbox.behave = lambda job: executed(job, result={"greeting": 5})
    reply = calls.call()
    assert reply["status"] == "plugin_error"
    assert reply["result"] is None
    assert codes(reply) == ["result.schema"]
    assert site.records()[-1]["status"] == "plugin_error"


ERROR = {"type": "ValueError", "message": "no", "traceback": "…"}


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"status": "plugin_error", "result": None, "error": ERROR}, "plugin_error", "ValueError"),
        ({"status": "protocol_error", "detail": "two frames"}, "plugin_error", "protocol_error"),
        ({"status": "timeout", "detail": "10 s"}, "timeout", "timeout"),
        ({"status": "resource_limit", "detail": "memory"}, "resource_limit", "resource_limit"),
        ({"status": "unavailable", "detail": "no engine"}, "unavailable", "unavailable"),
    ],
)
def test_every_end_of_an_execution(
    site: Site, calls: Calls, changes: dict[str, Any], status: str, kind: str
) -> None:
    site.sandbox.behave = lambda job: executed(job, **changes)
    reply = calls.call()
    assert (reply["status"], reply["error"]["type"]) == (status, kind)
    assert reply["result"] is None
    assert site.records()[-1]["status"] == status
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)


def test_a_sandbox_that_fails_is_unavailable_and_has_its_outcome(site: Site) -> None:
    def fail(job: Job) -> Execution:
        raise RuntimeError("secret detail")

    site.sandbox.behave = fail
    with site.runner() as calls:
        reply = calls.call()
    assert set(reply) == MEMBERS
    assert reply["status"] == "unavailable"
    assert "secret detail" not in json.dumps(reply)
    assert [r["status"] for r in site.records()] == [None, "unavailable"]


def test_a_failing_admission_is_unavailable_and_recorded(
    site: Site, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise MemoryError

    monkeypatch.setattr("runner.admission.Admissions.admit", fail)
    assert_refused(site, calls.call(), "runner.internal", "unavailable")


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


def test_unauthenticated_floods_do_not_fill_the_log(site: Site) -> None:
    clock = HandClock()
    with site.runner(clock=clock) as calls:
        for _ in range(100):
            assert calls.call(token="guess")["receipt"] is None
        clock.pass_time(1)
        calls.call(token="guess")
    found = [r for r in site.records() if r["type"] == "unauthenticated"]
    assert [r["attempts"] for r in found] == [1, 100]
    assert hexdigest("guess") not in json.dumps(found)


def test_a_receipt_of_another_call_does_not_pass_for_this_one(site: Site, calls: Calls) -> None:
    one, two = calls.call(), calls.call()
    swapped = one | {"receipt": two["receipt"]}
    assert isinstance(verify_reply_receipt(swapped, site.vkey), Failed)
    other_result = one | {"result": {"greeting": "Hello, Eve!"}}
    assert isinstance(verify_reply_receipt(other_result, site.vkey), Failed)
