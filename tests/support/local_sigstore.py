"""A whole Sigstore instance in memory: unmodified sigstore-python signs with it, without sockets.

The three service clients of sigstore-python are replaced by objects of the same shape that call
`authority.core` directly; everything else, on both sides, is the real thing.
"""

from __future__ import annotations

import datetime as datetime_module
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from rfc3161_client import TimestampRequestBuilder, decode_timestamp_response
from sigstore._internal.rekor.client_v2 import RekorV2Client
from sigstore.dsse import Statement
from sigstore.models import ClientTrustConfig, TransparencyLogEntry
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from sigstore_models.rekor.v1 import TransparencyLogEntry as EntryModel

from authority.core import Authority, utc_now
from authority.keys import AuthorityKeys
from authority.logservice import b64

ISSUER = "https://authority.test"


class _Fulcio:
    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    @property
    def signing_cert(self) -> _Fulcio:
        return self

    def post(self, csr: x509.CertificateSigningRequest, token: IdentityToken) -> SimpleNamespace:
        pem = csr.public_bytes(serialization.Encoding.PEM)
        request = {"certificateSigningRequest": b64(pem)}
        chain = [
            x509.load_pem_x509_certificate(text.encode())
            for text in self._authority.signing_certificate(str(token), request)
        ]
        return SimpleNamespace(cert=chain[0], chain=chain[1:])


class _Rekor(RekorV2Client):
    """Builds requests as the real client does; only `create_entry` does not use the network."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(ISSUER)
        self._authority = authority

    def create_entry(self, payload: Any) -> TransparencyLogEntry:
        entry = self._authority.log_service.add(json.loads(json.dumps(payload)))
        return TransparencyLogEntry(EntryModel.from_dict(entry))


class _Timestamps:
    url = ISSUER

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def request_timestamp(self, signature: bytes) -> Any:
        request = TimestampRequestBuilder().data(signature).nonce(nonce=True).build()
        return decode_timestamp_response(self._authority.timestamps.respond(request.as_bytes()))


class LocalSigstore:
    """A Sigstore instance in memory.

    Attributes:
        issuer: the OIDC issuer of every identity it signs for.
        authority: the authority behind it.
        trusted_root: the instance's `TrustedRoot`, JSON.
        client_trust_config: the instance's `ClientTrustConfig`, JSON.
    """

    def __init__(
        self, clock: Callable[[], datetime] | None = None, keys: AuthorityKeys | None = None
    ) -> None:
        """Assemble the instance.

        Args:
            clock: the authority's time, aware and in UTC; default: the real time. With a clock,
                signatures are made as of its time, past or future (it may later go back by a
                year).
            keys: the authority's keys; default: new ones.
        """
        self._clock = clock
        created = min(utc_now(), clock()) - timedelta(days=366) if clock else utc_now()
        self.issuer = ISSUER
        self.authority = Authority(
            keys or AuthorityKeys.generate(created), ISSUER, log_path=None, clock=clock or utc_now
        )
        self.trusted_root = json.dumps(self.authority.trusted_root()).encode()
        self.client_trust_config = json.dumps(self.authority.client_trust_config()).encode()
        config = ClientTrustConfig.from_json(self.client_trust_config.decode())
        self._context = SigningContext(
            fulcio=_Fulcio(self.authority),  # type: ignore[arg-type]
            rekor=_Rekor(self.authority),
            trusted_root=config.trusted_root,
            tsa_clients=[_Timestamps(self.authority)],  # type: ignore[list-item]
        )

    def token(self, subject: str, audience: str = "sigstore") -> str:
        """Return an identity token of `subject`, valid at the clock's and at the real time."""
        if self._clock is None:
            return self.authority.tokens.mint(subject, audience)
        earlier, later = sorted((utc_now(), self._clock()))
        issuer = replace(self.authority.tokens, clock=lambda: earlier)
        return issuer.mint(subject, audience, later - earlier + timedelta(minutes=5))

    def sign(self, subject: str, statement: bytes) -> bytes:
        """Return the bundle (JSON) of an in-toto Statement (JSON), signed as `subject`."""
        with self._frozen(), self._context.signer(IdentityToken(self.token(subject))) as signer:
            return signer.sign_dsse(Statement(statement)).to_json().encode()

    def sign_artifact(self, subject: str, artifact: bytes) -> bytes:
        """Return the bundle (JSON) of a message signature over `artifact`."""
        with self._frozen(), self._context.signer(IdentityToken(self.token(subject))) as signer:
            return signer.sign_artifact(artifact).to_json().encode()

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """Let sigstore-python's signer, which reads the system's clock, see the injected one."""
        with ExitStack() as stack:
            if self._clock is not None:
                clock = self._clock

                class Injected(datetime_module.datetime):
                    @classmethod
                    def now(cls, tz: Any = UTC) -> Any:
                        return clock().astimezone(tz)

                stack.enter_context(mock.patch("sigstore.sign.datetime", Injected))
            yield
