"""Bundles: what verifies, and everything that must not."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from sigstore.dsse import Statement

from authority import certificates
from authority.tsa import TimestampAuthority
from tests.support.local_sigstore import LocalSigstore
from tests.support.tamper import (
    REGIONS,
    certificates_for,
    edited,
    names_in_certificates,
    payload_of,
)
from trust import strictjson
from trust.evidence import pep740
from trust.evidence.bundles import (
    MAX_BUNDLE_BYTES,
    BundleVerifier,
    EvidenceRefused,
    TrustedRootInvalid,
    is_plain,
)
from trust.evidence.predicates import SUBMIT
from trust.evidence.statements import submit_statement
from trust.identity import Identity

NAME = "example_plugin-1.0.0-py3-none-any.whl"
DIGEST = hashlib.sha256(b"wheel").hexdigest()
ALICE = "alice@example.com"
STATEMENT = submit_statement(NAME, DIGEST)


@pytest.fixture(scope="module")
def sigstore() -> LocalSigstore:
    made = LocalSigstore()
    made.sign(ALICE, STATEMENT)  # so that later entries have an inclusion proof with hashes
    return made


@pytest.fixture(scope="module")
def verifier(sigstore: LocalSigstore) -> BundleVerifier:
    return BundleVerifier(sigstore.trusted_root)


@pytest.fixture(scope="module")
def bundle(sigstore: LocalSigstore) -> bytes:
    return sigstore.sign(ALICE, STATEMENT)


def refused(verifier: BundleVerifier, bundle: bytes, code: str = "") -> EvidenceRefused:
    with pytest.raises(EvidenceRefused) as caught:
        verifier.verify(bundle)
    if code:
        assert caught.value.problem.code == code
    return caught.value


def test_a_good_bundle_gives_statement_signer_and_time(
    verifier: BundleVerifier, bundle: bytes, sigstore: LocalSigstore
) -> None:
    verified = verifier.verify(bundle)
    assert verified.identity == Identity(sigstore.issuer, ALICE)
    assert verified.predicate_type == SUBMIT
    assert verified.statement == strictjson.loads(STATEMENT)
    assert [(s.name, s.sha256) for s in verified.subjects] == [(NAME, DIGEST)]
    assert verified.bundle_sha256 == hashlib.sha256(bundle).hexdigest()
    assert abs(datetime.now(UTC) - verified.signed_at) < timedelta(minutes=5)


def test_a_workload_signs_with_a_uri(verifier: BundleVerifier, sigstore: LocalSigstore) -> None:
    scanner = "https://sealgate.local/scanner"
    signed = sigstore.sign(scanner, STATEMENT)
    assert verifier.verify(signed).identity.subject == scanner


@pytest.mark.parametrize("region", REGIONS)
def test_a_bundle_with_one_region_changed_does_not_verify(
    verifier: BundleVerifier, bundle: bytes, region: str
) -> None:
    changed = edited(bundle, REGIONS[region])
    assert changed != bundle
    assert refused(verifier, changed).problem.where.startswith("bundle ")


def test_a_bundle_of_another_instance_does_not_verify(verifier: BundleVerifier) -> None:
    refused(verifier, LocalSigstore().sign(ALICE, STATEMENT), "bundle.format")


@pytest.mark.parametrize("part", ["certificateAuthorities", "tlogs", "ctlogs"])
def test_every_part_of_the_trusted_root_is_needed(
    sigstore: LocalSigstore, bundle: bytes, part: str
) -> None:
    root, other = json.loads(sigstore.trusted_root), json.loads(LocalSigstore().trusted_root)
    root[part] = other[part]
    refused(BundleVerifier(json.dumps(root).encode()), bundle)


def test_without_the_timestamp_authority_in_the_root_nothing_verifies(
    sigstore: LocalSigstore, bundle: bytes
) -> None:
    root, other = json.loads(sigstore.trusted_root), json.loads(LocalSigstore().trusted_root)
    for instead in ([], other["timestampAuthorities"]):
        root["timestampAuthorities"] = instead
        refused(BundleVerifier(json.dumps(root).encode()), bundle, "bundle.unverified")


@pytest.mark.parametrize("root", [b"", b"{}", b"null", b"[]", b'{"mediaType":"x"}', b"\xff"])
def test_an_unusable_trusted_root_is_refused(root: bytes) -> None:
    with pytest.raises(TrustedRootInvalid) as caught:
        BundleVerifier(root)
    assert caught.value.problem.code == "trusted-root.invalid"


def test_a_bundle_is_bounded(verifier: BundleVerifier, bundle: bytes) -> None:
    at_the_bound = bundle + b" " * (MAX_BUNDLE_BYTES - len(bundle))
    verifier.verify(at_the_bound)
    refused(verifier, at_the_bound + b" ", "bundle.size")


def test_duplicate_members_are_refused(verifier: BundleVerifier, bundle: bytes) -> None:
    media_type = json.dumps(json.loads(bundle)["mediaType"]).encode()
    twice = b'{"mediaType":' + media_type + b"," + bundle[1:]
    refused(verifier, twice, "json.invalid")


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
        "application/vnd.dev.sigstore.bundle.v0.4+json",
    ],
)
def test_other_bundle_formats_are_refused(
    verifier: BundleVerifier, bundle: bytes, media_type: str
) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["mediaType"] = media_type

    refused(verifier, edited(bundle, edit), "bundle.format")


def test_a_message_signature_is_refused(verifier: BundleVerifier, sigstore: LocalSigstore) -> None:
    refused(verifier, sigstore.sign_artifact(ALICE, b"wheel"), "bundle.format")


def test_another_spelling_of_the_same_base64_is_refused(
    verifier: BundleVerifier, bundle: bytes
) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["dsseEnvelope"]["payload"] = "\n" + document["dsseEnvelope"]["payload"]

    refused(verifier, edited(bundle, edit), "bundle.format")


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x00", b"null", b"[]", b"{}", b"1e999", b"[" * 100_000, b'"\\ud800"', b"{" * 70],
)
def test_garbage_is_refused(verifier: BundleVerifier, garbage: bytes) -> None:
    refused(verifier, garbage)


def test_what_is_no_bytes_is_refused(verifier: BundleVerifier) -> None:
    for thing in (None, 7, {"a": 1}, object()):
        refused(verifier, thing)  # type: ignore[arg-type]


def signed_raw(sigstore: LocalSigstore, payload: bytes, payload_type: str | None = None) -> bytes:
    """Sign bytes that sigstore-python's client would not sign."""
    from sigstore import dsse

    statement = Statement(STATEMENT)
    statement._contents = payload
    real = dsse.Envelope._TYPE
    try:
        dsse.Envelope._TYPE = payload_type or real
        with (
            sigstore._frozen(),
            sigstore._context.signer(_token(sigstore, ALICE)) as signer,
        ):
            return signer.sign_dsse(statement).to_json().encode()
    finally:
        dsse.Envelope._TYPE = real


