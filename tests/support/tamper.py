"""Changing one named region of a Sigstore bundle, and signing what no honest party would sign."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from cryptography import x509

from authority import certificates
from tests.support.local_sigstore import LocalSigstore
from trust.identity import Identity

Document = dict[str, Any]


def edited(bundle: bytes, edit: Callable[[Document], None]) -> bytes:
    """Return the bundle after `edit` has changed its parsed JSON in place."""
    document = json.loads(bundle)
    edit(document)
    return json.dumps(document).encode()


def flip(encoded: str, index: int, bit: int = 1) -> str:
    """Flip a bit in base64: `index` counts bytes, from the end where it is negative."""
    data = bytearray(base64.b64decode(encoded))
    data[index] ^= bit
    return base64.b64encode(data).decode()


def entry(document: Document) -> Document:
    """Return a bundle's log entry."""
    found: Document = document["verificationMaterial"]["tlogEntries"][0]
    return found


def payload_of(bundle: bytes) -> bytes:
    """Return the statement's bytes."""
    return base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])


def _flip_payload(d: Document) -> None:
    d["dsseEnvelope"]["payload"] = flip(d["dsseEnvelope"]["payload"], 40)


def _flip_signature(d: Document) -> None:
    signature = d["dsseEnvelope"]["signatures"][0]
    signature["sig"] = flip(signature["sig"], -3)


def _certificate_at(index: int) -> Callable[[Document], None]:
    def edit(d: Document) -> None:
        certificate = d["verificationMaterial"]["certificate"]
        certificate["rawBytes"] = flip(certificate["rawBytes"], index)

    return edit


def _flip_sct(d: Document) -> None:
    certificate = d["verificationMaterial"]["certificate"]
    der = base64.b64decode(certificate["rawBytes"])
    parsed = x509.load_der_x509_certificate(der)
    sct = parsed.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps)
    certificate["rawBytes"] = flip(certificate["rawBytes"], der.index(sct.value[0].signature) + 20)


def _flip_entry_body(d: Document) -> None:
    entry(d)["canonicalizedBody"] = flip(entry(d)["canonicalizedBody"], 60)


def _flip_proof_hash(d: Document) -> None:
    hashes = entry(d)["inclusionProof"]["hashes"]
    hashes[0] = flip(hashes[0], 5)


def _flip_root_hash(d: Document) -> None:
    proof = entry(d)["inclusionProof"]
    proof["rootHash"] = flip(proof["rootHash"], 5)


def _checkpoint(old: str, new: str) -> Callable[[Document], None]:
    def edit(d: Document) -> None:
        checkpoint = entry(d)["inclusionProof"]["checkpoint"]
        assert old in checkpoint["envelope"]
        checkpoint["envelope"] = checkpoint["envelope"].replace(old, new, 1)

    return edit


def _flip_checkpoint_signature(d: Document) -> None:
    checkpoint = entry(d)["inclusionProof"]["checkpoint"]
    head, _, signature = checkpoint["envelope"].rstrip("\n").rpartition(" ")
    checkpoint["envelope"] = f"{head} {flip(signature, 20)}\n"


def _checkpoint_size(d: Document) -> None:
    proof = entry(d)["inclusionProof"]
    checkpoint, bigger = proof["checkpoint"], str(int(proof["treeSize"]) + 1)
    checkpoint["envelope"] = checkpoint["envelope"].replace(
        f"\n{proof['treeSize']}\n", f"\n{bigger}\n", 1
    )


def _tree_size(d: Document) -> None:
    proof = entry(d)["inclusionProof"]
    proof["treeSize"] = str(int(proof["treeSize"]) + 1)


def _timestamps(d: Document) -> list[Document]:
    found: list[Document] = d["verificationMaterial"]["timestampVerificationData"][
        "rfc3161Timestamps"
    ]
    return found


def _flip_timestamp_time(d: Document) -> None:
    stamp = _timestamps(d)[0]
    der = base64.b64decode(stamp["signedTimestamp"])
    digit = der.index(b"\x18\x0f20") + 15  # the seconds of the GeneralizedTime
    stamp["signedTimestamp"] = flip(stamp["signedTimestamp"], digit)


def _flip_timestamp_signature(d: Document) -> None:
    stamp = _timestamps(d)[0]
    stamp["signedTimestamp"] = flip(stamp["signedTimestamp"], -3)


def _second_timestamp(d: Document) -> None:
    stamps = _timestamps(d)
    stamps.append({"signedTimestamp": flip(stamps[0]["signedTimestamp"], -3)})


def _set(path: str, value: Any) -> Callable[[Document], None]:
    def edit(d: Document) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        place: Any = d
        for part in parents:
            place = place[part]
        place[last] = value

    return edit


_LOG = "verificationMaterial/tlogEntries/0"

REGIONS: dict[str, Callable[[Document], None]] = {
    "payload": _flip_payload,
    "signature": _flip_signature,
    "certificate: key": _certificate_at(120),
    "certificate: signature": _certificate_at(-4),
    "certificate: SCT": _flip_sct,
    "log entry body": _flip_entry_body,
    "inclusion proof hash": _flip_proof_hash,
    "inclusion proof root": _flip_root_hash,
    "inclusion proof size": _tree_size,
    "inclusion proof index": _set(f"{_LOG}/inclusionProof/logIndex", "0"),
    "checkpoint size": _checkpoint_size,
    "checkpoint origin": _checkpoint("log-", "lag-"),
    "checkpoint signature name": _checkpoint("\u2014 log-", "\u2014 lag-"),
    "checkpoint signature": _flip_checkpoint_signature,
    "checkpoint extra line": _checkpoint("\n\n", "\n\nanything\n"),
    "timestamp time": _flip_timestamp_time,
    "timestamp signature": _flip_timestamp_signature,
    "timestamp missing": _set("verificationMaterial/timestampVerificationData", {}),
    "timestamp twice": _second_timestamp,
    "log index": _set(f"{_LOG}/logIndex", "9"),
    "log id": _set(f"{_LOG}/logId/keyId", base64.b64encode(bytes(32)).decode()),
    "unsigned log time": _set(f"{_LOG}/integratedTime", "1700000000"),
    "kind": _set(f"{_LOG}/kindVersion", {"kind": "dsse", "version": "0.0.1"}),
    "envelope key id": _set("dsseEnvelope/signatures/0/keyid", "x"),
    "payload type": _set("dsseEnvelope/payloadType", "application/json"),
    "null member": _set("messageSignature", None),
    "unknown member": _set("note", "hello"),
    "no log entry": _set("verificationMaterial/tlogEntries", []),
    "no signature": _set("dsseEnvelope/signatures", []),
}
"""Name of a region -> what changes it. No bundle may verify after any of them."""


@contextmanager
def certificates_for(sigstore: LocalSigstore, identity: Identity) -> Iterator[None]:
    """Let the authority issue certificates of `identity`, whoever asks: a certificate authority
    that is honest about its keys and wrong about identities."""
    authority = sigstore.authority
    real = authority._certificates
    authority._certificates = SimpleNamespace(  # type: ignore[assignment]
        issue=lambda _, key, statement_digest=None: real.issue(identity, key, statement_digest)
    )
    try:
        yield
    finally:
        authority._certificates = real


@contextmanager
def names_in_certificates(names: list[x509.GeneralName]) -> Iterator[None]:
    """Let the authority put `names` into certificates as subject alternative names."""
    real = certificates.x509.SubjectAlternativeName

    class Names:
        def __new__(cls, _: Any) -> Any:
            return real(names)

    certificates.x509.SubjectAlternativeName = Names  # type: ignore[misc,assignment]
    try:
        yield
    finally:
        certificates.x509.SubjectAlternativeName = real  # type: ignore[misc]
