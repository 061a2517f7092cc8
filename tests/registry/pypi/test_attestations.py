"""Attestations of PEP 740 and bundles: two forms of one evidence, and the signer's kind."""

from __future__ import annotations

import base64
import json
from typing import Any

import pypi_attestations
import pytest

from registry.pypi import attestations
from registry.pypi.attestations import AttestationRefused, from_bundle, publisher, to_bundle
from tests.support.evidence import AUTHOR, TrustFixture
from tests.support.wheels import make_wheel
from trust.evidence.bundles import BundleVerifier
from trust.identity import Identity

WORKFLOW = "https://github.com/alice/plugin/.github/workflows/release.yml@refs/tags/v1"
CI_FILE = "https://gitlab.com/group/sub/plugin//.gitlab-ci.yml@refs/heads/main"


@pytest.fixture(scope="module")
def bundle(trust: TrustFixture) -> bytes:
    return trust.submit(*make_wheel())


@pytest.fixture
def attestation(bundle: bytes) -> dict[str, Any]:
    return from_bundle(bundle)


def test_there_and_back_is_the_same_evidence(trust: TrustFixture, bundle: bytes) -> None:
    again = to_bundle(json.loads(json.dumps(from_bundle(bundle))))
    assert json.loads(again) == json.loads(bundle)
    verifier = BundleVerifier(trust.sigstore.trusted_root)
    assert verifier.verify(again).statement == verifier.verify(bundle).statement


def test_an_attestation_is_one_for_pypis_own_library(attestation: dict[str, Any]) -> None:
    read = pypi_attestations.Attestation.model_validate(attestation)
    (subject,) = read.statement["subject"]
    assert subject["name"] == make_wheel()[0]
    assert read.statement["predicateType"] == pypi_attestations.AttestationType.PYPI_PUBLISH_V1


def test_without_timestamps_it_is_what_pypis_own_library_makes(attestation: dict[str, Any]) -> None:
    """Entries of Rekor v1 have a signed time; then both convert to the same bundle."""
    material = attestation["verification_material"]
    del material["timestamps"]
    (entry,) = material["transparency_entries"]
    promise = {"signedEntryTimestamp": base64.b64encode(b"a signature").decode()}
    entry |= {"integratedTime": "1700000000", "inclusionPromise": promise}
    read = pypi_attestations.Attestation.model_validate(attestation)
    theirs = json.loads(read.to_bundle().to_json())
    nothing = theirs["verificationMaterial"].pop("timestampVerificationData")
    assert nothing == {"rfc3161Timestamps": []}
    assert json.loads(to_bundle(attestation)) == theirs


def test_without_any_signed_time_it_is_refused(attestation: dict[str, Any]) -> None:
    del attestation["verification_material"]["timestamps"]
    with pytest.raises(AttestationRefused, match="malformed"):
        to_bundle(attestation)


def change(path: str, value: Any) -> Any:
    def apply(document: dict[str, Any]) -> Any:
        *parents, last = path.split(".")
        place = document
        for key in parents:
            place = place[key]
        place[last] = value
        return document

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        lambda a: None,
        lambda a: [],
        lambda a: "text",
        lambda a: {},
        change("version", 2),
        change("verification_material", {}),
        change("verification_material.certificate", "not base64!"),
        change("verification_material.certificate", base64.b64encode(b"no DER").decode()),
        change("verification_material.transparency_entries", []),
        change("verification_material.transparency_entries", [{}]),
        change("verification_material.transparency_entries", [None]),
        change("verification_material.timestamps", ["%%%"]),
        change("verification_material.timestamps", ["AAAA"]),
        change("verification_material.timestamps", ["AAAA"] * 17),
        change("verification_material.timestamps", ["A" * 70_000]),
        change("verification_material.timestamps", 7),
        change("envelope.statement", None),
        change("envelope.signature", 5),
        lambda a: a["verification_material"]["transparency_entries"].append({}) or a,
    ],
)
def test_a_malformed_attestation_is_refused_and_nothing_else_is_raised(
    attestation: dict[str, Any], damage: Any
) -> None:
    with pytest.raises(AttestationRefused) as caught:
        to_bundle(damage(attestation))
    assert caught.value.problem.code == "bundle.format"
    assert caught.value.problem.advice


@pytest.mark.parametrize("bundle", [b"", b"{}", b"[]", b"not JSON"])
def test_a_malformed_bundle_is_refused(bundle: bytes) -> None:
    with pytest.raises(AttestationRefused):
        from_bundle(bundle)


# -- who published ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("issuer", "subject", "expected"),
    [
        (
            attestations.GITHUB,
            WORKFLOW,
            {"kind": "GitHub", "repository": "alice/plugin", "workflow": "release.yml"},
        ),
        (
            attestations.GITLAB,
            CI_FILE,
            {
                "kind": "GitLab",
                "repository": "group/sub/plugin",
                "workflow_filepath": ".gitlab-ci.yml",
            },
        ),
        (
            attestations.GOOGLE,
            "bot@project.iam.gserviceaccount.com",
            {"kind": "Google", "email": "bot@project.iam.gserviceaccount.com"},
        ),
        # An issuer's word holds for its own identities only.
        ("https://authority.test", WORKFLOW, {"kind": "Sigstore"}),
        ("https://authority.test", AUTHOR, {"kind": "Sigstore"}),
        (attestations.GITHUB, CI_FILE, {"kind": "Sigstore"}),
        (attestations.GITHUB, "https://github.com/alice/plugin", {"kind": "Sigstore"}),
        (
            attestations.GITHUB,
            "https://github.com/a//.github/workflows/x@y",
            {"kind": "Sigstore"},
        ),
        (attestations.GITLAB, "https://gitlab.com/plugin//x.yml@y", {"kind": "Sigstore"}),
        (attestations.GOOGLE, "https://example.com/workload", {"kind": "Sigstore"}),
    ],
)
def test_a_publisher_is_told_as_what_it_is(
    issuer: str, subject: str, expected: dict[str, str]
) -> None:
    told = publisher(Identity(issuer, subject))
    assert (told["issuer"], told["subject"], told["claims"]) == (issuer, subject, None)
    assert expected.items() <= told.items()


@pytest.mark.parametrize(
    ("issuer", "subject"), [(attestations.GITHUB, WORKFLOW), (attestations.GITLAB, CI_FILE)]
)
def test_a_trusted_publishers_provenance_is_one_for_pypis_own_library(
    bundle: bytes, issuer: str, subject: str
) -> None:
    document = json.loads(json.dumps(attestations.provenance(Identity(issuer, subject), bundle)))
    read = pypi_attestations.Provenance.model_validate(document)
    assert read.attestation_bundles[0].publisher.kind in ("GitHub", "GitLab")
