"""Statements as in-toto links: the artifacts, and whose signature verifies."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from in_toto.exceptions import SignatureVerificationError
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature

from tests.support.evidence import POLICY_SHA256, REPORT_SHA256, TrustFixture, sha256
from tests.support.wheels import make_wheel
from trust.evidence.bundles import BundleVerifier, VerifiedStatement
from trust.evidence.links import IdentityKey, StatementMetadata, functionary_key
from trust.evidence.predicates import STEPS

NAME, WHEEL = make_wheel()
W = {"plugin.whl": {"sha256": sha256(WHEEL)}}
P = {"scan-policy.json": {"sha256": POLICY_SHA256}}
R = {"report.sarif": {"sha256": REPORT_SHA256}}


@pytest.fixture(scope="module")
def t() -> TrustFixture:
    return TrustFixture()


@pytest.fixture(scope="module")
def verified(t: TrustFixture) -> dict[str, VerifiedStatement]:
    verifier = BundleVerifier(t.sigstore.trusted_root)
    submit, scan, review, _, publish = map(verifier.verify, t.full(NAME, WHEEL))
    return {"submit": submit, "scan": scan, "review": review, "publish": publish}


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_the_artifacts_are_those_of_the_design(verified: dict[str, VerifiedStatement]) -> None:
    expected: dict[Any, Any] = {
        "submit": ({}, W),
        "scan": (W | P, R),
        "review": (W | P | R, W),
        "publish": (W, W),
    }
    for step, artifacts in expected.items():
        link = StatementMetadata(step, verified[step]).get_payload()
        assert (link.name, (link.materials, link.products)) == (step, artifacts)


def test_the_signers_own_key_verifies(step: Any, verified: dict[str, VerifiedStatement]) -> None:
    metadata = StatementMetadata(step, verified[step])
    metadata.verify_signature(functionary_key(verified[step].identity))


@pytest.mark.parametrize("subject", ["Alice@example.com", "bob@example.com", ""])
def test_no_other_identitys_key_verifies(
    t: TrustFixture, verified: dict[str, VerifiedStatement], subject: str
) -> None:
    metadata = StatementMetadata("submit", verified["submit"])
    with pytest.raises(SignatureVerificationError):
        metadata.verify_signature(functionary_key(t.identity(subject)))


def test_what_was_read_and_what_sigstore_compares_must_both_agree(
    t: TrustFixture, verified: dict[str, VerifiedStatement]
) -> None:
    alice, bob = verified["submit"], verified["review"]
    by_name_only = dataclasses.replace(alice, certificate=bob.certificate)
    by_certificate_only = dataclasses.replace(alice, identity=bob.identity)
    for forged in (by_name_only, by_certificate_only):
        with pytest.raises(SignatureVerificationError):
            StatementMetadata("submit", forged).verify_signature(functionary_key(t.author))


@pytest.mark.parametrize(
    "changes",
    [
        {"keyid": "ab" * 32},
        {"keytype": "x"},
        {"scheme": "x"},
        {"subkeys": {}},
        {"keyval": {}},
        {"keyval": None},
    ],
)
def test_a_key_entry_that_is_not_exactly_the_identitys_does_not_verify(
    t: TrustFixture, verified: dict[str, VerifiedStatement], changes: dict[str, Any]
) -> None:
    key = functionary_key(t.author) | changes
    with pytest.raises(SignatureVerificationError):
        StatementMetadata("submit", verified["submit"]).verify_signature(key)


def test_the_key_itself_never_verifies_anything(t: TrustFixture) -> None:
    # securesystemslib's own would go to the public instance, over the network.
    entry = functionary_key(t.author)
    key = Key.from_dict(entry["keyid"], dict(entry))
    assert isinstance(key, IdentityKey)
    with pytest.raises(UnverifiedSignatureError):
        key.verify_signature(Signature(entry["keyid"], "ab", {"bundle": {}}), b"data")
