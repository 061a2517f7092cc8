"""Signed certificate timestamps, embedded (RFC 6962 sections 3.2 and 3.3)."""

from __future__ import annotations

import hashlib
import struct
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from authority.keys import spki

SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
"""The extension that holds a certificate's SCT list (RFC 6962 section 3.3)."""

_V1 = 0
_CERTIFICATE_TIMESTAMP = 0
_PRECERT_ENTRY = 1
_SHA256_ECDSA = b"\x04\x03"
"""HashAlgorithm sha256 and SignatureAlgorithm ecdsa (RFC 5246 section 7.4.1.4.1)."""


def der(tag: int, content: bytes) -> bytes:
    """Return one DER value (X.690 section 8.1) with a definite length of up to four bytes."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def log_id(ct_key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the certificate log's id: SHA-256 of its key (RFC 6962 section 3.2)."""
    return hashlib.sha256(spki(ct_key)).digest()


def sct_list_extension(
    tbs: bytes,
    issuer_key: ec.EllipticCurvePublicKey,
    ct_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.UnrecognizedExtension:
    """Return the extension for the certificate whose TBS **without it** is `tbs`.

    The signature covers the struct `digitally-signed` of RFC 6962 section 3.2: version, type,
    milliseconds, entry type, SHA-256 of the issuer's key, the TBS with a 24-bit length, and no
    extensions.
    """
    milliseconds = int(now.timestamp() * 1000)
    signed = (
        struct.pack(">BBQH", _V1, _CERTIFICATE_TIMESTAMP, milliseconds, _PRECERT_ENTRY)
        + hashlib.sha256(spki(issuer_key)).digest()
        + len(tbs).to_bytes(3, "big")
        + tbs
        + struct.pack(">H", 0)
    )
    signature = ct_key.sign(signed, ec.ECDSA(hashes.SHA256()))
    sct = (
        struct.pack(">B", _V1)
        + log_id(ct_key.public_key())
        + struct.pack(">QH", milliseconds, 0)
        + _SHA256_ECDSA
        + struct.pack(">H", len(signature))
        + signature
    )
    # opaque SerializedSCT<1..2^16-1>; SerializedSCT sct_list<1..2^16-1>, in an OCTET STRING
    serialized = struct.pack(">H", len(sct)) + sct
    content = struct.pack(">H", len(serialized)) + serialized
    return x509.UnrecognizedExtension(SCT_LIST, der(0x04, content))
