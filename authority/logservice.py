"""The transparency log's service, as Rekor v2 does it: hashedrekord 0.0.2 entries.

https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md
A DSSE envelope is logged as a hashedrekord over the SHA-256 of its pre-authentication encoding.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtendedKeyUsageOID

from authority.certificates import STATEMENT
from authority.errors import RequestRefused
from trust.errors import problem
from trust.log import MerkleLog, NoteVerifier
from trust.log.note import key_hash

KIND = "hashedrekord"
VERSION = "0.0.2"
KEY_DETAILS = "PKIX_ECDSA_P256_SHA_256"
_REQUEST = "hashedRekordRequestV002"


def b64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode()


def _refuse(code: str, what: str, value: object, expected: str, where: str = "") -> NoReturn:
    raise RequestRefused(
        problem(
            f"authority.entry-{code}",
            what,
            value=value,
            expected=expected,
            advice="sign with a Sigstore client and this authority's trust configuration",
            where=where,
        )
    )


def _object(value: object, members: set[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != members:
        shown = sorted(value) if isinstance(value, dict) else value
        _refuse("form", "the request is malformed", shown, " and ".join(sorted(members)), where)
    return value


def _bytes(value: object, where: str) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except binascii.Error:
        pass
    _refuse("form", "a field is not base64", value, "base64", where)


def bound_digest(certificate: x509.Certificate) -> bytes | None:
    """Return the digest of the one statement that a certificate may sign, None for any."""
    try:
        extension = certificate.extensions.get_extension_for_oid(STATEMENT).value
    except x509.ExtensionNotFound:
        return None
    return extension.public_bytes()


@dataclass(frozen=True, slots=True)
class LogService:
    """Accepts entries that verify, and proves that they are in the log.

    Attributes:
        log: the Merkle log, opened with its signer.
        verifier: the log's public key.
        issuer: the certificate under which every signer's certificate must stand.
        clock: returns the time in UTC.
    """

    log: MerkleLog
    verifier: NoteVerifier
    issuer: x509.Certificate
    clock: Callable[[], datetime]

    @property
    def log_id(self) -> bytes:
        """The 32-byte log id: the checkpoint key's id, not cut."""
        return key_hash(self.verifier.name, self.verifier.public_key)

    def add(self, request: object) -> dict[str, Any]:
        """Log a `CreateEntryRequest` (as parsed JSON); return its `TransparencyLogEntry`.

        The canonical body (RFC 8785) is rebuilt from the checked values: nothing of the
        request's own bytes gets into the log.

        Raises:
            RequestRefused: the request is malformed; its certificate is not this authority's or
                not valid now; or its signature is not the certificate's over the digest.
            LogError: the log could not store it.
        """
        root = _object(request, {_REQUEST}, "/")
        where = f"/{_REQUEST}"
        entry = _object(root[_REQUEST], {"digest", "signature"}, where)
        signature = _object(entry["signature"], {"content", "verifier"}, f"{where}/signature")
        where_verifier = f"{where}/signature/verifier"
        verifier = _object(signature["verifier"], {"x509Certificate", "keyDetails"}, where_verifier)
        certificate = _object(
            verifier["x509Certificate"], {"rawBytes"}, f"{where_verifier}/x509Certificate"
        )
        if verifier["keyDetails"] != KEY_DETAILS:
            _refuse(
                "key", "the key is not of the accepted kind", verifier["keyDetails"], KEY_DETAILS
            )
        digest = _bytes(entry["digest"], f"{where}/digest")
        if len(digest) != hashes.SHA256.digest_size:
            _refuse("digest", "the digest has the wrong length", len(digest), "32 bytes of SHA-256")
        content = _bytes(signature["content"], f"{where}/signature/content")
        der = _bytes(certificate["rawBytes"], f"{where_verifier}/x509Certificate/rawBytes")
        key = self._certified_key(der, digest)
        try:
            key.verify(content, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        except InvalidSignature:
            _refuse(
                "signature",
                "the signature is not the certificate's over the digest",
                digest.hex(),
                "a signature by the certificate's key",
            )
        body = rfc8785.dumps(
            {
                "apiVersion": VERSION,
                "kind": KIND,
                "spec": {
                    "hashedRekordV002": {
                        "data": {"algorithm": "SHA2_256", "digest": b64(digest)},
                        "signature": {
                            "content": b64(content),
                            "verifier": {
                                "keyDetails": KEY_DETAILS,
                                "x509Certificate": {"rawBytes": b64(der)},
                            },
                        },
                    }
                },
            }
        )
        return self._entry(self.log.append(body), body)

    def _certified_key(self, der: bytes, digest: bytes) -> ec.EllipticCurvePublicKey:
        """Return the key of a certificate that this authority issued and that is valid now.

        A certificate that is bound to one statement serves for that statement's digest alone.
        """
        try:
            certificate = x509.load_der_x509_certificate(der)
            key = certificate.public_key()
            certificate.verify_directly_issued_by(self.issuer)
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
            _refuse(
                "certificate",
                "the certificate is not this authority's",
                str(error) or type(error).__name__,
                f"a certificate issued by {self.issuer.subject.rfc4514_string()}",
            )
        now = self.clock()
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not start <= now <= end:
            _refuse(
                "expired",
                "the certificate is not valid now",
                f"{start.isoformat()} to {end.isoformat()}",
                f"valid at {now.isoformat(timespec='seconds')}",
            )
        if ExtendedKeyUsageOID.CODE_SIGNING not in usage or not isinstance(
            key, ec.EllipticCurvePublicKey
        ):
            _refuse("usage", "the certificate is not for code signing", "", "code signing, P-256")
        bound = bound_digest(certificate)
        if bound is not None and bound != digest:
            _refuse(
                "statement",
                "the certificate was issued for another statement",
                digest.hex(),
                f"the digest that its owner confirmed, {bound.hex()}",
            )
        return key

    def _entry(self, index: int, body: bytes) -> dict[str, Any]:
        size = index + 1
        receipt = self.log.receipt(index, size)
        return {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": KIND, "version": VERSION},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": b64(self.log.root(size)),
                "treeSize": str(size),
                "hashes": [b64(sibling) for sibling in receipt.inclusion_proof],
                "checkpoint": {"envelope": receipt.checkpoint},
            },
            "canonicalizedBody": b64(body),
        }
