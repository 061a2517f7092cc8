"""Reviews: who may, on what, once; and that nothing else ever counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.evidence import AUTHOR, OUTSIDER, REVIEWERS, TrustFixture, sha256
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel
from trust.evidence import statements
from trust.layout import sign_layout

BOB, CAROL, DAVE = REVIEWERS


@pytest.fixture
def reviewed(registry: RegistryFixture) -> RegistryFixture:
    """A registry with example-plugin 1.0.0 in review."""
    registry.submit(*make_wheel())
    registry.worker.run_once()
    return registry


def refused(answer: TestResponse, status: int, *codes: str) -> Any:
    body = answer.get_json()
    assert answer.status_code == status, body
    assert {p["code"] for p in body["problems"]} == set(codes)
    return body["problems"]


def test_an_outsider_cannot_review(reviewed: RegistryFixture) -> None:
    (found,) = refused(
        reviewed.post_review(reviewed.review_bundle(OUTSIDER)), 403, "registry.not-a-reviewer"
    )
    assert OUTSIDER in found["value"]
    assert BOB in found["expected"]
    assert reviewed.view()["reviews"] == []


def test_an_identity_that_differs_in_case_cannot_review(reviewed: RegistryFixture) -> None:
    answer = reviewed.post_review(reviewed.review_bundle("Bob@example.com"))
    refused(answer, 403, "registry.not-a-reviewer")


def test_an_author_cannot_review(reviewed: RegistryFixture) -> None:
    refused(reviewed.post_review(reviewed.review_bundle(AUTHOR)), 403, "registry.own-plugin")


def test_an_author_who_is_a_reviewer_cannot_review_their_own(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel(), by=BOB)
    registry.worker.run_once()
    refused(registry.post_review(registry.review_bundle(BOB)), 403, "registry.own-plugin")
    assert registry.view()["approvals"] == 0


def test_a_reviewer_counts_once(reviewed: RegistryFixture) -> None:
    bundle = reviewed.review_bundle(BOB)
    assert reviewed.post_review(bundle).status_code == 201
    assert reviewed.post_review(bundle).status_code == 200
    refused(reviewed.post_review(reviewed.review_bundle(BOB)), 409, "registry.already-reviewed")
    reject = reviewed.review_bundle(BOB, decision="reject", comment="no")
    refused(reviewed.post_review(reject), 409, "registry.already-reviewed")
    view = reviewed.view()
    assert (view["approvals"], len(view["reviews"]), len(view["timeline"])) == (1, 1, 4)
    assert not reviewed.worker.run_once()


def test_a_rejection_is_final_and_says_why(reviewed: RegistryFixture) -> None:
    reviewed.post_review(reviewed.review_bundle(BOB))
    bundle = reviewed.review_bundle(CAROL, decision="reject", comment="It reads the clipboard.")
    assert reviewed.post_review(bundle).status_code == 201
    view = reviewed.view()
    assert (view["state"], view["waits_for"]) == ("rejected", "nothing")
    assert "It reads the clipboard." in view["timeline"][-1]["detail"]
    refused(reviewed.post_review(reviewed.review_bundle(DAVE)), 409, "registry.not-in-review")
    assert not reviewed.worker.run_once()


def test_a_rejection_without_a_reason_is_refused(reviewed: RegistryFixture) -> None:
    bundle = reviewed.review_bundle(CAROL, decision="reject", comment=" ")
    refused(reviewed.post_review(bundle), 422, "registry.review-reason")
    assert reviewed.view()["state"] == "in_review"


OTHER = sha256(b"another file")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"report_sha256": OTHER}, "registry.review-report"),
        ({"policy_sha256": OTHER}, "registry.review-policy"),
        ({"previous_sha256": OTHER}, "registry.review-previous"),
        ({"sha256": OTHER}, "registry.wrong-subject"),
        ({"filename": "example_plugin-1.0.1-py3-none-any.whl"}, "registry.wrong-subject"),
        ({"comment": "x" * 4001}, "registry.review-comment"),
    ],
)
def test_a_review_of_something_else_is_refused(
    reviewed: RegistryFixture, change: dict[str, str], code: str
) -> None:
    refused(reviewed.post_review(reviewed.review_bundle(BOB, **change)), 422, code)
    assert reviewed.view()["reviews"] == []


def test_a_review_of_another_version_cannot_be_replayed(registry: RegistryFixture) -> None:
    """The same report and policy, the same reviewer, another wheel."""
    for version in ("1.0.0", "1.1.0"):
        registry.submit(*make_wheel(version=version))
        registry.worker.run_once()
    bundle = registry.review_bundle(BOB, version="1.0.0")
    assert registry.post_review(bundle, version="1.1.0").status_code == 422
    assert registry.view(version="1.1.0")["reviews"] == []


def test_a_malformed_predicate_is_refused(reviewed: RegistryFixture) -> None:
    materials = reviewed.client.get(
        "/api/v1/plugins/example-plugin/1.0.0/review-materials"
    ).get_json()
    assert materials.pop("acknowledge") == []
    statement = statements.review_statement(decision="approve", **materials)
    odd = statement.replace(b'"decision":"approve"', b'"decision":"publish"')
    answer = reviewed.post_review(reviewed.trust.sigstore.sign(BOB, odd))
    refused(answer, 422, "evidence.predicate")


def test_a_submission_is_not_a_review(reviewed: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    bundle = reviewed.trust.submit(filename, wheel, by=BOB)
    refused(reviewed.post_review(bundle), 422, "registry.wrong-statement")


def test_nothing_can_be_reviewed_before_its_scan(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    place = "/api/v1/plugins/example-plugin/1.0.0"
    assert registry.client.get(f"{place}/review-materials").status_code == 409
    assert registry.client.get(f"{place}/report").status_code == 404
    bundle = registry.trust.review(*make_wheel(), by=BOB)
    refused(registry.post_review(bundle), 409, "registry.not-in-review")


def test_no_review_counts_under_an_expired_layout(reviewed: RegistryFixture) -> None:
    bundle = reviewed.review_bundle(BOB)
    later = datetime.now(UTC) + timedelta(days=31)
    reviewed.now = lambda: later
    refused(reviewed.post_review(bundle), 503, "layout.expired")
    view = reviewed.view()
    assert (view["waits_for"], view["approvals_needed"]) == ("a valid layout", 0)
    answer = reviewed.client.get("/readyz")
    refused(answer, 503, "layout.expired")
    assert answer.headers["Retry-After"]


def test_a_layout_that_its_owners_did_not_sign_is_refused(reviewed: RegistryFixture) -> None:
    stranger = TrustFixture(reviewed.trust.sigstore, reviewers=(OUTSIDER, DAVE))
    bundle = reviewed.review_bundle(OUTSIDER)
    reviewed.settings.layout.write_bytes(stranger.layout)
    refused(reviewed.post_review(bundle), 503, "layout.signatures")


def test_a_new_layout_of_its_owners_counts_at_once(reviewed: RegistryFixture) -> None:
    """A reviewer who left does not count any longer, even where they approved before."""
    for reviewer in (BOB, CAROL):
        reviewed.post_review(reviewed.review_bundle(reviewer))
    assert reviewed.view()["waits_for"] == "publication"
    model = reviewed.trust.make_layout(reviewers=(CAROL, DAVE))
    reviewed.settings.layout.write_bytes(sign_layout(model, reviewed.trust.owner_signers))
    assert reviewed.view()["waits_for"] == "1 of 2 approvals"
    assert not reviewed.worker.run_once()
    reviewed.post_review(reviewed.review_bundle(DAVE))
    reviewed.worker.run_once()
    assert reviewed.view()["state"] == "published"


def test_the_version_to_compare_with_is_fixed_when_review_begins(
    registry: RegistryFixture,
) -> None:
    filename, wheel = make_wheel(version="1.0.0")
    registry.publish(filename, wheel)
    for version in ("1.1.0", "1.2.0"):
        registry.submit(*make_wheel(version=version))
        registry.worker.run_once()
    registry.post_review(registry.review_bundle(BOB, version="1.2.0"), version="1.2.0")
    for reviewer in (BOB, CAROL):
        registry.post_review(registry.review_bundle(reviewer, version="1.1.0"), version="1.1.0")
    registry.worker.run_once()
    assert registry.view(version="1.1.0")["state"] == "published"

    bundle = registry.review_bundle(CAROL, version="1.2.0", previous_sha256=sha256(wheel))
    assert registry.post_review(bundle, version="1.2.0").status_code == 201


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"{}", 415),
        ("multipart/form-data; boundary=x", b"{}", 415),
        ("application/json", b"", 422),
        ("application/json", b" " * (256 * 1024 + 1), 413),
        ("application/json", b"[]", 422),
    ],
)
def test_a_malformed_body_is_refused(
    reviewed: RegistryFixture, content_type: str, body: bytes, status: int
) -> None:
    answer = reviewed.client.post(
        "/api/v1/plugins/example-plugin/1.0.0/reviews", data=body, content_type=content_type
    )
    assert answer.status_code == status, answer.get_json()


def test_a_review_of_what_is_not_there(reviewed: RegistryFixture, tmp_path: Path) -> None:
    bundle = reviewed.review_bundle(BOB)
    refused(reviewed.post_review(bundle, version="9.9"), 404, "registry.no-such-version")
    refused(reviewed.post_review(bundle, name="nothing"), 404, "registry.no-such-plugin")
