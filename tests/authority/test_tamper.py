"""Tampering with a bundle, and authorities of which one key is an impostor's."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.verify import Verifier, policy

from authority.core import utc_now
from authority.keys import AuthorityKeys, new_ec_key
from tests.support.local_sigstore import LocalSigstore

ALICE = "alice@example.com"
STATEMENT = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "plugin.whl", "digest": {"sha256": "ab" * 32}}],
        "predicateType": "https://example.com/predicate/v1",
        "predicate": {"answer": 42},
    }
).encode()


@pytest.fixture(scope="module")
def sigstore() -> LocalSigstore:
    return LocalSigstore()


@pytest.fixture(scope="module")
def bundle(sigstore: LocalSigstore) -> dict[str, Any]:
    for name in ("carol", "dave", "erin"):
        sigstore.sign(f"{name}@example.com", STATEMENT)
    made: dict[str, Any] = json.loads(sigstore.sign(ALICE, STATEMENT))
    return made


@pytest.fixture(scope="module")
def accepts(sigstore: LocalSigstore) -> Callable[[dict[str, Any]], bool]:
    config = ClientTrustConfig.from_json(sigstore.client_trust_config.decode())
    verifier = Verifier(trusted_root=config.trusted_root)
    alice = policy.Identity(identity=ALICE, issuer=sigstore.issuer)

    def check(document: dict[str, Any]) -> bool:
        try:
            _, payload = verifier.verify_dsse(Bundle.from_json(json.dumps(document)), alice)
        except Exception:
            return False
        return payload == STATEMENT

    return check


ENTRY = ("verificationMaterial", "tlogEntries", 0)
PROOF = (*ENTRY, "inclusionProof")
FIELDS: dict[str, tuple[str | int, ...]] = {
    "payload": ("dsseEnvelope", "payload"),
    "signature": ("dsseEnvelope", "signatures", 0, "sig"),
    "certificate": ("verificationMaterial", "certificate", "rawBytes"),
    "log entry": (*ENTRY, "canonicalizedBody"),
    "proof": (*PROOF, "hashes", 0),
    "root": (*PROOF, "rootHash"),
}
TIMESTAMP = (
    *("verificationMaterial", "timestampVerificationData"),
    *("rfc3161Timestamps", 0, "signedTimestamp"),
)


def get(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def put(document: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    get(copy, path[:-1])[path[-1]] = value
    return copy


def flipped(raw: bytes, step: int) -> Iterator[tuple[int, str]]:
    for place in range(0, len(raw), step):
        changed = bytearray(raw)
        changed[place] ^= 0x01
        yield place, base64.b64encode(changed).decode()


def test_the_untouched_bundle_is_accepted(bundle: dict[str, Any], accepts: Any) -> None:
    assert accepts(bundle)


@pytest.mark.parametrize("field", FIELDS)
def test_no_flipped_byte_is_accepted(field: str, bundle: dict[str, Any], accepts: Any) -> None:
    path = FIELDS[field]
    raw = base64.b64decode(get(bundle, path))
    for place, text in flipped(raw, 1 if len(raw) < 200 else 7):
        assert not accepts(put(bundle, path, text)), place


def signed_parts(stamp: bytes) -> list[bytes]:
    """Return what a time stamp says and everything its signature rests on."""
    content = tsp.TimeStampResp.load(stamp)["time_stamp_token"]["content"]
    (signer,) = content["signer_infos"]
    return [
        content["encap_content_info"]["content"].parsed.dump(),
        signer["signed_attrs"].untag().dump(),
        signer["signature"].native,
        signer["digest_algorithm"].dump(),
    ]


def test_no_flipped_byte_of_the_timestamp_changes_it(bundle: dict[str, Any], accepts: Any) -> None:
    """The version numbers and the name of the signature's algorithm are not covered by a CMS
    signature (RFC 5652 section 5.4): a change there is harmless, any other is refused."""
    raw = base64.b64decode(get(bundle, TIMESTAMP))
    harmless = 0
    for place, text in flipped(raw, 1):
        if accepts(put(bundle, TIMESTAMP, text)):
            assert signed_parts(base64.b64decode(text)) == signed_parts(raw), place
            harmless += 1
    assert harmless <= 10


def signature_of(note: str) -> bytes:
    """Return what Python's lenient base64 makes of the last word."""
    try:
        return base64.b64decode(note.split()[-1])
    except ValueError:
        return b""


