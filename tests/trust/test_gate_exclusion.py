"""The gate without a revoked reviewer, and the time since which a version is published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.evidence import REVIEWERS, TrustFixture
from tests.support.local_sigstore import LocalSigstore
from tests.support.wheels import make_wheel
from trust.gate import Admitted, Decision, Refused
from trust.identity import Identity
from trust.layout import sign_layout

NAME, WHEEL = make_wheel()
BOB, CAROL, DAVE = REVIEWERS


@pytest.fixture(scope="module")
def t() -> TrustFixture:
    return TrustFixture()


def without(t: TrustFixture, bundles: list[bytes], *excluded: str) -> Decision:
    who: set[Identity] = {t.identity(subject) for subject in excluded}
    return t.gate.decide(WHEEL, NAME, bundles, t.publishers, datetime.now(UTC), excluded=who)


def test_what_rested_on_an_excluded_reviewer_is_refused(t: TrustFixture) -> None:
    bundles = t.full(NAME, WHEEL)
    assert isinstance(without(t, bundles), Admitted)
    assert isinstance(without(t, bundles, DAVE), Admitted), "who said nothing is not missed"
    refused = without(t, bundles, BOB)
    assert isinstance(refused, Refused)
    assert (refused.step, refused.problem.code) == ("review", "gate.threshold")


def test_one_approval_more_than_needed_outlives_an_exclusion(t: TrustFixture) -> None:
    bundles = [*t.before_publish(NAME, WHEEL), t.review(NAME, WHEEL, DAVE)]
    bundles.append(t.publish(NAME, WHEEL, bundles))
    decision = without(t, bundles, BOB)
    assert isinstance(decision, Admitted)
    assert [who.subject for who in decision.reviewers] == [CAROL, DAVE]
    assert isinstance(without(t, bundles, BOB, CAROL), Refused)


def test_a_summary_of_too_few_remaining_approvals_is_not_enough(t: TrustFixture) -> None:
    """A third approval came after publication: the registry has to publish anew."""
    bundles = [*t.full(NAME, WHEEL), t.review(NAME, WHEEL, DAVE)]
    refused = without(t, bundles, BOB)
    assert isinstance(refused, Refused)
    assert (refused.step, refused.problem.code) == ("publish", "gate.summary-inputs")
    again = t.publish(NAME, WHEEL, bundles[:4] + bundles[5:])
    assert isinstance(without(t, [*bundles, again], BOB), Admitted)


def test_a_rejection_of_an_excluded_reviewer_does_not_count(t: TrustFixture) -> None:
    bundles = [*t.full(NAME, WHEEL), t.review(NAME, WHEEL, DAVE, decision="reject", comment="no")]
    assert isinstance(without(t, bundles), Refused)
    assert isinstance(without(t, bundles, DAVE), Admitted)


def test_published_since_is_the_registrys_earliest_signed_word() -> None:
    clock = [datetime.now(UTC) - timedelta(hours=30)]
    t = TrustFixture(LocalSigstore(clock=lambda: clock[0]))
    before = t.before_publish(NAME, WHEEL)
    # Somebody else's claim, older still, moves nothing.
    foreign = t.publish(NAME, WHEEL, before, by="https://sealgate.local/other")
    clock[0] += timedelta(hours=6)
    # Published, and published again under another layout: the first time counts.
    other = t.make_layout(review_threshold=1)
    first = t.publish(NAME, WHEEL, before, layout=sign_layout(other, t.owner_signers))
    published = clock[0]
    clock[0] += timedelta(hours=20)
    bundles = [*before, first, t.publish(NAME, WHEEL, before), foreign]
    decision = t.decide(WHEEL, NAME, bundles)
    assert isinstance(decision, Admitted)
    assert decision.published_at is not None
    assert abs(decision.published_at - published) < timedelta(seconds=2)
    early = t.decide(WHEEL, NAME, before, before_publish=True)
    assert isinstance(early, Admitted)
    assert early.published_at is None
