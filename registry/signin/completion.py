"""Completing a signature that a page made: the log entry and the timestamp.

The page has the key, makes the statement and signs it; this side adds what only services can give
(a Rekor v2 entry, an RFC 3161 timestamp) and hands back the bundle, which goes through the same
verifier as every bundle. It could forge nothing: it never sees a key or an identity token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rfc3161_client import TimestampRequestBuilder, decode_timestamp_response
from sigstore.models import Bundle

from registry import replies
from registry.errors import BadRequest, NotFound, Unavailable, Unprocessable
from registry.services import Services
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.evidence.bundles import MEDIA_TYPE, PAYLOAD_TYPE, EvidenceRefused

TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and to wait for an answer."""
MAX_REPLY = 256 * 1024
SIGNING_CALLBACK = "/signing/callback"
"""Where the authority sends the signing window back to."""
MEMBERS = ("certificate", "payload", "signature")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pae(payload: bytes) -> bytes:
    """Return the DSSE v1 pre-authentication encoding of an in-toto payload."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _unavailable(what: str, error: object) -> Unavailable:
    return Unavailable(
        problem(
            "signing.services",
            f"{what} did not answer as it should",
            value=error,
            expected="a log entry and a timestamp",
            advice="sign again in a minute; nothing was stored",
        )
    )


@dataclass(frozen=True, slots=True)
class SigningServices:
    """Where signatures are made complete, from a Sigstore `ClientTrustConfig`.

    Attributes:
        certificates: base URL of the certificate authority (Fulcio v2).
        entries: base URL of the log (Rekor v2).
        timestamps: URL of the timestamp authority (RFC 3161).
    """

    certificates: str
    entries: str
    timestamps: str

    @classmethod
    def read(cls, config: bytes) -> SigningServices:
        """Read the configuration.

        Raises:
            Unavailable: it does not name all three services.
        """
        try:
            named: Any = strictjson.loads(config)["signingConfig"]
            logs = [log for log in named["rekorTlogUrls"] if log["majorApiVersion"] == 2]
            return cls(
                named["caUrls"][0]["url"].rstrip("/"),
                logs[0]["url"].rstrip("/"),
                named["tsaUrls"][0]["url"],
            )
        except (SealgateError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _unavailable("the file of the signing services", error) from error

    def log(
        self, certificate: x509.Certificate, payload: bytes, signature: bytes
    ) -> dict[str, Any]:
        """Log the signature; return the `TransparencyLogEntry`.

        https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md

        Raises:
            Unprocessable: the log refuses it.
            Unavailable: the log does not answer as it should.
        """
        der = certificate.public_bytes(serialization.Encoding.DER)
        request = {
            "hashedRekordRequestV002": {
                "digest": _b64(hashlib.sha256(pae(payload)).digest()),
                "signature": {
                    "content": _b64(signature),
                    "verifier": {
                        "x509Certificate": {"rawBytes": _b64(der)},
                        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    },
                },
            }
        }
        status, reply = _post(
            f"{self.entries}/api/v2/log/entries",
            strictjson.dumps(request),
            "application/json",
        )
        if requests.codes.bad_request <= status < requests.codes.internal_server_error:
            raise Unprocessable(
                problem(
                    "signing.log-refused",
                    "the transparency log refuses this signature",
                    value=reply[:500].decode("utf-8", "replace"),
                    expected="a certificate that is valid now, used for the statement it is for",
                    advice="sign again from the page",
                )
            )
        try:
            entry = strictjson.loads(reply, max_bytes=MAX_REPLY)
        except SealgateError as error:
            raise _unavailable("the transparency log", error) from error
        if status != requests.codes.created or not isinstance(entry, dict):
            raise _unavailable("the transparency log", f"status {status}")
        return entry

    def timestamp(self, signature: bytes) -> bytes:
        """Return a timestamp response over the signature (RFC 3161).

        Raises:
            Unavailable: the timestamp authority does not answer as it should.
        """
        query = TimestampRequestBuilder().data(signature).nonce(nonce=True).build().as_bytes()
        status, reply = _post(self.timestamps, query, "application/timestamp-query")
        try:
            if not requests.codes.ok <= status < requests.codes.multiple_choices:
                raise ValueError(f"status {status}")
            return decode_timestamp_response(reply).as_bytes()
        except ValueError as error:
            raise _unavailable("the timestamp authority", error) from error


def _post(url: str, body: bytes, kind: str) -> tuple[int, bytes]:
    headers = {"Content-Type": kind}
    try:
        with requests.post(
            url, body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as reply:
            data = replies.read(reply, MAX_REPLY)
    except (requests.RequestException, OSError) as error:
        raise _unavailable("a signing service", type(error).__name__) from error
    if len(data) > MAX_REPLY:
        raise _unavailable("a signing service", "too long an answer")
    return reply.status_code, data


def _malformed(name: str, value: object, expected: str) -> BadRequest:
    return BadRequest(
        problem(
            "signing.malformed",
            "the signature to complete is malformed",
            value=value,
            expected=expected,
            advice="send what the registry's own page sends",
            where=name,
        )
    )


def _read(body: bytes) -> tuple[x509.Certificate, bytes, bytes]:
    value: Any = strictjson.loads(body, max_bytes=MAX_REPLY)
    if not isinstance(value, dict) or sorted(value) != sorted(MEMBERS):
        raise _malformed("", type(value).__name__, "an object of " + ", ".join(MEMBERS))
    decoded = {}
    for name in ("payload", "signature"):
        try:
            decoded[name] = base64.b64decode(value[name], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise _malformed(name, error, "base64") from error
    try:
        certificate = x509.load_pem_x509_certificate(value["certificate"].encode())
    except (ValueError, AttributeError) as error:
        raise _malformed("certificate", error, "a PEM certificate") from error
    return certificate, decoded["payload"], decoded["signature"]


def _check(certificate: x509.Certificate, payload: bytes, signature: bytes) -> None:
    """Refuse what is not signed, before anybody else is asked."""
    try:
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise InvalidSignature
        key.verify(signature, pae(payload), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise Unprocessable(
            problem(
                "signing.signature",
                "the signature is not the certificate's over these bytes",
                value=hashlib.sha256(payload).hexdigest(),
                expected="an ECDSA P-256 signature over the DSSE encoding of the payload",
                advice="sign again from the page",
            )
        ) from error


def complete(services: Services, body: bytes) -> bytes:
    """Return the Sigstore bundle (JSON) of a signature.

    Args:
        services: the registry's parts.
        body: JSON with `certificate` (PEM), `payload` and `signature` (DER), both base64.

    Raises:
        NotFound: this registry does not sign in pages.
        InvalidJSON: the body is not strict JSON.
        BadRequest: a member is missing or malformed.
        Unprocessable: the signature is not the certificate's over the payload; the log refuses
            it; or the bundle does not verify.
        Unavailable: the signing services do not answer as they should.
    """
    sign_in = services.settings.sign_in
    if sign_in is None or sign_in.client_trust_config is None:
        raise NotFound(
            problem(
                "signing.off",
                "this registry does not complete signatures",
                expected="a registry whose operator has set up signing in the page",
                advice="sign with `sealgate submit` or `sealgate review`",
            )
        )
    config = SigningServices.read(sign_in.client_trust_config.read_bytes())
    certificate, payload, signature = _read(body)
    _check(certificate, payload, signature)
    entry = config.log(certificate, payload, signature)
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {
            "certificate": {"rawBytes": _b64(certificate.public_bytes(serialization.Encoding.DER))},
            "tlogEntries": [entry],
            "timestampVerificationData": {
                "rfc3161Timestamps": [{"signedTimestamp": _b64(config.timestamp(signature))}]
            },
        },
        "dsseEnvelope": {
            "payload": _b64(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": _b64(signature)}],
        },
    }
    try:
        bundle = Bundle.from_json(strictjson.dumps(document)).to_json().encode()
        services.trust.verifier().verify(bundle)
    except EvidenceRefused as error:
        raise Unprocessable(error.problems) from error
    except SealgateError:
        raise
    except Exception as error:  # whatever the services answered, it makes no bundle
        raise _unavailable("the signing services", error) from error
    return bundle
