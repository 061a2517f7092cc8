"""The policy: what it refuses to be, and what it decides."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.policy import Caller, Policy
from runner.policy_file import PolicyInvalid, load_policy, parse_policy
from runner.setup import default_policy, make_caller_token
from tests.runner.kit import IMAGE, hexdigest
from trust.identity import Identity
from trust.outcomes import Failed, Passed

ALICE = Identity("https://issuer.test", "alice@example.com")
TOKEN = make_caller_token()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE = default_policy(
    image=IMAGE,
    registry="http://127.0.0.1:1",
    callers={"demo": TOKEN.sha256},
    plugins={"one": [ALICE], "two": [ALICE]},
)


def policy(change: Callable[[dict[str, Any]], Any] = lambda _: None) -> Policy:
    document = copy.deepcopy(BASE)
    change(document)
    return parse_policy(json.dumps(document).encode())


def demo(of: Policy) -> Caller:
    return of.callers[0]


def code(outcome: object) -> str:
    assert isinstance(outcome, Failed)
    return outcome.problems[0].code


def test_a_good_policy_is_read() -> None:
    read = policy()
    assert read.image == IMAGE
    assert read.driver == "engine"
    assert policy(lambda d: d["sandbox"].update(driver="oci")).driver == "oci"
    assert read.publishers_of("one") == frozenset({ALICE})
    assert read.publishers_of("unknown") == frozenset()
    assert len(read.digest) == 64


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda d: d.update(extra=1), "/"),
        (lambda d: d.pop("revoked"), "/"),
        (lambda d: d.update(schema_version=2), "/schema_version"),
        (lambda d: d.update(image="latest"), "/image"),
        (lambda d: d.update(image=IMAGE + "\n"), "/image"),
        (lambda d: d["sandbox"].update(runtime="crun"), "/sandbox/runtime"),
        (lambda d: d["sandbox"].update(fallback="nothing"), "/sandbox"),
        (lambda d: d["sandbox"].update(driver="containerd"), "/sandbox/driver"),
        (lambda d: d["sandbox"].update(driver="oci", runtime="runsc"), "/sandbox/runtime"),
        (lambda d: d.update(registry="ftp://x"), "/registry"),
        (lambda d: d.update(registry="http://user@host"), "/registry"),
        (lambda d: d.update(admission_max_age_seconds=0), "/admission_max_age_seconds"),
        (lambda d: d.update(admission_max_age_seconds=True), "/admission_max_age_seconds"),
        (lambda d: d["callers"][0].update(token_sha256="00"), "/callers/0/token_sha256"),
        (lambda d: d["callers"][0].update(token_sha256=hexdigest("")), "/callers/0/token_sha256"),
        (lambda d: d["callers"][0].update(expires="tomorrow"), "/callers/0/expires"),
        (lambda d: d["callers"][0].update(expires="2026-13-01T00:00:00Z"), "/callers/0/expires"),
        (lambda d: d["callers"].append(d["callers"][0]), "/callers/1/name"),
        (
            lambda d: d["callers"].append({**d["callers"][0], "name": "other"}),
            "/callers/1/token_sha256",
        ),
        (lambda d: d["callers"][0]["allow"][0].update(versions="~=1"), "/callers/0/allow/0"),
        (lambda d: d["callers"][0]["allow"][0].update(plugin="three"), "/callers/0/allow/0/plugin"),
        (
            lambda d: d["callers"][0]["allow"][0].update(methods=["__init__"]),
            "/callers/0/allow/0/methods/0",
        ),
        (
            lambda d: d["callers"][0]["allow"][0].update(methods=["os.system"]),
            "/callers/0/allow/0/methods/0",
        ),
        (lambda d: d["plugins"][0].update(name="Not_Normal"), "/plugins/0/name"),
        (lambda d: d["plugins"][0].update(versions="newest"), "/plugins/0/versions"),
        (lambda d: d["plugins"][0].update(publishers=[]), "/plugins/0/publishers"),
        (lambda d: d["plugins"].append(d["plugins"][0]), "/plugins/2/name"),
        (lambda d: d["revoked"].append({"reason": "x"}), "/revoked/0"),
        (lambda d: d["revoked"].append({"plugin": "one", "reason": "x"}), "/revoked/0"),
        (
            lambda d: d["revoked"].append({"sha256": "a" * 64, "plugin": "one", "reason": "x"}),
            "/revoked/0",
        ),
        (
            lambda d: d["revoked"].append({"plugin": "one", "version": "all", "reason": "x"}),
            "/revoked/0/version",
        ),
        (lambda d: d["audit"].update(record_arguments="no"), "/audit/record_arguments"),
    ],
)
def test_a_bad_policy_is_refused_with_its_place(
    change: Callable[[dict[str, Any]], Any], where: str
) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        policy(change)
    assert any(p.where.startswith(where) for p in refused.value.problems)


def test_every_problem_is_listed_at_once() -> None:
    def break_much(document: dict[str, Any]) -> None:
        document["image"] = "x"
        document["callers"][0]["token_sha256"] = "x"
        document["plugins"][1]["publishers"] = []

    with pytest.raises(PolicyInvalid) as refused:
        policy(break_much)
    assert {p.where for p in refused.value.problems} == {
        "/image",
        "/callers/0/token_sha256",
        "/plugins/1/publishers",
    }


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b'"\\ud800"'],
)
def test_what_is_not_strict_json_is_refused(data: bytes) -> None:
    with pytest.raises(PolicyInvalid):
        parse_policy(data)


def test_a_missing_file_is_refused(tmp_path: Any) -> None:
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        load_policy(tmp_path / "none.json")


@pytest.mark.parametrize(
    "token",
    ["", " ", "x", TOKEN.token + "x", TOKEN.token[:-1], TOKEN.sha256],
    ids=["empty", "blank", "short", "longer", "cut", "its digest"],
)
def test_a_wrong_token_is_nobody(token: str) -> None:
    assert code(policy().authenticate(token, NOW)) == "caller.unknown"


def test_the_right_token_is_its_caller() -> None:
    outcome = policy().authenticate(TOKEN.token, NOW)
    assert isinstance(outcome, Passed)
    assert outcome.value.name == "demo"


def test_an_expired_token_is_refused_from_its_very_second() -> None:
    expiring = policy(lambda d: d["callers"][0].update(expires="2026-01-01T00:00:00Z"))
    assert code(expiring.authenticate(TOKEN.token, NOW)) == "caller.expired"
    before = NOW - timedelta(seconds=1)
    assert isinstance(expiring.authenticate(TOKEN.token, before), Passed)


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(
        "runner.policy.hmac.compare_digest", lambda a, b: bool(compared.append(a)) or a == b
    )
    second = make_caller_token()

    def two(document: dict[str, Any]) -> None:
        caller = {**document["callers"][0], "name": "second", "token_sha256": second.sha256}
        document["callers"].append(caller)

    assert isinstance(policy(two).authenticate(TOKEN.token, NOW), Passed)
    assert compared == [TOKEN.sha256, second.sha256]


def test_a_caller_never_shows_its_token_digest() -> None:
    assert TOKEN.sha256 not in repr(policy().callers)


@pytest.mark.parametrize(
    ("plugin", "version", "method", "expected"),
    [
        ("one", "1.5", "go", None),
        ("one", None, "go", None),
        ("one", "0.9", "go", "policy.version"),
        ("one", "2.0", "go", "policy.version"),
        ("one", "not a version", "go", "policy.version"),
        ("one", "1.5", "stop", "policy.method"),
        ("one", "1.5", "*", "policy.method"),
        ("two", "1.5", "go", "policy.plugin"),
        ("three", "1.5", "go", "policy.plugin"),
        ("One", "1.5", "go", "policy.plugin"),
    ],
)
def test_what_is_not_allowed_is_refused(
    plugin: str, version: str | None, method: str, expected: str | None
) -> None:
    def narrow(document: dict[str, Any]) -> None:
        document["plugins"][0]["versions"] = "<2"
        document["callers"][0]["allow"] = [{"plugin": "one", "versions": ">=1", "methods": ["go"]}]

    narrowed = policy(narrow)
    outcome = narrowed.may_call(demo(narrowed), plugin, version, method)
    if expected is None:
        assert isinstance(outcome, Passed)
    else:
        assert code(outcome) == expected


def test_a_grant_s_version_and_method_belong_together() -> None:
    def two_grants(document: dict[str, Any]) -> None:
        document["callers"][0]["allow"] = [
            {"plugin": "one", "versions": "==1.0", "methods": ["read"]},
            {"plugin": "one", "versions": "==2.0", "methods": ["write"]},
        ]

    read = policy(two_grants)
    assert isinstance(read.may_call(demo(read), "one", "1.0", "read"), Passed)
    assert code(read.may_call(demo(read), "one", "1.0", "write")) == "policy.version"


@pytest.mark.parametrize(
    ("entry", "matches"),
    [
        ({"sha256": "a" * 64}, True),
        ({"sha256": "b" * 64}, False),
        ({"plugin": "one", "version": "1.0"}, True),
        ({"plugin": "one", "version": "1.0.0"}, True),
        ({"plugin": "one", "version": "1.1"}, False),
        ({"plugin": "two", "version": "1.0"}, False),
        ({"publisher": ALICE.as_dict()}, True),
        ({"publisher": {**ALICE.as_dict(), "subject": "ALICE@example.com"}}, False),
        ({"publisher": {**ALICE.as_dict(), "issuer": "https://other.test"}}, False),
    ],
)
def test_revocations(entry: dict[str, Any], matches: bool) -> None:
    revoking = policy(lambda d: d["revoked"].append({**entry, "reason": "stolen"}))
    outcome = revoking.is_revoked("a" * 64, "one", "1.0", {ALICE})
    assert isinstance(outcome, Failed) is matches
    if isinstance(outcome, Failed):
        assert "stolen" in outcome.problems[0].what
