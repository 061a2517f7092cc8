"""The authority's keys and its own certificates.

Two small hierarchies (code signing and time stamping), each a root and one certificate under it.
The roots' private keys sign once and are forgotten: they are never stored, so they cannot be
stolen, and the authority's life ends with its certificates'.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trust.log import NoteSigner

LIFETIME = timedelta(days=3650)
BACKDATED = timedelta(minutes=5)
"""How far validity starts before now, for clients whose clock is behind."""

ORGANIZATION = "sealgate.local"


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the key as DER SubjectPublicKeyInfo (RFC 5280 section 4.1)."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def new_ec_key() -> ec.EllipticCurvePrivateKey:
    """Return a new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey) -> ec.EllipticCurvePublicKey:
    """Return the public half."""
    return key.public_key()


@dataclass(frozen=True, slots=True)
class AuthorityKeys:
    """Everything secret that the authority has, and the certificates that go with it.

    Attributes:
        ca: issues the certificates of signers (Fulcio).
        ct: signs certificate timestamps (RFC 6962).
        tsa: signs time stamps (RFC 3161).
        oidc: signs identity tokens (ES256).
        log: signs the transparency log's checkpoints (Ed25519).
        ca_chain: the issuing certificate, then its root.
        tsa_chain: the time-stamping certificate, then its root.
    """

    ca: ec.EllipticCurvePrivateKey
    ct: ec.EllipticCurvePrivateKey
    tsa: ec.EllipticCurvePrivateKey
    oidc: ec.EllipticCurvePrivateKey
    log: Ed25519PrivateKey
    ca_chain: tuple[x509.Certificate, x509.Certificate]
    tsa_chain: tuple[x509.Certificate, x509.Certificate]

    @classmethod
    def generate(cls, now: datetime) -> AuthorityKeys:
        """Make new keys and certificates, valid from shortly before `now` for ten years."""
        ca, ct, tsa, oidc = (new_ec_key() for _ in range(4))
        return cls(
            ca=ca,
            ct=ct,
            tsa=tsa,
            oidc=oidc,
            log=Ed25519PrivateKey.generate(),
            ca_chain=_hierarchy("signing", ca, ExtendedKeyUsageOID.CODE_SIGNING, now),
            tsa_chain=_hierarchy("time stamping", tsa, ExtendedKeyUsageOID.TIME_STAMPING, now),
        )

    @property
    def created(self) -> datetime:
        """When the authority's validity starts, UTC."""
        return self.ca_chain[0].not_valid_before_utc

    @property
    def note_signer(self) -> NoteSigner:
        """The log's signer. Its origin has a part of the key's digest, so that it is unique."""
        digest = hashlib.sha256(self.log.public_key().public_bytes_raw()).hexdigest()
        return NoteSigner(f"log-{digest[:12]}.{ORGANIZATION}", self.log)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _hierarchy(
    what: str, key: ec.EllipticCurvePrivateKey, usage: x509.ObjectIdentifier, now: datetime
) -> tuple[x509.Certificate, x509.Certificate]:
    """Return the certificate of `key` for `usage`, and the root above it.

    A time-stamping certificate is an end entity whose extended key usage is critical (RFC 3161
    section 2.3); a code-signing one is a CA that may issue end entities only (RFC 5280 4.2.1.9).
    """
    root_key = new_ec_key()
    root_name = _name(f"{what} root")
    is_ca = usage == ExtendedKeyUsageOID.CODE_SIGNING
    root = (
        _builder(root_name, root_name, public(root_key), public(root_key), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=int(is_ca)), critical=True)
        .add_extension(_key_usage(is_ca=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    certificate = (
        _builder(_name(what), root_name, public(key), public(root_key), now)
        .add_extension(
            x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True
        )
        .add_extension(_key_usage(is_ca=is_ca), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=not is_ca)
        .sign(root_key, hashes.SHA256())
    )
    return certificate, root


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    now: datetime,
) -> x509.CertificateBuilder:
    start = now.replace(microsecond=0) - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )
