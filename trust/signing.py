"""Signing statements with Sigstore: the only module of `trust` that uses the network.

Nothing in `trust` imports it. A `ClientTrustConfig` says where the certificate authority, the log
and the timestamp authority are and what vouches for them; a `TokenSource` gives the OIDC identity
token that stands for the signer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import requests
from sigstore.dsse import Statement
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken, detect_credential
from sigstore.sign import SigningContext
from urllib3.exceptions import HTTPError

from trust import strictjson
from trust.errors import SealgateError, problem
from trust.evidence.bundles import BundleVerifier

TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and to wait for an answer."""
MAX_REPLY = 64 * 1024
AUDIENCE = "sigstore"
ENVIRONMENT_VARIABLE = "SEALGATE_ID_TOKEN"


class SigningFailed(SealgateError):
    """No identity token could be had, or the statement could not be signed."""


@runtime_checkable
class TokenSource(Protocol):
    """Where an OIDC identity token comes from."""

    def token(self) -> str:
        """Return a token with the audience `sigstore`.

        Raises:
            SigningFailed: there is none.
        """


def _failed(code: str, what: str, value: object, expected: str, advice: str) -> SigningFailed:
    return SigningFailed(problem(code, what, value=value, expected=expected, advice=advice))


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Asks a token endpoint with a name and a secret (OAuth 2.0 client credentials, RFC 6749 4.4).

    Attributes:
        token_url: the endpoint, such as `https://authority.example/token`.
        username: the account.
        secret_file: a file with the account's secret; surrounding white space is dropped.
    """

    token_url: str
    username: str
    secret_file: Path

    def token(self) -> str:
        """Ask for a token.

        Raises:
            SigningFailed: the secret cannot be read, or the endpoint gives no token.
        """
        try:
            secret = self.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _failed(
                "signing.secret",
                "the account's secret cannot be read",
                error,
                "a readable file with the secret",
                "name the account's secret file, or run as its owner",
            ) from error
        try:
            reply = requests.post(
                self.token_url,
                data={
                    "grant_type": "client_credentials",
                    "username": self.username,
                    "password": secret,
                    "audience": AUDIENCE,
                },
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
            )
            with reply:
                body = reply.raw.read(MAX_REPLY + 1, decode_content=True)
            status = reply.status_code
            document = strictjson.loads(body, max_bytes=MAX_REPLY)
            token = document["id_token"] if status == requests.codes.ok else None
        except (
            requests.RequestException,
            HTTPError,
            SealgateError,
            KeyError,
            TypeError,
            OSError,
        ) as error:
            raise self._refused(error) from error
        if not isinstance(token, str):
            raise self._refused(f"{status}: {document}")
        return token

    def _refused(self, value: object) -> SigningFailed:
        return _failed(
            "signing.token",
            f"no identity token for {self.username} from {self.token_url}",
            value,
            'status 200 and {"id_token": ...}',
            "check that the authority runs, the account's name and its secret",
        )


@dataclass(frozen=True, slots=True)
class EnvironmentToken:
    """Takes the token from an environment variable.

    Attributes:
        variable: its name.
    """

    variable: str = ENVIRONMENT_VARIABLE

    def token(self) -> str:
        """Return the variable's value.

        Raises:
            SigningFailed: it is not set.
        """
        value = os.environ.get(self.variable, "").strip()
        if not value:
            raise _failed(
                "signing.token",
                f"the environment variable {self.variable} has no identity token",
                "",
                "an OIDC identity token with the audience sigstore",
                f"set {self.variable}, or sign with an account's secret",
            )
        return value


@dataclass(frozen=True, slots=True)
class AmbientToken:
    """Takes the token that the place offers where this runs (CI systems, cloud workloads)."""

    def token(self) -> str:
        """Detect the ambient credential.

        Raises:
            SigningFailed: there is none.
        """
        try:
            token = detect_credential()
        except Exception as error:
            raise self._missing(error) from error
        if not token:
            raise self._missing("")
        return token

    def _missing(self, value: object) -> SigningFailed:
        return _failed(
            "signing.token",
            "there is no ambient identity token",
            value,
            "a CI system or workload that offers OIDC tokens",
            f"sign with an account's secret, or set {ENVIRONMENT_VARIABLE}",
        )


def sign_statement(
    client_trust_config: bytes,
    token: str,
    statement: bytes,
    *,
    context: SigningContext | None = None,
) -> bytes:
    """Sign an in-toto Statement and return the Sigstore bundle (JSON).

    sigstore-python only warns when a timestamp authority does not answer. So the bundle is
    verified, as the gate will verify it, before it is returned: what is returned will be accepted
    by every gate that pins the same trusted root.

    Args:
        client_trust_config: a Sigstore `ClientTrustConfig` (JSON).
        token: an OIDC identity token with the audience `sigstore`.
        statement: an in-toto Statement v1 (JSON).
        context: the services to sign with; by default those that the configuration names.

    Raises:
        SigningFailed: the statement could not be signed, or the bundle does not verify.
    """
    try:
        document = strictjson.loads(client_trust_config, max_bytes=8 << 20)
        if context is None:
            config = ClientTrustConfig.from_json(client_trust_config.decode())
            context = SigningContext.from_trust_config(config)
        with context.signer(IdentityToken(token)) as signer:
            bundle = signer.sign_dsse(Statement(statement)).to_json().encode()
        verifier = BundleVerifier(strictjson.dumps(document["trustedRoot"]))
        verified = verifier.verify(bundle)
        if verified.statement != strictjson.loads(statement):
            raise ValueError("the bundle has another statement")
    except Exception as error:
        value = error.problem.value if isinstance(error, SealgateError) else error
        raise _failed(
            "signing.failed",
            "the statement could not be signed",
            value or error,
            "a certificate, a timestamp and a log entry that the trusted root vouches for",
            "check that the signing services run and that the token has not expired; then sign "
            "again",
        ) from error
    return bundle
