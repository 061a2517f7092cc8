"""Revocations: what a signed statement may say, who may say it, and what it stops."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.support.evidence import AUTHOR, OUTSIDER, TrustFixture
from trust import strictjson
from trust.errors import SealgateError
from trust.evidence.bundles import BundleVerifier
from trust.identity import Identity
from trust.log import Checkpoint, NoteRefused, NoteSigner
from trust.outcomes import Failed, Passed
from trust.revocation import (
    Authority,
    Facts,
    FreshHead,
    Revocation,
    RevocationRefused,
    Revocations,
    Target,
    lift_statement,
    revocation_statement,
    verify_revocation,
)

ADMIN = "admin@example.com"
WHEEL = "ab" * 32
OTHER = "cd" * 32
IMAGE = "sha256:" + "ef" * 32
NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
"""Later than every signature here, however long the tests before this one take."""

Sign = Callable[..., Revocation]


@pytest.fixture(scope="module")
def t() -> TrustFixture:
    return TrustFixture()


@pytest.fixture(scope="module")
def authority(t: TrustFixture) -> Authority:
    publishers = {"demo": frozenset({t.author})}
    return Authority(frozenset({t.identity(ADMIN)}), lambda name: publishers.get(name, ()))


@pytest.fixture(scope="module")
def sign(t: TrustFixture) -> Sign:
    verifier = BundleVerifier(t.sigstore.trusted_root)

    def signed(target: Target, by: str = ADMIN, **changes: Any) -> Revocation:
        words: dict[str, Any] = {"action": "revoke", "reason": "it steals", "effective": NOW}
        statement = revocation_statement(target, **(words | changes))
        return verify_revocation(verifier, t.sigstore.sign(by, statement), NOW)

    return signed


@pytest.fixture(scope="module")
def lift(t: TrustFixture) -> Sign:
    verifier = BundleVerifier(t.sigstore.trusted_root)

    def signed(quarantine: Revocation, by: str = ADMIN, effective: datetime = NOW) -> Revocation:
        statement = lift_statement(quarantine, reason="it was a mistake", effective=effective)
        return verify_revocation(verifier, t.sigstore.sign(by, statement), NOW)

    return signed


def facts(t: TrustFixture, **changes: Any) -> Facts:
    known: dict[str, Any] = {
        "plugin": "demo",
        "version": "1.0.0",
        "sha256": WHEEL,
        "publishers": frozenset({t.author}),
        "image": IMAGE,
    }
    return Facts(**(known | changes))


def stops(found: Revocations, about: Facts, at: datetime = NOW) -> list[str]:
    outcome = found.judge(about, at)
    return [p.code for p in outcome.problems] if isinstance(outcome, Failed) else []


def test_each_kind_stops_what_it_names_and_nothing_else(
    t: TrustFixture, sign: Sign, authority: Authority
) -> None:
    eve = t.identity(OUTSIDER)
    named = [
        (Target.of_version("demo", "1.0"), Target.of_version("demo", "1.0.1")),
        (Target.of_version("x", "9", WHEEL), Target.of_version("x", "9", OTHER)),
        (Target.of_plugin("demo"), Target.of_plugin("demo-two")),
        (Target.of_publisher(t.author), Target.of_publisher(eve)),
        (Target.of_image(IMAGE), Target.of_image(OTHER)),
    ]
    for hit, miss in named:
        [code] = stops(Revocations([sign(hit)], authority), facts(t))
        assert code == f"revocation.{hit.kind}"
        assert stops(Revocations([sign(miss)], authority), facts(t)) == []


def test_versions_are_compared_as_versions(
    t: TrustFixture, sign: Sign, authority: Authority
) -> None:
    found = Revocations([sign(Target.of_version("demo", "1.0"))], authority)
    assert stops(found, facts(t, version="1.0.0", sha256=None)) == ["revocation.version"]


def test_reviewers_and_rule_sets_are_told(
    t: TrustFixture, sign: Sign, authority: Authority
) -> None:
    bob = t.identity("bob@example.com")
    found = Revocations([sign(Target.of_reviewer(bob)), sign(Target.of_rule_set(OTHER))], authority)
    assert stops(found, facts(t)) == []
    assert found.excluded_reviewers(NOW) == {bob}
    assert found.rule_sets(NOW) == {OTHER}


def test_a_revocation_by_somebody_who_may_not_counts_for_nothing(
    t: TrustFixture, sign: Sign, authority: Authority
) -> None:
    forged = sign(Target.of_plugin("demo"), by=OUTSIDER)
    outcome = authority.allows(forged)
    assert isinstance(outcome, Failed)
    assert outcome.problems[0].code == "revocation.not-authorised"
    assert stops(Revocations([forged], authority), facts(t)) == []


def test_publishers_speak_for_versions_of_their_own_plugin_only(
    t: TrustFixture, sign: Sign, authority: Authority
) -> None:
    own = sign(Target.of_version("demo", "1.0.0"), by=AUTHOR)
    assert stops(Revocations([own], authority), facts(t)) == ["revocation.version"]
    for target in (
        Target.of_version("other", "1.0.0"),
        Target.of_plugin("demo"),
        Target.of_publisher(t.author),
        Target.of_reviewer(t.author),
        Target.of_rule_set(OTHER),
        Target.of_image(IMAGE),
    ):
        assert isinstance(authority.allows(sign(target, by=AUTHOR)), Failed), target
    # Their own version, but somebody else's bytes: those go on running.
    foreign = sign(Target.of_version("demo", "6.6.6", OTHER), by=AUTHOR)
    found = Revocations([foreign], authority)
    assert stops(found, facts(t, plugin="other", version="1.0.0", sha256=OTHER)) == []
    assert stops(found, facts(t, version="6.6.7", sha256=OTHER)) == ["revocation.version"]


def test_a_quarantine_is_lifted_in_any_order_and_a_revocation_never(
    t: TrustFixture, sign: Sign, lift: Sign, authority: Authority
) -> None:
    quarantine = sign(Target.of_plugin("demo"), action="quarantine")
    assert stops(Revocations([quarantine], authority), facts(t)) == ["revocation.plugin"]
    lifted = lift(quarantine)
    for order in permutations([quarantine, lifted]):
        assert stops(Revocations(order, authority), facts(t)) == []
    final = sign(Target.of_plugin("demo"))
    with pytest.raises(RevocationRefused, match=r"revocation\.final"):
        lift(final)
    # Written by hand, a lift of a revocation is still none.
    raw = json.loads(lift_statement(quarantine, reason="no", effective=NOW))
    raw["predicate"]["lifts"] = final.bundle_sha256
    verifier = BundleVerifier(t.sigstore.trusted_root)
    forced = verify_revocation(verifier, t.sigstore.sign(ADMIN, strictjson.dumps(raw)), NOW)
    assert isinstance(authority.allows(forced, final), Failed)
    assert stops(Revocations([final, forced], authority), facts(t)) == ["revocation.plugin"]


def test_a_publisher_lifts_their_own_quarantine_and_nobody_elses(
    t: TrustFixture, sign: Sign, lift: Sign, authority: Authority
) -> None:
    target = Target.of_version("demo", "1.0.0")
    own = sign(target, by=AUTHOR, action="quarantine")
    assert stops(Revocations([own, lift(own, by=AUTHOR)], authority), facts(t)) == []
    admins = sign(target, action="quarantine")
    found = Revocations([admins, lift(admins, by=AUTHOR)], authority)
    assert stops(found, facts(t)) == ["revocation.version"]


def test_the_time_of_effect(t: TrustFixture, sign: Sign, lift: Sign, authority: Authority) -> None:
    hour = timedelta(hours=1)
    quarantine = sign(Target.of_plugin("demo"), action="quarantine", effective=NOW + hour)
    found = Revocations([quarantine, lift(quarantine, effective=NOW + 2 * hour)], authority)
    assert stops(found, facts(t), NOW) == []
    assert stops(found, facts(t), NOW + hour) == ["revocation.plugin"]
    assert stops(found, facts(t), NOW + 2 * hour) == []


def test_what_is_not_a_revocation_is_refused(t: TrustFixture) -> None:
    verifier = BundleVerifier(t.sigstore.trusted_root)
    good = json.loads(
        revocation_statement(
            Target.of_version("demo", "1.0.0"), action="revoke", reason="r", effective=NOW
        )
    )

    def refused(statement: dict[str, Any], now: datetime = NOW) -> str:
        bundle = t.sigstore.sign(ADMIN, strictjson.dumps(statement))
        with pytest.raises(SealgateError) as caught:
            verify_revocation(verifier, bundle, now)
        return caught.value.problem.code

    target = good["predicate"]["target"]
    assert refused(good | {"predicateType": "https://example.com/x"}) == "revocation.type"
    for member, value in {
        "action": "forgive",
        "reason": " ",
        "effective": "tomorrow",
        "lifts": OTHER,
        "more": 1,
        "target": {"kind": "everything"},
    }.items():
        changed = good | {"predicate": good["predicate"] | {member: value}}
        assert refused(changed) == "revocation.predicate", member
    impossible = good["predicate"] | {"effective": "2026-13-41T00:00:00Z"}
    assert refused(good | {"predicate": impossible}) == "revocation.effective"
    other = good["predicate"] | {"target": target | {"version": "1.00"}}
    assert refused(good | {"predicate": other}) == "revocation.target"
    other = good["predicate"] | {"target": target | {"version": "2.0.0"}}
    assert refused(good | {"predicate": other}) == "revocation.subject"
    assert refused(good, NOW - timedelta(days=1)) == "revocation.future"
    with pytest.raises(RevocationRefused, match=r"revocation\.size"):
        verify_revocation(verifier, b" " * 60_001, NOW)


def test_a_changed_bundle_is_refused(t: TrustFixture) -> None:
    statement = revocation_statement(
        Target.of_plugin("demo"), action="revoke", reason="r", effective=NOW
    )
    bundle = json.loads(t.sigstore.sign(ADMIN, statement))
    other = strictjson.dumps(json.loads(statement.replace(b'"demo"', b'"dema"')))
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(other).decode()
    verifier = BundleVerifier(t.sigstore.trusted_root)
    with pytest.raises(SealgateError) as caught:
        verify_revocation(verifier, json.dumps(bundle).encode(), NOW)
    assert caught.value.problem.code.startswith("bundle.")


def test_a_head_says_when_it_was_signed() -> None:
    signer = NoteSigner.generate("sealgate.test/revocations")
    head = FreshHead(Checkpoint(signer.origin, 3, b"r" * 32), NOW)
    assert FreshHead.verify(head.sign(signer), signer.verifier) == head
    with pytest.raises(NoteRefused, match=r"note\.time"):
        FreshHead.verify(head.checkpoint.sign(signer), signer.verifier)
    with pytest.raises(NoteRefused, match=r"note\.time"):
        FreshHead.verify(signer.sign(head.checkpoint.text() + "time -1\n"), signer.verifier)
    with pytest.raises(NoteRefused, match=r"note\.(unsigned|signature)"):
        FreshHead.verify(
            head.sign(NoteSigner.generate("sealgate.test/revocations")), signer.verifier
        )
    with pytest.raises(NoteRefused):
        FreshHead.verify(head.sign(signer).replace("time 1", "time 2"), signer.verifier)


def test_a_target_is_described_in_one_way() -> None:
    assert Target.of_version("Demo_Plugin", "1.0.0-rc1") == Target(
        "version", "demo-plugin", "1.0.0rc1"
    )
    for target in (
        Target.of_version("demo", "1.0", WHEEL),
        Target.of_publisher(Identity("https://issuer", "eve@example.com")),
        Target.of_image(IMAGE),
    ):
        assert Target.from_dict(target.as_dict()) == target
        assert target.is_canonical()
    assert Target.of_version("demo", "1.0", WHEEL).subject().sha256 == WHEEL
    assert not Target.of_reviewer(Identity("https://i", "eve\nbob")).is_canonical()


def test_passing_is_said(t: TrustFixture, authority: Authority) -> None:
    assert Revocations((), authority).judge(facts(t), NOW) == Passed(None)
