"""The road of one call: its order, and that nothing runs that must not."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from runner import records
from runner.receipts import verify_reply_receipt
from runner.records import Call, Origin
from runner.schemas import CompiledSchema
from runner.setup import make_caller_token
from tests.runner.kit import (
    NAME,
    Calls,
    HandClock,
    Site,
    assert_refused,
    hexdigest,
)
from tests.support.evidence import REVIEWERS, sha256
from tests.support.wheels import make_manifest, make_wheel
from trust.outcomes import Failed, Passed


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


def test_nor_do_the_names_of_their_members(site: Site) -> None:
    """A problem's place is made of them."""
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    found = CompiledSchema(schema).check({"secret-name": "x"}, code="x", subject="the arguments")
    assert found[0].where == "/secret-name"
    call, origin = Call("id"), Origin("a", "b", "c", "d")
    now = datetime.now(UTC)
    for recorded in (False, True):
        call.arguments_recorded = recorded
        for record in (
            records.refused(origin, call, now, "invalid_arguments", found),
            records.outcome(origin, call, now, "plugin_error", decision_index=0, problems=found),
        ):
            assert ("secret-name" in json.dumps(record)) is recorded


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
