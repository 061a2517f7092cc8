"""Statements: made deterministically, in the shape that the published schemas accept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from trust import strictjson
from trust.evidence import statements
from trust.evidence.acknowledgements import Acknowledgement, Warned, warned
from trust.evidence.predicates import (
    PREDICATE_TYPES,
    PUBLISH,
    REVIEW,
    SCAN,
    STEPS,
    SUBMIT,
    check_predicate,
    step_of,
)

DIGEST = "ab" * 32
OTHER = "cd" * 32
NAME = "example_plugin-1.0.0-py3-none-any.whl"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def made() -> dict[str, bytes]:
    return {
        "submit": statements.submit_statement(NAME, DIGEST),
        "scan": statements.scan_statement(
            NAME,
            DIGEST,
            result="WARNED",
            policy_sha256=OTHER,
            report_sha256=OTHER,
            warned=(Warned(DIGEST, "B608", "a b.py"),),
        ),
        "review": statements.review_statement(
            NAME,
            DIGEST,
            decision="approve",
            report_sha256=OTHER,
            previous_sha256=None,
            policy_sha256=OTHER,
            acknowledged=(Acknowledgement(Warned(DIGEST, "B608", "a b.py"), "constant"),),
        ),
        "publish": statements.publish_statement(
            NAME, DIGEST, inputs=[OTHER, DIGEST], layout_sha256=OTHER, time=NOW, verifier_id="v"
        ),
    }


@pytest.mark.parametrize("step", STEPS)
def test_a_made_statement_has_its_type_its_subject_and_an_accepted_predicate(step: Any) -> None:
    statement = strictjson.loads(made()[step])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": NAME, "digest": {"sha256": DIGEST}}]
    assert step_of(statement["predicateType"]) == step
    assert check_predicate(step, statement["predicate"]) is None


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert made() == made()


def test_the_predicate_types_are_those_that_the_design_names() -> None:
    assert [PREDICATE_TYPES[step] for step in STEPS] == [SUBMIT, SCAN, REVIEW, PUBLISH]
    assert SUBMIT == "https://docs.pypi.org/attestations/publish/v1"
    assert SCAN == "https://in-toto.io/attestation/test-result/v0.1"
    assert REVIEW == "https://sealgate.dev/attestation/review/v1"
    assert PUBLISH == "https://slsa.dev/verification_summary/v1"
    assert step_of(SUBMIT + "/") is None


def test_the_summary_names_the_version_as_a_package_url() -> None:
    predicate = strictjson.loads(made()["publish"])["predicate"]
    assert predicate["resourceUri"] == "pkg:pypi/example-plugin@1.0.0"
    assert predicate["timeVerified"] == "2026-01-02T03:04:05Z"
    assert statements.resource_uri("a", "1!2.0+x") == "pkg:pypi/a@1%212.0%2Bx"


def test_a_warning_names_the_finding_and_the_review_answers_it() -> None:
    finding = Warned(DIGEST, "B608", "a b.py")
    scan = strictjson.loads(made()["scan"])["predicate"]
    assert scan["warnedTests"] == [f"{DIGEST} B608 a b.py"]
    assert warned(scan) == (finding,)
    review = strictjson.loads(made()["review"])["predicate"]
    assert review["acknowledged"] == [
        {"fingerprint": DIGEST, "rule": "B608", "path": "a b.py", "reason": "constant"}
    ]


@pytest.mark.parametrize(
    ("result", "names"),
    [
        ("WARNED", ()),
        ("PASSED", (Warned(DIGEST, "B608", "a.py"),)),
        ("WARNED", (Warned("ab", "B608", "a.py"),)),
        ("WARNED", (Warned(DIGEST, "B608", "a.py"),) * 201),
    ],
)
def test_a_scan_whose_warnings_do_not_fit_is_not_stated(
    result: Any, names: tuple[Warned, ...]
) -> None:
    with pytest.raises(ValueError, match=r"acknowledge|fingerprint"):
        statements.scan_statement(
            NAME, DIGEST, result=result, policy_sha256=OTHER, report_sha256=OTHER, warned=names
        )


@pytest.mark.parametrize("reason", ["", " \n", "x" * 401])
def test_an_acknowledgement_has_a_reason(reason: str) -> None:
    entry = Acknowledgement(Warned(DIGEST, "B608", "a.py"), reason)
    with pytest.raises(ValueError, match="reason"):
        statements.review_statement(
            NAME,
            DIGEST,
            decision="approve",
            report_sha256=OTHER,
            previous_sha256=None,
            policy_sha256=OTHER,
            acknowledged=(entry,),
        )
    predicate = strictjson.loads(made()["review"])["predicate"]
    predicate["acknowledged"][0]["reason"] = reason
    assert check_predicate("review", predicate) is not None


@pytest.mark.parametrize("digest", ["AB" * 32, "ab" * 31, "ab" * 32 + "\n", "sha256:" + "ab" * 32])
def test_a_digest_is_64_lowercase_hexadecimal_digits(digest: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        statements.submit_statement(NAME, digest)


@pytest.mark.parametrize("predicate", [None, {}, {"later": 1}])
def test_a_publish_attestation_may_be_empty_or_absent(predicate: Any) -> None:
    assert check_predicate("submit", predicate) is None


@pytest.mark.parametrize("step", ["scan", "publish"])
def test_unknown_members_are_tolerated_where_the_specification_says_so(step: Any) -> None:
    predicate = strictjson.loads(made()[step])["predicate"] | {"unheard_of": [1]}
    assert check_predicate(step, predicate) is None


def changed(step: str, **changes: Any) -> Any:
    predicate = strictjson.loads(made()[step])["predicate"]
    return {k: v for k, v in (predicate | changes).items() if v != "absent"}


UPPER = {"name": "report.sarif", "digest": {"sha256": "AB" * 32}}
NEWLINE = {"name": "report.sarif", "digest": {"sha256": DIGEST + "\n"}}


@pytest.mark.parametrize(
    ("step", "predicate", "where"),
    [
        ("submit", ["x"], "/predicate"),
        ("scan", None, "/predicate"),
        ("scan", changed("scan", result="passed"), "/predicate/result"),
        ("scan", changed("scan", result="absent"), "/predicate"),
        ("scan", changed("scan", configuration=[]), "/predicate/configuration"),
        ("scan", changed("scan", sealgate_report=UPPER), "/predicate/sealgate_report"),
        ("scan", changed("scan", sealgate_report=NEWLINE), "/predicate/sealgate_report"),
        ("review", changed("review", unheard_of=1), "/predicate"),
        ("review", changed("review", decision="approved"), "/predicate/decision"),
        ("review", changed("review", report=UPPER), "/predicate/report"),
        ("review", changed("review", comment="x" * 10_001), "/predicate/comment"),
        ("review", changed("review", previous="absent"), "/predicate"),
        ("publish", changed("publish", inputAttestations=[]), "/predicate/inputAttestations"),
        ("publish", changed("publish", policy="absent"), "/predicate"),
        ("publish", changed("publish", timeVerified="yesterday"), "/predicate/timeVerified"),
    ],
)
def test_a_predicate_of_another_shape_is_refused_by_its_place(
    step: Any, predicate: Any, where: str
) -> None:
    found = check_predicate(step, predicate)
    assert found is not None
    assert found.code == "evidence.predicate"
    assert found.where.startswith(where)
