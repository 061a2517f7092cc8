"""The gate: the complete set is admitted; whatever is missing, wrong or foreign is refused by the
step that it belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.evidence import (
    AUTHOR,
    OUTSIDER,
    REGISTRY,
    REPORT_SHA256,
    REVIEWERS,
    SCANNER,
    TrustFixture,
    sha256,
)
from tests.support.tamper import certificates_for
from tests.support.wheels import make_wheel
from trust.evidence import statements
from trust.gate import Admitted, Decision, Gate, Refused
from trust.identity import Identity
from trust.layout import sign_layout

NAME, WHEEL = make_wheel()
NEXT_NAME, NEXT_WHEEL = make_wheel(version="1.0.1")
OTHER_NAME, OTHER_WHEEL = make_wheel("other-plugin")
BOB, CAROL, DAVE = REVIEWERS


@pytest.fixture(scope="module")
def t() -> TrustFixture:
    return TrustFixture()


@pytest.fixture(scope="module")
def full(t: TrustFixture) -> tuple[bytes, ...]:
    return tuple(t.full(NAME, WHEEL))


def refused(decision: Decision, step: str, code: str) -> Refused:
    assert isinstance(decision, Refused), decision
    codes = [problem.code for problem in decision.problems]
    assert (decision.step, decision.problem.code) == (step, code), decision.diagnostics()
    assert all(p.what and p.advice for p in decision.problems), codes
    return decision


def admitted(decision: Decision) -> Admitted:
    assert isinstance(decision, Admitted), decision.diagnostics()
    return decision


def published(t: TrustFixture, bundles: Sequence[bytes], **how: Any) -> list[bytes]:
    """Complete `bundles` with the registry's summary over all of them."""
    return [*bundles, t.publish(NAME, WHEEL, bundles, **how)]


# What is admitted