def _token(sigstore: LocalSigstore, subject: str) -> Any:
    from sigstore.oidc import IdentityToken

    return IdentityToken(sigstore.token(subject))


def variant(**changes: Any) -> bytes:
    return json.dumps(json.loads(STATEMENT) | changes).encode()


SUBJECT = {"name": NAME, "digest": {"sha256": DIGEST}}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (STATEMENT[:-1] + b',"_type":"https://in-toto.io/Statement/v1"}', "json.invalid"),
        (STATEMENT.replace(b'"name"', b'"name":"other","name"'), "json.invalid"),
        (b"not json", "json.invalid"),
        (b"[]", "bundle.statement"),
        (variant(_type="https://in-toto.io/Statement/v0.1"), "bundle.statement"),
        (variant(predicateType=None), "bundle.statement"),
        (variant(subject=[SUBJECT, SUBJECT]), "bundle.subject"),
        (variant(subject=[]), "bundle.subject"),
        (variant(subject=SUBJECT), "bundle.subject"),
        (variant(subject=[SUBJECT | {"name": ""}]), "bundle.subject"),
        (variant(subject=[{"digest": SUBJECT["digest"]}]), "bundle.subject"),
        (variant(subject=[SUBJECT | {"digest": {"sha256": DIGEST.upper()}}]), "bundle.subject"),
        (variant(subject=[SUBJECT | {"digest": {"sha512": "ab" * 64}}]), "bundle.subject"),
        (variant(subject=[SUBJECT | {"digest": DIGEST}]), "bundle.subject"),
    ],
)
def test_a_signed_payload_that_is_no_usable_statement_is_refused(
    verifier: BundleVerifier, sigstore: LocalSigstore, payload: bytes, code: str
) -> None:
    refused(verifier, signed_raw(sigstore, payload), code)


def test_a_signed_payload_of_another_type_is_refused(
    verifier: BundleVerifier, sigstore: LocalSigstore
) -> None:
    signed = signed_raw(sigstore, STATEMENT, "application/json")
    refused(verifier, signed, "bundle.payload-type")


E_MAIL = x509.RFC822Name(ALICE)
NAMES: dict[str, list[x509.GeneralName]] = {
    "two": [E_MAIL, x509.RFC822Name("eve@example.com")],
    "e-mail and URI": [E_MAIL, x509.UniformResourceIdentifier("https://example.com/x")],
    "DNS": [x509.DNSName("example.com")],
    "an e-mail written as URI": [x509.UniformResourceIdentifier(ALICE)],
    "a URI written as e-mail": [x509.RFC822Name._init_without_validation("https://example.com/@x")],
    "a space": [x509.UniformResourceIdentifier("https://a.test/ https://b.test/")],
    "a newline": [x509.UniformResourceIdentifier("https://a.test/\nx")],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=list(NAMES))
def test_a_certificate_names_exactly_one_usable_signer(
    verifier: BundleVerifier, sigstore: LocalSigstore, names: list[x509.GeneralName]
) -> None:
    with names_in_certificates(names):
        signed = sigstore.sign(ALICE, STATEMENT)
    refused(verifier, signed, "bundle.identity")