def test_no_flipped_checkpoint_is_accepted(bundle: dict[str, Any], accepts: Any) -> None:
    """sigstore-python finds the signature by the key's id, does not read the name beside it, and
    ignores spare bits of base64 (trust.log.note minds all three): what is left is refused."""
    path = (*PROOF, "checkpoint", "envelope")
    note = get(bundle, path)
    name = note.index("\u2014")
    for place, character in enumerate(note):
        changed = note[:place] + chr(ord(character) ^ 1) + note[place + 1 :]
        in_name = name <= place < note.rindex(" ")
        same_bits = place > name and signature_of(changed) == signature_of(note)
        if not in_name and not same_bits:
            assert not accepts(put(bundle, path, changed)), place


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*PROOF, "logIndex"), "2"),
        ((*PROOF, "treeSize"), "5"),
        ((*PROOF, "hashes"), []),
        ((*ENTRY, "kindVersion", "version"), "0.0.1"),
        (("verificationMaterial", "timestampVerificationData"), {"rfc3161Timestamps": []}),
        (("verificationMaterial", "tlogEntries"), []),
        (("dsseEnvelope", "payloadType"), "text/plain"),
        (("dsseEnvelope", "signatures"), []),
    ],
)
def test_no_missing_or_other_part_is_accepted(
    path: tuple[str | int, ...], value: object, bundle: dict[str, Any], accepts: Any
) -> None:
    assert not accepts(put(bundle, path, value))


@pytest.mark.parametrize(
    "path",
    [
        ("verificationMaterial", "certificate"),
        ("verificationMaterial", "timestampVerificationData"),
        ("verificationMaterial", "tlogEntries"),
        ("dsseEnvelope", "signatures"),
    ],
)
def test_no_part_of_another_bundle_is_accepted(
    path: tuple[str, ...], sigstore: LocalSigstore, bundle: dict[str, Any], accepts: Any
) -> None:
    other = json.loads(sigstore.sign(ALICE, STATEMENT))
    assert accepts(other)
    assert not accepts(put(bundle, path, get(other, path)))


def impostor(keys: AuthorityKeys, part: str) -> AuthorityKeys:
    """Return the authority's keys of which one is somebody else's."""
    other = AuthorityKeys.generate(utc_now())
    parts: dict[str, dict[str, Any]] = {
        "certificate authority": {"ca": other.ca, "ca_chain": other.ca_chain},
        "certificate log": {"ct": new_ec_key()},
        "timestamp authority": {"tsa": other.tsa, "tsa_chain": other.tsa_chain},
        "timestamp key only": {"tsa": new_ec_key()},
        "transparency log": {"log": Ed25519PrivateKey.generate()},
    }
    return replace(keys, **parts[part])


@pytest.mark.parametrize(
    "part",
    [
        "certificate authority",
        "certificate log",
        "timestamp authority",
        "timestamp key only",
        "transparency log",
    ],
)
def test_every_service_s_word_is_needed(part: str, sigstore: LocalSigstore, accepts: Any) -> None:
    """Whoever has all of the authority's keys but one cannot make a bundle."""
    assert accepts(json.loads(LocalSigstore(keys=sigstore.authority.keys).sign(ALICE, STATEMENT)))
    rogue = LocalSigstore(keys=impostor(sigstore.authority.keys, part))
    assert not accepts(json.loads(rogue.sign(ALICE, STATEMENT)))


def test_a_signature_outside_the_certificate_s_ten_minutes_is_refused(
    sigstore: LocalSigstore,
) -> None:
    """A time stamp from after the certificate's end: the key may have leaked by then."""
    late = LocalSigstore(keys=sigstore.authority.keys)
    late.authority.timestamps = replace(
        late.authority.timestamps, clock=lambda: utc_now() + timedelta(minutes=11)
    )
    context: Any = late._context
    context._tsa_clients[0]._authority = late.authority
    made = Bundle.from_json(late.sign(ALICE, STATEMENT))
    config = ClientTrustConfig.from_json(sigstore.client_trust_config.decode())
    with pytest.raises(Exception, match="chain"):
        Verifier(trusted_root=config.trusted_root).verify_dsse(
            made, policy.Identity(identity=ALICE, issuer=sigstore.issuer)
        )


def test_the_certificate_is_as_fulcio_specifies(bundle: dict[str, Any]) -> None:
    """https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md"""
    raw = base64.b64decode(get(bundle, FIELDS["certificate"]))
    certificate = x509.load_der_x509_certificate(raw)
    assert certificate.subject == x509.Name([])
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime == timedelta(minutes=10)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert names.value.get_values_for_type(x509.RFC822Name) == [ALICE]
    stamps = certificate.extensions.get_extension_for_class(
        x509.PrecertificateSignedCertificateTimestamps
    )
    assert len(list(stamps.value)) == 1
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert key in raw
