"""What clients are given: a Sigstore `TrustedRoot` and `ClientTrustConfig` as JSON objects.

https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from authority.keys import ORGANIZATION, AuthorityKeys, spki
from authority.logservice import KEY_DETAILS, LogService, b64
from authority.sct import log_id

TIMESTAMP_PATH = "/api/v1/timestamp"


def _valid_for(keys: AuthorityKeys) -> dict[str, str]:
    return {"start": _timestamp(keys.created)}


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _authority(
    uri: str, chain: Sequence[x509.Certificate], valid_for: dict[str, str]
) -> dict[str, Any]:
    common_name = chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return {
        "subject": {"organization": ORGANIZATION, "commonName": common_name},
        "uri": uri,
        "certChain": {
            "certificates": [
                {"rawBytes": b64(c.public_bytes(serialization.Encoding.DER))} for c in chain
            ]
        },
        "validFor": valid_for,
    }


def _log(
    base_url: str, key: bytes, details: str, identifier: bytes, valid_for: dict[str, str]
) -> dict[str, Any]:
    return {
        "baseUrl": base_url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": b64(key), "keyDetails": details, "validFor": valid_for},
        "logId": {"keyId": b64(identifier)},
    }


def trusted_root(keys: AuthorityKeys, log: LogService, base_url: str) -> dict[str, Any]:
    """Return the `TrustedRoot`: all that a verifier needs, public material only.

    The log's base URL is "https://" and its origin, not its address: sigstore-js finds the
    checkpoint's key by it.
    """
    valid_for = _valid_for(keys)
    log_key = keys.log.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    ct_key = keys.ct.public_key()
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [
            _log(f"https://{log.verifier.name}", log_key, "PKIX_ED25519", log.log_id, valid_for)
        ],
        "certificateAuthorities": [_authority(base_url, keys.ca_chain, valid_for)],
        "ctlogs": [_log(f"{base_url}/ct", spki(ct_key), KEY_DETAILS, log_id(ct_key), valid_for)],
        "timestampAuthorities": [_authority(base_url + TIMESTAMP_PATH, keys.tsa_chain, valid_for)],
    }


def client_trust_config(keys: AuthorityKeys, log: LogService, base_url: str) -> dict[str, Any]:
    """Return the `ClientTrustConfig`: the trusted root, and where to sign."""

    def service(url: str, version: int) -> dict[str, Any]:
        return {
            "url": url,
            "majorApiVersion": version,
            "validFor": _valid_for(keys),
            "operator": ORGANIZATION,
        }

    return {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": trusted_root(keys, log, base_url),
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(base_url, 1)],
            "oidcUrls": [service(base_url, 1)],
            "rekorTlogUrls": [service(base_url, 2)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [service(base_url + TIMESTAMP_PATH, 1)],
            "tsaConfig": {"selector": "ANY"},
        },
    }