@pytest.mark.parametrize("issuer", ["", "https://a\nb", "https://a b"])
def test_a_certificate_names_a_usable_issuer(
    verifier: BundleVerifier, sigstore: LocalSigstore, issuer: str
) -> None:
    with certificates_for(sigstore, Identity(issuer, ALICE)):
        signed = sigstore.sign(ALICE, STATEMENT)
    refused(verifier, signed, "bundle.identity")


def test_the_two_issuer_extensions_must_agree(
    verifier: BundleVerifier,
    sigstore: LocalSigstore,
    bundle: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = certificates.der
    monkeypatch.setattr(
        certificates, "der", lambda tag, value: real(tag, value.replace(b"authority", b"other"))
    )
    signed = sigstore.sign(ALICE, STATEMENT)
    refused(verifier, signed, "bundle.unverified")
    # The same, asked of the certificate alone: neither issuer's identity is the signer's.
    der = base64.b64decode(json.loads(signed)["verificationMaterial"]["certificate"]["rawBytes"])
    certificate = x509.load_der_x509_certificate(der)
    mixed = dataclasses.replace(verifier.verify(bundle), certificate=certificate)
    for issuer in (sigstore.issuer, "https://other.test"):
        with pytest.raises(EvidenceRefused):
            mixed.check_signer(Identity(issuer, ALICE))


def test_a_timestamp_outside_the_certificates_ten_minutes_is_refused() -> None:
    now = datetime.now(UTC)
    sigstore = LocalSigstore(lambda: now)
    verifier = BundleVerifier(sigstore.trusted_root)
    assert verifier.verify(sigstore.sign(ALICE, STATEMENT)).signed_at == now.replace(microsecond=0)
    stamps = sigstore.authority.timestamps
    for minutes in (-1, 11):
        moved = now + timedelta(minutes=minutes)
        sigstore.authority.timestamps = TimestampAuthority(
            stamps.key, stamps.certificate, lambda moved=moved: moved
        )
        refused(verifier, sigstore.sign(ALICE, STATEMENT), "bundle.unverified")


def test_a_tree_size_that_the_checkpoint_does_not_sign_is_refused() -> None:
    # Entry 1 of a tree of 2 and entry 2 of a tree of 3 have the same inclusion proof, and
    # sigstore-python compares only the root hash with the checkpoint.
    sigstore = LocalSigstore()
    sigstore.sign(ALICE, STATEMENT)
    second = sigstore.sign(ALICE, STATEMENT)
    verifier = BundleVerifier(sigstore.trusted_root)
    verifier.verify(second)

    def edit(document: dict[str, Any]) -> None:
        entry = document["verificationMaterial"]["tlogEntries"][0]
        assert entry["inclusionProof"]["treeSize"] == "2"
        entry["logIndex"] = entry["inclusionProof"]["logIndex"] = "2"
        entry["inclusionProof"]["treeSize"] = "3"

    refused(verifier, edited(second, edit), "bundle.format")


def test_check_signer_asks_for_issuer_and_subject_exactly(
    verifier: BundleVerifier, bundle: bytes, sigstore: LocalSigstore
) -> None:
    verified = verifier.verify(bundle)
    verified.check_signer(Identity(sigstore.issuer, ALICE))
    for other in (
        Identity(sigstore.issuer, "Alice@example.com"),
        Identity(sigstore.issuer, "bob@example.com"),
        Identity(sigstore.issuer + "/", ALICE),
        Identity("", ALICE),
        Identity(sigstore.issuer, ""),
    ):
        with pytest.raises(EvidenceRefused) as caught:
            verified.check_signer(other)
        assert caught.value.problem.code == "bundle.identity"


def test_a_newline_cannot_make_two_identities_share_a_key_id() -> None:
    one, other = Identity("https://a\nb", "c"), Identity("https://a", "b\nc")
    assert one.keyid == other.keyid
    assert not is_plain(one.issuer)
    assert not is_plain(other.subject)


def test_what_pypi_attestations_signs_is_accepted(
    verifier: BundleVerifier, sigstore: LocalSigstore
) -> None:
    from pypi_attestations import Attestation, Distribution

    made: list[Any] = []
    with sigstore._context.signer(_token(sigstore, ALICE)) as signer:
        real: Callable[[Any], Any] = signer.sign_dsse
        signer.sign_dsse = lambda statement: made.append(real(statement)) or made[0]  # type: ignore[func-returns-value,method-assign]
        attestation = Attestation.sign(signer, Distribution(name=NAME, digest=DIGEST))
    verified = verifier.verify(made[0].to_json().encode())
    assert (verified.predicate_type, verified.predicate) == (SUBMIT, None)
    assert verified.subjects[0].sha256 == DIGEST

    # The attestation format itself has no place for the timestamp that a Rekor v2 log relies on.
    document = attestation.model_dump_json().encode()
    assert pep740.is_attestation(document)
    assert not pep740.is_attestation(made[0].to_json().encode())
    with pytest.raises(EvidenceRefused) as caught:
        pep740.to_bundle(document)
    assert caught.value.problem.code == "bundle.attestation"
    assert base64.b64decode(json.loads(document)["envelope"]["statement"]) == payload_of(
        made[0].to_json().encode()
    )
