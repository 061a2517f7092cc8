"""Short-lived signing certificates, as Fulcio issues them.

https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from authority.errors import RequestRefused
from authority.keys import AuthorityKeys
from authority.sct import der, sct_list_extension
from authority.subjects import general_name
from trust.errors import problem
from trust.identity import Identity

LIFETIME = timedelta(minutes=10)

ISSUER_V1 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
"""The OIDC issuer as raw bytes, kept for old verifiers."""
ISSUER_V2 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
"""The OIDC issuer as a DER UTF8String."""
STATEMENT = x509.ObjectIdentifier("2.25.138043166709779652711611709603707101796")
"""The 32-byte SHA-256 of the DSSE encoding of the one statement that the certificate may sign.

Ours (a UUID's arc, ITU-T X.667), not critical. Only the log looks at it: it takes no other entry
under such a certificate, and nothing verifies that is not in the log.
"""


def _refuse(code: str, what: str, value: object, expected: str) -> NoReturn:
    raise RequestRefused(
        problem(
            f"authority.{code}",
            what,
            value=value,
            expected=expected,
            advice="sign with a Sigstore client and a fresh P-256 key",
        )
    )


def _checked_key(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        _refuse("key", "the key is not of the accepted kind", type(key).__name__, "ECDSA P-256")
    return key


def key_from_csr(pem: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key that a PEM certificate signing request proves possession of (RFC 2986).

    Only the key is used: the subject comes from the identity token.

    Raises:
        RequestRefused: the request is malformed, its key is not P-256, or its signature is wrong.
    """
    try:
        csr = x509.load_pem_x509_csr(pem)
        key = csr.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        _refuse("csr", "the certificate signing request is malformed", error, "a PEM PKCS #10 CSR")
    checked = _checked_key(key)
    try:
        valid = csr.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        valid = False
    if not valid:
        _refuse(
            "possession",
            "the request does not prove possession of its key",
            "",
            "a CSR signed by the key that it names",
        )
    return checked


def key_from_proof(pem: bytes, proof: bytes, subject: str) -> ec.EllipticCurvePublicKey:
    """Return the key in `pem` once `proof` is its signature over the token's subject.

    It is the other form of request that Fulcio takes (`publicKeyRequest`), as cosign sends it.

    Raises:
        RequestRefused: the key is malformed or not P-256, or the proof is wrong.
    """
    try:
        key = _checked_key(serialization.load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        _refuse("key", "the public key is malformed", error, "a PEM public key")
    try:
        key.verify(proof, subject.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        _refuse(
            "possession",
            "the request does not prove possession of its key",
            subject,
            "a signature over the token's subject",
        )
    return key


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """Issues certificates. `clock` returns the time in UTC."""

    keys: AuthorityKeys
    clock: Callable[[], datetime]

    def issue(
        self,
        identity: Identity,
        key: ec.EllipticCurvePublicKey,
        statement_digest: str | None = None,
    ) -> x509.Certificate:
        """Return a ten-minute code-signing certificate of `identity` for `key`, with its SCT.

        With `statement_digest` (see `STATEMENT`) the certificate serves for that statement only.

        The same certificate is built twice: the first without the SCT list, which is what the
        certificate log signs; the second with it (RFC 6962 section 3.2).
        """
        now = self.clock()
        start = now.replace(microsecond=0)
        issuer = self.keys.ca_chain[0]
        ca_key = self.keys.ca.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + LIFETIME)
            .add_extension(
                x509.KeyUsage(True, False, False, False, False, False, False, False, False),
                critical=True,
            )
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key), critical=False
            )
            .add_extension(
                x509.SubjectAlternativeName([general_name(identity.subject)]), critical=True
            )
            .add_extension(
                x509.UnrecognizedExtension(ISSUER_V1, identity.issuer.encode()), critical=False
            )
            .add_extension(
                x509.UnrecognizedExtension(ISSUER_V2, der(0x0C, identity.issuer.encode())),
                critical=False,
            )
        )
        if statement_digest is not None:
            value = bytes.fromhex(statement_digest)
            builder = builder.add_extension(
                x509.UnrecognizedExtension(STATEMENT, value), critical=False
            )
        tbs = builder.sign(self.keys.ca, hashes.SHA256()).tbs_certificate_bytes
        extension = sct_list_extension(tbs, ca_key, self.keys.ct, now)
        return builder.add_extension(extension, critical=False).sign(self.keys.ca, hashes.SHA256())
