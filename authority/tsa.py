"""Time stamps (RFC 3161) with an ESSCertIDv2 of the signer (RFC 5816)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from authority.errors import RequestRefused
from trust.errors import problem

POLICY: Final = "1.3.6.1.4.1.57264.2"
"""The policy under which Sigstore's authorities stamp."""

_IMPRINTS: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
"""Accepted hash algorithms of the stamped message, and their digests' length in bytes."""


class _Rejection(core.Sequence):  # type: ignore[misc]  # asn1crypto has no type hints
    """A `TimeStampResp` without a token, which asn1crypto's own type cannot leave out."""

    _fields: ClassVar = [("status", tsp.PKIStatusInfo)]


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """Stamps digests with the time of `clock` (UTC), to the second."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    clock: Callable[[], datetime]

    def respond(self, request: bytes) -> bytes:
        """Return the DER `TimeStampResp` to a DER `TimeStampReq`.

        A request that is well-formed but not acceptable gets a rejection in the response itself
        (RFC 3161 section 2.4.2).

        Raises:
            RequestRefused: the request is not a `TimeStampReq`.
        """
        try:
            query = tsp.TimeStampReq.load(request, strict=True)
            failure = self._failure(query)
        except (ValueError, TypeError, KeyError) as error:
            raise RequestRefused(
                problem(
                    "authority.timestamp-request",
                    "the time-stamp request is malformed",
                    value=error,
                    expected="a DER TimeStampReq (RFC 3161 section 2.4.1)",
                    advice="send what `openssl ts -query` or a Sigstore client makes",
                )
            ) from error
        if failure:
            status = {"status": "rejection", "fail_info": {failure}}
            return bytes(_Rejection({"status": status}).dump())
        return bytes(
            tsp.TimeStampResp(
                {
                    "status": {"status": "granted"},
                    "time_stamp_token": {
                        "content_type": "signed_data",
                        "content": self._signed_data(query),
                    },
                }
            ).dump()
        )

    @staticmethod
    def _failure(query: Any) -> str:
        """Read every field of the request; return a PKIFailureInfo name, or ""."""
        native = query.native
        imprint = native["message_imprint"]
        if native["version"] != "v1":
            return "bad_request"
        algorithm = imprint["hash_algorithm"]["algorithm"]
        if algorithm not in _IMPRINTS:
            return "bad_alg"
        if len(imprint["hashed_message"]) != _IMPRINTS[algorithm]:
            return "bad_data_format"
        if native["req_policy"] not in (None, POLICY):
            return "unaccepted_policy"
        return "unaccepted_extensions" if native["extensions"] else ""

    def _signed_data(self, query: Any) -> Any:
        """Return the CMS SignedData (RFC 5652 section 5) over a new TSTInfo."""
        now = self.clock().replace(microsecond=0)
        info: dict[str, Any] = {
            "version": "v1",
            "policy": POLICY,
            "message_imprint": query["message_imprint"],
            "serial_number": secrets.randbits(120) | 1 << 119,
            "gen_time": now,
        }
        if query["nonce"].native is not None:
            info["nonce"] = query["nonce"].native
        content = tsp.TSTInfo(info).dump()
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        certificate = asn1_x509.Certificate.load(der)
        identifier = tsp.SigningCertificateV2(
            {"certs": [{"cert_hash": hashlib.sha256(der).digest()}]}
        )
        attributes = cms.CMSAttributes(
            [
                cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
                cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": now})]}),
                cms.CMSAttribute(
                    {"type": "message_digest", "values": [hashlib.sha256(content).digest()]}
                ),
                cms.CMSAttribute({"type": "signing_certificate_v2", "values": [identifier]}),
            ]
        )
        sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    {
                        "issuer_and_serial_number": {
                            "issuer": certificate.issuer,
                            "serial_number": certificate.serial_number,
                        }
                    }
                ),
                "digest_algorithm": sha256,
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": "sha256_ecdsa"},
                "signature": self.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
            }
        )
        signed: dict[str, Any] = {
            "version": "v3",
            "digest_algorithms": [sha256],
            "encap_content_info": {
                "content_type": "tst_info",
                "content": core.ParsableOctetString(content),
            },
            "signer_infos": [signer],
        }
        if query["cert_req"].native:
            signed["certificates"] = [certificate]
        return cms.SignedData(signed)
