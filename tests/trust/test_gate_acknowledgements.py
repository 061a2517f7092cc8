"""Findings that the scan warned of: every approval that counts acknowledges each of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.evidence import (
    POLICY_SHA256,
    REPORT_SHA256,
    REVIEWERS,
    SCANNER,
    TrustFixture,
    sha256,
)
from tests.support.wheels import make_wheel
from trust.evidence.acknowledgements import Acknowledgement, Warned
from trust.gate import Admitted, Decision, Refused

NAME, WHEEL = make_wheel()
BOB, CAROL, DAVE = REVIEWERS
SQL = Warned("a1" * 32, "B608", "example_plugin/query.py")
PICKLE = Warned("b2" * 32, "B301", "example_plugin/data store.py")
OTHER = Warned("c3" * 32, "B608", "example_plugin/query.py")


@pytest.fixture(scope="module")
def t() -> TrustFixture:
    return TrustFixture()


def said(*findings: Warned, reason: str = "the statement is a constant") -> list[Acknowledgement]:
    return [Acknowledgement(finding, reason) for finding in findings]


def decide(
    t: TrustFixture,
    *reviews: Sequence[Acknowledgement],
    scans: Sequence[bytes] = (),
    who: Sequence[str] = (BOB, CAROL, DAVE),
) -> Decision:
    """Ask about a complete set whose scan names both findings, each review with its answers."""
    scans = scans or [t.scan(NAME, WHEEL, result="WARNED", warned=(SQL, PICKLE))]
    bundles = [t.submit(NAME, WHEEL), *scans]
    bundles += [
        t.review(NAME, WHEEL, by, acknowledged=answers)
        for by, answers in zip(who, reviews, strict=False)
    ]
    return t.decide(WHEEL, NAME, [*bundles, t.publish(NAME, WHEEL, bundles)])


def refused(decision: Decision, step: str, code: str) -> Refused:
    assert isinstance(decision, Refused), decision
    assert (decision.step, decision.problem.code) == (step, code), decision.diagnostics()
    assert all(p.what and p.value and p.expected and p.advice for p in decision.problems)
    return decision


def test_approvals_that_acknowledge_every_finding_are_admitted(t: TrustFixture) -> None:
    decision = decide(t, said(SQL, PICKLE), said(PICKLE, SQL, reason="our own file"))
    assert isinstance(decision, Admitted), decision


def test_approvals_without_acknowledgement_are_refused_finding_by_finding(t: TrustFixture) -> None:
    decision = refused(decide(t, (), ()), "review", "gate.not-acknowledged")
    assert len(decision.problems) == 4
    text = decision.diagnostics()
    assert f"B608 in {SQL.path}, {SQL.fingerprint}" in text
    assert f"B301 in {PICKLE.path}, {PICKLE.fingerprint}" in text
    assert "--acknowledge FINGERPRINT=REASON" in text
    assert BOB in text
    assert CAROL in text


def test_every_approval_that_counts_must_acknowledge(t: TrustFixture) -> None:
    full = said(SQL, PICKLE)
    decision = refused(decide(t, full, said(SQL)), "review", "gate.not-acknowledged")
    assert [p.value for p in decision.problems] == [f"B301 in {PICKLE.path}, {PICKLE.fingerprint}"]
    assert CAROL in decision.problem.where
    refused(decide(t, full, full, ()), "review", "gate.not-acknowledged")


def test_the_silence_of_somebody_who_may_not_review_does_no_harm(t: TrustFixture) -> None:
    full = said(SQL, PICKLE)
    decision = decide(t, full, full, (), who=(BOB, CAROL, "eve@example.com"))
    assert isinstance(decision, Admitted), decision


@pytest.mark.parametrize(
    "stranger",
    [
        OTHER,
        Warned(SQL.fingerprint, "B301", SQL.path),
        Warned(SQL.fingerprint, SQL.rule, "example_plugin/other.py"),
        SQL,
    ],
    ids=["another finding", "another rule", "another path", "twice"],
)
def test_what_the_scan_did_not_name_is_not_acknowledged(t: TrustFixture, stranger: Warned) -> None:
    decision = decide(t, said(SQL, PICKLE, stranger), said(SQL, PICKLE))
    refused(decision, "review", "gate.acknowledged-unknown")


def test_without_warnings_nothing_can_be_acknowledged(t: TrustFixture) -> None:
    scan = [t.scan(NAME, WHEEL)]
    assert isinstance(decide(t, (), (), scans=scan), Admitted)
    refused(decide(t, said(SQL), (), scans=scan), "review", "gate.acknowledged-unknown")


def scan_of(t: TrustFixture, result: str, tests: list[Any] | None) -> bytes:
    predicate: dict[str, Any] = {
        "result": result,
        "configuration": [{"name": "scan-policy.json", "digest": {"sha256": POLICY_SHA256}}],
        "sealgate_report": {"name": "report.sarif", "digest": {"sha256": REPORT_SHA256}},
    }
    if tests is not None:
        predicate["warnedTests"] = tests
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": sha256(WHEEL)}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": predicate,
    }
    return t.sigstore.sign(SCANNER, json.dumps(statement).encode())


@pytest.mark.parametrize(
    ("result", "tests"),
    [
        ("WARNED", None),
        ("WARNED", []),
        ("PASSED", [SQL.text]),
        ("WARNED", ["B608"]),
        ("WARNED", [SQL.text.upper()]),
        ("WARNED", [SQL.text, SQL.text]),
    ],
    ids=["unnamed", "none", "passed", "a rule only", "no fingerprint", "twice"],
)
def test_a_scan_that_does_not_name_its_warnings_is_refused(
    t: TrustFixture, result: str, tests: list[Any] | None
) -> None:
    decision = decide(t, said(SQL), said(SQL), scans=[scan_of(t, result, tests)])
    refused(decision, "scan", "gate.scan-warnings")


def test_two_scans_that_name_different_findings_contradict_each_other(t: TrustFixture) -> None:
    full = t.scan(NAME, WHEEL, result="WARNED", warned=(SQL, PICKLE))
    less = t.scan(NAME, WHEEL, result="WARNED", warned=(SQL,))
    none = t.scan(NAME, WHEEL)
    for other in (less, none):
        for scans in ([full, other], [other, full]):
            answers = said(SQL)
            refused(decide(t, answers, answers, scans=scans), "scan", "gate.conflict")
