"""The authority without HTTP: identity tokens, certificates, log entries, time stamps."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives import serialization

from authority import trustconfig
from authority.certificates import CertificateAuthority, key_from_csr, key_from_proof
from authority.errors import RequestRefused
from authority.keys import AuthorityKeys
from authority.logservice import LogService
from authority.oidc import TokenIssuer
from authority.tsa import TimestampAuthority
from trust.errors import problem
from trust.log import MerkleLog


def utc_now() -> datetime:
    """Return the time, aware and in UTC."""
    return datetime.now(UTC)


def _malformed(what: str, value: object, expected: str) -> NoReturn:
    raise RequestRefused(
        problem(
            "authority.certificate-request",
            what,
            value=value,
            expected=expected,
            advice="send what a Sigstore client sends to POST /api/v2/signingCert",
        )
    )


def _base64(value: object, name: str) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except binascii.Error:
        pass
    _malformed(f"{name} is not base64", value, "a base64 string")


class Authority:
    """One Sigstore instance: its services share keys, a log and a clock.

    Attributes:
        base_url: where it is served, without a trailing slash; also the OIDC issuer.
        tokens: mints and verifies identity tokens.
        log_service: the transparency log.
        timestamps: the time-stamping authority.
    """

    def __init__(
        self,
        keys: AuthorityKeys,
        base_url: str,
        log_path: Path | None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Assemble the services.

        Args:
            keys: see `AuthorityKeys.generate` and `keystore.KeyStore`.
            base_url: the address under which clients reach the authority.
            log_path: the transparency log's file; None keeps it in memory.
            clock: returns the time, aware and in UTC.

        Raises:
            LogError: the log cannot be opened, or is damaged.
        """
        self.base_url = base_url.rstrip("/")
        self.keys = keys
        signer = keys.note_signer
        self.tokens = TokenIssuer(self.base_url, keys.oidc, clock)
        self.log_service = LogService(
            MerkleLog(log_path, signer), signer.verifier, keys.ca_chain[0], clock
        )
        self.timestamps = TimestampAuthority(keys.tsa, keys.tsa_chain[0], clock)
        self._certificates = CertificateAuthority(keys, clock)

    def close(self) -> None:
        """Close the log."""
        self.log_service.log.close()

    @property
    def issuer(self) -> str:
        """The OIDC issuer that stands in certificates."""
        return self.base_url

    def signing_certificate(self, token: str, request: object) -> list[str]:
        """Answer a Fulcio v2 `CreateSigningCertificateRequest` (as parsed JSON).

        Args:
            token: the identity token from the Authorization header, or "" to take it from the
                request's `credentials`.
            request: has `certificateSigningRequest` (base64 of a PEM CSR), or
                `publicKeyRequest` (a PEM key and a signature over the token's subject).

        Returns:
            PEM certificates: the new one, the issuing one, the root.

        Raises:
            Unauthenticated: the token is refused.
            RequestRefused: the request is malformed or proves no possession of its key.
        """
        if not isinstance(request, dict):
            _malformed("the request is not an object", request, "a JSON object")
        credentials = request.get("credentials")
        if not token and isinstance(credentials, dict):
            token = str(credentials.get("oidcIdentityToken", ""))
        verified = self.tokens.read(token)
        identity = verified.identity
        if "certificateSigningRequest" in request:
            pem = _base64(request["certificateSigningRequest"], "certificateSigningRequest")
            key = key_from_csr(pem)
        else:
            asked = request.get("publicKeyRequest")
            public = asked.get("publicKey") if isinstance(asked, dict) else None
            if not isinstance(asked, dict) or not isinstance(public, dict):
                _malformed(
                    "the request names no key",
                    sorted(map(str, request)),
                    "certificateSigningRequest or publicKeyRequest",
                )
            proof = _base64(asked.get("proofOfPossession"), "proofOfPossession")
            key = key_from_proof(str(public.get("content")).encode(), proof, identity.subject)
        leaf = self._certificates.issue(identity, key, verified.statement_digest)
        chain = (leaf, *self.keys.ca_chain)
        return [c.public_bytes(serialization.Encoding.PEM).decode() for c in chain]

    def trust_bundle(self) -> list[str]:
        """Return the issuing chain as PEM certificates, without any leaf."""
        return [c.public_bytes(serialization.Encoding.PEM).decode() for c in self.keys.ca_chain]

    def trusted_root(self) -> dict[str, Any]:
        """Return the Sigstore `TrustedRoot` as a JSON object."""
        return trustconfig.trusted_root(self.keys, self.log_service, self.base_url)

    def client_trust_config(self) -> dict[str, Any]:
        """Return the Sigstore `ClientTrustConfig` as a JSON object."""
        return trustconfig.client_trust_config(self.keys, self.log_service, self.base_url)