def test_a_complete_set_is_admitted_with_everyone_named(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    decision = admitted(t.decide(WHEEL, NAME, full))
    assert decision.plugin.name == "example-plugin"
    assert decision.plugin.sha256 == sha256(WHEEL)
    assert decision.author == t.identity(AUTHOR)
    assert decision.reviewers == (t.identity(BOB), t.identity(CAROL))
    assert decision.scanner == t.identity(SCANNER)
    assert decision.registry == t.identity(REGISTRY)
    assert decision.bundle_sha256s == tuple(sorted(map(sha256, full)))
    assert t.gate.layout is not None
    assert decision.layout_sha256 == t.gate.layout.sha256
    assert decision.expires > datetime.now(UTC)


def test_the_order_of_bundles_and_copies_of_them_change_nothing(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    decision = t.decide(WHEEL, NAME, full)
    assert t.decide(WHEEL, NAME, full[::-1]) == decision
    assert t.decide(WHEEL, NAME, full * 2) == decision


def test_before_publication_the_summary_is_not_asked_for(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    decision = admitted(t.decide(WHEEL, NAME, full[:4], before_publish=True))
    assert decision.registry is None
    assert decision.bundle_sha256s == tuple(sorted(map(sha256, full[:4])))
    refused(t.decide(WHEEL, NAME, full[:4]), "publish", "gate.threshold")


def test_an_approval_that_came_after_publication_counts_too(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    decision = admitted(t.decide(WHEEL, NAME, [*full, t.review(NAME, WHEEL, DAVE)]))
    assert len(decision.reviewers) == 3


def test_the_reviews_of_a_stranger_and_other_predicates_do_no_harm(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    provenance = json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": NAME, "digest": {"sha256": sha256(WHEEL)}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {},
        }
    ).encode()
    comments = [
        t.review(NAME, WHEEL, OUTSIDER, decision="reject"),
        t.scan(NAME, WHEEL, by=OUTSIDER, result="FAILED"),
        t.submit(NAME, WHEEL, by=OUTSIDER),
        t.publish(NAME, WHEEL, full[:4], by=OUTSIDER),
        t.sigstore.sign("ci@example.com", provenance),
    ]
    decision = admitted(t.decide(WHEEL, NAME, [*comments, *full]))
    assert decision == t.decide(WHEEL, NAME, full)


def test_a_second_comment_of_one_reviewer_counts_once_and_does_no_harm(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    again = t.review(NAME, WHEEL, BOB, comment="I still think so.")
    decision = admitted(t.decide(WHEEL, NAME, [*full, again]))
    assert decision.reviewers == (t.identity(BOB), t.identity(CAROL))


def test_it_does_not_matter_which_of_two_equal_statements_the_summary_lists(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    submit, scan, review = t.submit(NAME, WHEEL), t.scan(NAME, WHEEL), t.review(NAME, WHEEL, BOB)
    at_hand = [*full[:4], submit, scan, review]
    for listed in (full[:4], [submit, scan, review, full[3]]):
        summary = t.publish(NAME, WHEEL, listed)
        admitted(t.decide(WHEEL, NAME, [*at_hand, summary]))


# submit


def test_without_a_submit_statement_it_is_refused(t: TrustFixture, full: tuple[bytes, ...]) -> None:
    refused(t.decide(WHEEL, NAME, full[1:]), "submit", "gate.threshold")
    refused(t.decide(WHEEL, NAME, []), "submit", "gate.threshold")


def test_whoever_may_not_publish_this_plugin_cannot_submit_it(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    bundles = published(t, [t.submit(NAME, WHEEL, by=OUTSIDER), *full[1:4]])
    decision = refused(t.decide(WHEEL, NAME, bundles), "submit", "gate.threshold")
    assert decision.problems[1].code == "gate.not-authorised"
    assert OUTSIDER in decision.problems[1].value


def test_an_identity_that_differs_in_case_is_another_identity(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    publishers = [t.identity("Alice@example.com")]
    decision = t.decide(WHEEL, NAME, full, publishers=publishers)
    assert refused(decision, "submit", "gate.threshold").problems[1].code == "gate.not-authorised"
    bundles = published(t, [*full[:3], t.review(NAME, WHEEL, "Carol@example.com")])
    refused(t.decide(WHEEL, NAME, bundles), "review", "gate.threshold")


def test_the_same_subject_of_another_issuer_is_another_identity(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    publishers = [Identity("https://other.test", AUTHOR)]
    refused(t.decide(WHEEL, NAME, full, publishers=publishers), "submit", "gate.threshold")
    with certificates_for(t.sigstore, Identity("https://other.test", CAROL)):
        foreign = t.review(NAME, WHEEL, CAROL)
    bundles = published(t, [*full[:3], foreign])
    decision = refused(t.decide(WHEEL, NAME, bundles), "review", "gate.threshold")
    assert "https://other.test" in decision.problems[1].value


@pytest.mark.parametrize(
    ("publishers", "code"),
    [
        ([], "gate.no-publishers"),
        ([Identity("", AUTHOR)], "gate.publisher"),
        ([Identity("https://authority.test\nx", AUTHOR)], "gate.publisher"),
    ],
)
def test_an_unusable_list_of_publishers_is_refused(
    t: TrustFixture, full: tuple[bytes, ...], publishers: list[Identity], code: str
) -> None:
    refused(t.decide(WHEEL, NAME, full, publishers=publishers), "submit", code)


def test_two_authors_of_one_wheel_are_refused(t: TrustFixture, full: tuple[bytes, ...]) -> None:
    # Otherwise the one could submit and the other approve, each for the other.
    publishers = [t.author, t.identity(OUTSIDER)]
    bundles = [*full, t.submit(NAME, WHEEL, by=OUTSIDER)]
    decision = t.decide(WHEEL, NAME, bundles, publishers=publishers)
    refused(decision, "submit", "gate.several-authors")


# scan


def test_without_a_scan_it_is_refused(t: TrustFixture, full: tuple[bytes, ...]) -> None:
    bundles = published(t, [full[0], *full[2:4]])
    refused(t.decide(WHEEL, NAME, bundles), "scan", "gate.threshold")


def test_a_failed_scan_is_refused(t: TrustFixture, full: tuple[bytes, ...]) -> None:
    failed = t.scan(NAME, WHEEL, result="FAILED")
    decision = t.decide(WHEEL, NAME, published(t, [full[0], failed, *full[2:4]]))
    assert refused(decision, "scan", "gate.scan-failed").problem.value == "FAILED"
    refused(t.decide(WHEEL, NAME, [*full, failed]), "scan", "gate.scan-failed")


def test_a_scan_by_somebody_else_does_not_count(t: TrustFixture, full: tuple[bytes, ...]) -> None:
    for signer in (OUTSIDER, AUTHOR, BOB, REGISTRY):
        scan = t.scan(NAME, WHEEL, by=signer)
        decision = t.decide(WHEEL, NAME, published(t, [full[0], scan, *full[2:4]]))
        refused(
            decision,
            "scan",
            "gate.author-vouched-for-own" if signer == AUTHOR else "gate.threshold",
        )


def test_two_scans_that_contradict_each_other_are_refused(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    other = t.scan(NAME, WHEEL, report_sha256=sha256(b"another report"))
    refused(t.decide(WHEEL, NAME, [*full, other]), "scan", "gate.conflict")


# review


@pytest.mark.parametrize("kept", [(), (2,), (3,)])
def test_a_missing_approval_is_refused(
    t: TrustFixture, full: tuple[bytes, ...], kept: tuple[int, ...]
) -> None:
    bundles = published(t, [*full[:2], *(full[i] for i in kept)])
    decision = refused(t.decide(WHEEL, NAME, bundles), "review", "gate.threshold")
    assert decision.problem.value.startswith(f"{len(kept)} of 2")


def test_a_second_approval_by_the_same_reviewer_does_not_count(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    again = t.review(NAME, WHEEL, BOB, comment="And again.")
    decision = t.decide(WHEEL, NAME, published(t, [*full[:3], again]))
    assert refused(decision, "review", "gate.threshold").problem.value.startswith("1 of 2")


@pytest.mark.parametrize("signer", [OUTSIDER, SCANNER, REGISTRY])
def test_an_approval_by_somebody_else_does_not_count(
    t: TrustFixture, full: tuple[bytes, ...], signer: str
) -> None:
    bundles = published(t, [*full[:3], t.review(NAME, WHEEL, signer)])
    decision = refused(t.decide(WHEEL, NAME, bundles), "review", "gate.threshold")
    assert decision.problems[1].code == "gate.not-authorised"
    assert signer in decision.problems[1].value


def test_the_author_cannot_approve_their_own_plugin(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    bundles = published(t, [*full[:3], t.review(NAME, WHEEL, AUTHOR)])
    refused(t.decide(WHEEL, NAME, bundles), "review", "gate.author-approved-own")


def test_an_author_who_is_a_reviewer_cannot_approve_their_own_plugin() -> None:
    t = TrustFixture(author=BOB)
    own = [*t.before_publish(NAME, WHEEL)]  # submitted by Bob, approved by Bob and Carol
    decision = t.decide(WHEEL, NAME, published(t, own))
    assert BOB in refused(decision, "review", "gate.author-approved-own").problem.value
    # With another's approval it is admitted, and Bob's is not among those that count.
    enough = [*own, t.review(NAME, WHEEL, DAVE)]
    decision = admitted(t.decide(WHEEL, NAME, published(t, enough)))
    assert decision.reviewers == (t.identity(CAROL), t.identity(DAVE))
    assert sha256(own[2]) not in decision.bundle_sha256s


def test_an_author_who_is_a_reviewer_leaves_too_few() -> None:
    t = TrustFixture(author=BOB, reviewers=(BOB, CAROL))
    bundles = t.full(NAME, WHEEL)
    refused(t.decide(WHEEL, NAME, bundles), "review", "gate.author-approved-own")


@pytest.mark.parametrize("role", ["scanner", "registry"])
def test_an_author_can_do_no_other_step_either(role: str) -> None:
    t = TrustFixture(**{role: AUTHOR})  # type: ignore[arg-type]
    step = {"scanner": "scan", "registry": "publish"}[role]
    decision = t.decide(WHEEL, NAME, t.full(NAME, WHEEL))
    refused(decision, step, "gate.author-vouched-for-own")


def test_one_rejection_by_a_reviewer_refuses(t: TrustFixture, full: tuple[bytes, ...]) -> None:
    reject = t.review(NAME, WHEEL, DAVE, decision="reject", comment="It phones home.")
    decision = refused(t.decide(WHEEL, NAME, [*full, reject]), "review", "gate.rejected")
    assert decision.problem.value == "It phones home."
    assert DAVE in decision.problem.what


def test_a_reviewer_who_changed_their_mind_refuses(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    reject = t.review(NAME, WHEEL, BOB, decision="reject")
    refused(t.decide(WHEEL, NAME, [*full, reject]), "review", "gate.rejected")


def test_an_authors_rejection_of_their_own_plugin_does_not_count() -> None:
    t = TrustFixture(author=BOB)
    reviews = [t.review(NAME, WHEEL, CAROL), t.review(NAME, WHEEL, DAVE)]
    bundles = published(t, [t.submit(NAME, WHEEL), t.scan(NAME, WHEEL), *reviews])
    own = t.review(NAME, WHEEL, BOB, decision="reject")
    admitted(t.decide(WHEEL, NAME, [*bundles, own]))


@pytest.mark.parametrize("what", ["report_sha256", "policy_sha256"])
def test_approvals_of_another_report_or_policy_are_refused(
    t: TrustFixture, full: tuple[bytes, ...], what: str
) -> None:
    other = {what: sha256(b"another")}
    both = [t.review(NAME, WHEEL, who, **other) for who in (BOB, CAROL)]  # type: ignore[arg-type]
    refused(t.decide(WHEEL, NAME, published(t, [*full[:2], *both])), "review", "gate.rules")
    one = published(t, [*full[:3], both[1]])
    refused(t.decide(WHEEL, NAME, one), "review", "gate.disagreement")


def test_with_a_threshold_of_one_all_who_count_must_still_agree() -> None:
    t = TrustFixture(review_threshold=1)
    other = t.review(NAME, WHEEL, CAROL, report_sha256=sha256(b"another"))
    bundles = [*t.before_publish(NAME, WHEEL)[:3], other]
    refused(t.decide(WHEEL, NAME, published(t, bundles)), "review", "gate.disagreement")


def test_one_reviewer_who_approved_two_reports_is_refused(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    other = t.review(NAME, WHEEL, BOB, report_sha256=sha256(b"another"))
    decision = refused(t.decide(WHEEL, NAME, [*full, other]), "review", "gate.conflict")
    assert BOB in decision.problem.value


def resigned(t: TrustFixture, signer: str, statement: bytes, **changes: Any) -> bytes:
    return t.sigstore.sign(signer, json.dumps(json.loads(statement) | changes).encode())


def test_a_review_typed_as_a_scan_counts_as_neither(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    review = statements.review_statement(
        NAME,
        sha256(WHEEL),
        decision="approve",
        report_sha256=REPORT_SHA256,
        previous_sha256=None,
        policy_sha256=sha256(b"x"),
    )
    by_reviewer = resigned(t, CAROL, review, predicateType=statements.SCAN)
    bundles = published(t, [*full[:3], by_reviewer])
    refused(t.decide(WHEEL, NAME, bundles), "review", "gate.threshold")
    by_scanner = resigned(t, SCANNER, review, predicateType=statements.SCAN)
    bundles = published(t, [full[0], by_scanner, *full[2:4]])
    refused(t.decide(WHEEL, NAME, bundles), "scan", "evidence.predicate")


def test_the_step_follows_from_the_type_never_from_a_name_inside(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    scan = statements.scan_statement(
        NAME,
        sha256(WHEEL),
        result="PASSED",
        policy_sha256=sha256(b"scan policy"),
        report_sha256=REPORT_SHA256,
    )
    predicate = json.loads(scan)["predicate"] | {"name": "review", "step": "review"}
    bundles = published(t, [*full[:3], resigned(t, CAROL, scan, predicate=predicate)])
    refused(t.decide(WHEEL, NAME, bundles), "review", "gate.threshold")


# publish


def test_a_summary_by_somebody_else_does_not_count(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    for signer in (OUTSIDER, SCANNER, BOB):
        bundles = published(t, full[:4], by=signer)
        refused(t.decide(WHEEL, NAME, bundles), "publish", "gate.threshold")


@pytest.mark.parametrize("missing", range(4))
def test_a_summary_must_list_every_bundle_that_counts(
    t: TrustFixture, full: tuple[bytes, ...], missing: int
) -> None:
    listed = [sha256(b) for i, b in enumerate(full[:4]) if i != missing]
    bundles = published(t, full[:4], inputs=listed)
    refused(t.decide(WHEEL, NAME, bundles), "publish", "gate.summary-inputs")


def test_a_summary_that_lists_other_bundles_is_refused(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    other = published(t, full[:4], inputs=[sha256(b"%d" % i) for i in range(4)])
    refused(t.decide(WHEEL, NAME, other), "publish", "gate.summary-inputs")
    # One that also lists a bundle which is kept from us: there may have been a reason.
    more = published(t, full[:4], inputs=[*map(sha256, full[:4]), sha256(b"withheld")])
    decision = refused(t.decide(WHEEL, NAME, more), "publish", "gate.summary-inputs")
    assert decision.problem.value == sha256(b"withheld")


def test_a_summary_under_another_layout_does_not_count(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    other = sign_layout(t.make_layout(readme="older"), t.owner_signers)
    bundles = published(t, full[:4], layout=other)
    refused(t.decide(WHEEL, NAME, bundles), "publish", "gate.summary-layout")
    admitted(t.decide(WHEEL, NAME, [*full, bundles[4]]))


def test_a_summary_of_another_version_does_not_count(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    bundles = published(t, full[:4], resource_uri="pkg:pypi/example-plugin@1.0.1")
    refused(t.decide(WHEEL, NAME, bundles), "publish", "gate.summary-resource")


def test_a_summary_names_its_own_signer_as_verifier(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    bundles = published(t, full[:4], verifier_id="https://slsa.dev")
    refused(t.decide(WHEEL, NAME, bundles), "publish", "gate.summary-verifier")


def test_a_summary_that_says_failed_is_refused(t: TrustFixture, full: tuple[bytes, ...]) -> None:
    good = json.loads(
        statements.publish_statement(
            NAME,
            sha256(WHEEL),
            inputs=[sha256(b) for b in full[:4]],
            layout_sha256=t.gate.layout.sha256 if t.gate.layout else "",
            time=datetime.now(UTC),
            verifier_id=REGISTRY,
        )
    )
    good["predicate"]["verificationResult"] = "FAILED"
    failed = t.sigstore.sign(REGISTRY, json.dumps(good).encode())
    refused(t.decide(WHEEL, NAME, [*full[:4], failed]), "publish", "gate.summary-result")
    del good["predicate"]["verificationResult"]
    malformed = t.sigstore.sign(REGISTRY, json.dumps(good).encode())
    refused(t.decide(WHEEL, NAME, [*full[:4], malformed]), "publish", "evidence.predicate")


# The wheel and the bundles are about each other


def test_evidence_of_another_version_is_refused(t: TrustFixture, full: tuple[bytes, ...]) -> None:
    refused(t.decide(NEXT_WHEEL, NEXT_NAME, full), "submit", "evidence.subject")


@pytest.mark.parametrize(
    ("index", "step"),
    [(0, "submit"), (1, "scan"), (2, "review"), (3, "review"), (4, "publish")],
)
def test_one_bundle_of_another_version_among_good_ones_is_refused_by_its_step(
    t: TrustFixture, full: tuple[bytes, ...], index: int, step: str
) -> None:
    mixed = list(full)
    mixed[index] = t.full(NEXT_NAME, NEXT_WHEEL)[index]
    decision = refused(t.decide(WHEEL, NAME, mixed), step, "evidence.subject")
    assert sha256(NEXT_WHEEL) in decision.problem.value
    assert sha256(WHEEL) in decision.problem.expected


def test_the_same_bytes_under_another_name_are_refused(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    renamed = t.submit(OTHER_NAME, WHEEL)
    bundles = published(t, [renamed, *full[1:4]])
    refused(t.decide(WHEEL, NAME, bundles), "submit", "evidence.subject")


def test_the_evidence_of_one_plugin_does_not_do_for_another(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    refused(t.decide(OTHER_WHEEL, OTHER_NAME, full), "submit", "evidence.subject")


def test_a_flipped_byte_anywhere_in_the_wheel_is_refused(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    for place in range(0, len(WHEEL), 29):
        flipped = bytearray(WHEEL)
        flipped[place] ^= 1
        decision = t.decide(bytes(flipped), NAME, full)
        assert isinstance(decision, Refused)
        assert decision.step in ("wheel", "submit")


@pytest.mark.parametrize("wheel", [b"", b"PK", WHEEL[:-1], WHEEL + b"x", b"\x00" * 1000])
def test_a_broken_wheel_is_refused(t: TrustFixture, full: tuple[bytes, ...], wheel: bytes) -> None:
    decision = t.decide(wheel, NAME, full)
    assert isinstance(decision, Refused)
    assert decision.step == "wheel"


# The layout


def test_an_expired_layout_refuses_everything(t: TrustFixture, full: tuple[bytes, ...]) -> None:
    later = datetime.now(UTC) + timedelta(days=31)
    refused(t.decide(WHEEL, NAME, full, now=later), "layout", "layout.expired")
    assert t.gate.check(later) is not None
    assert t.gate.check(datetime.now(UTC)) is None


def test_a_layout_of_the_wrong_owner_refuses_everything(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    stranger = TrustFixture(t.sigstore)
    gate = Gate(t.sigstore.trusted_root, stranger.layout, t.owners)
    refused(t.decide(WHEEL, NAME, full, gate=gate), "layout", "layout.signatures")


def flips(data: bytes, step: int) -> Iterator[bytes]:
    for place in range(0, len(data), step):
        changed = bytearray(data)
        changed[place] ^= 1
        yield bytes(changed)


def test_a_flipped_byte_anywhere_in_the_layout_is_refused(full: tuple[bytes, ...]) -> None:
    t = TrustFixture(owners=1)
    for layout in flips(t.layout, 41):
        decision = t.decide(WHEEL, NAME, full, gate=t.gate_of(layout))
        assert isinstance(decision, Refused)
        assert decision.step == "layout"


def test_a_broken_owners_file_or_trusted_root_refuses_everything(
    t: TrustFixture, full: tuple[bytes, ...]
) -> None:
    gate = Gate(t.sigstore.trusted_root, t.layout, b"{}")
    refused(t.decide(WHEEL, NAME, full, gate=gate), "layout", "owners.format")
    gate = Gate(b"{}", t.layout, t.owners)
    refused(t.decide(WHEEL, NAME, full, gate=gate), "bundle", "trusted-root.invalid")


def test_evidence_of_another_sigstore_instance_is_refused(t: TrustFixture) -> None:
    foreign = TrustFixture()
    assert foreign.issuer == t.issuer
    decision = t.decide(WHEEL, NAME, foreign.full(NAME, WHEEL))
    refused(decision, "bundle", "bundle.format")


def test_two_scanners_may_be_asked_for(t: TrustFixture) -> None:
    second = "https://second.example.com/scanner"
    model = t.make_layout(scanner=[SCANNER, second])
    model.get_step_by_name("scan").threshold = 2
    layout = sign_layout(model, t.owner_signers)
    gate = t.gate_of(layout)
    one = t.before_publish(NAME, WHEEL)
    bundles = published(t, one, layout=layout)
    refused(t.decide(WHEEL, NAME, bundles, gate=gate), "scan", "gate.threshold")
    two = [*one, t.scan(NAME, WHEEL, by=second)]
    admitted(t.decide(WHEEL, NAME, published(t, two, layout=layout), gate=gate))


def test_the_epoch_changes_with_each_of_the_three(t: TrustFixture) -> None:
    other = TrustFixture()
    root, layout, owners = t.sigstore.trusted_root, t.layout, t.owners
    epochs = {
        Gate(root, layout, owners).epoch,
        Gate(other.sigstore.trusted_root, layout, owners).epoch,
        Gate(root, other.layout, owners).epoch,
        Gate(root, layout, other.owners).epoch,
    }
    assert len(epochs) == 4
    assert t.gate.epoch in epochs
    assert len(t.gate.epoch) == 64
