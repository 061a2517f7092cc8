"""Signing: only bundles that the gate would accept are returned, and tokens come from where they
should."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from sigstore._internal.timestamp import TimestampError
from sigstore.sign import SigningContext

from tests.support.local_sigstore import LocalSigstore
from tests.support.servers import serving
from trust.evidence.bundles import BundleVerifier
from trust.evidence.statements import submit_statement
from trust.signing import (
    AmbientToken,
    ClientCredentials,
    EnvironmentToken,
    SigningFailed,
    TokenSource,
    sign_statement,
)

ALICE = "alice@example.com"
STATEMENT = submit_statement(
    "example_plugin-1.0.0-py3-none-any.whl", hashlib.sha256(b"wheel").hexdigest()
)


@pytest.fixture(scope="module")
def sigstore() -> LocalSigstore:
    return LocalSigstore()


def failed(code: str, action: Any) -> SigningFailed:
    with pytest.raises(SigningFailed) as caught:
        action()
    assert caught.value.problem.code == code
    assert caught.value.problem.advice
    return caught.value


def test_a_signed_statement_comes_back_as_a_bundle_that_verifies(sigstore: LocalSigstore) -> None:
    bundle = sign_statement(
        sigstore.client_trust_config, sigstore.token(ALICE), STATEMENT, context=sigstore._context
    )
    verified = BundleVerifier(sigstore.trusted_root).verify(bundle)
    assert verified.identity.subject == ALICE
    assert verified.statement == json.loads(STATEMENT)


class _NoTimestamps:
    url = "https://nowhere.test"

    def request_timestamp(self, signature: bytes) -> Any:
        raise TimestampError("the timestamp authority does not answer")


def context(sigstore: LocalSigstore, **changes: Any) -> SigningContext:
    real = sigstore._context
    parts = {
        "fulcio": real._fulcio,
        "rekor": real._rekor,
        "trusted_root": real._trusted_root,
        "tsa_clients": real._tsa_clients,
    }
    return SigningContext(**(parts | changes))


@pytest.mark.parametrize("clients", [[], [_NoTimestamps()]])
def test_a_bundle_without_a_timestamp_is_an_error_not_a_warning(
    sigstore: LocalSigstore, clients: list[Any]
) -> None:
    without = context(sigstore, tsa_clients=clients)
    config, token = sigstore.client_trust_config, sigstore.token(ALICE)
    failed("signing.failed", lambda: sign_statement(config, token, STATEMENT, context=without))


def test_services_of_another_instance_are_an_error(sigstore: LocalSigstore) -> None:
    other = LocalSigstore()
    stamps = context(sigstore, tsa_clients=other._context._tsa_clients)
    config, token = sigstore.client_trust_config, sigstore.token(ALICE)
    failed("signing.failed", lambda: sign_statement(config, token, STATEMENT, context=stamps))
    log = context(sigstore, rekor=other._context._rekor)
    failed("signing.failed", lambda: sign_statement(config, token, STATEMENT, context=log))


def test_what_cannot_be_signed_is_an_error(sigstore: LocalSigstore) -> None:
    config, token = sigstore.client_trust_config, sigstore.token(ALICE)

    def sign(config: bytes, token: str, statement: bytes) -> bytes:
        return sign_statement(config, token, statement, context=sigstore._context)

    failed("signing.failed", lambda: sign(config, "no token", STATEMENT))
    failed("signing.failed", lambda: sign(config, token, b"{}"))
    failed("signing.failed", lambda: sign(b"{}", token, STATEMENT))
    wrong_audience = sigstore.token(ALICE, audience="other")
    failed("signing.failed", lambda: sign(config, wrong_audience, STATEMENT))


def test_a_token_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEALGATE_ID_TOKEN", raising=False)
    failed("signing.token", EnvironmentToken().token)
    monkeypatch.setenv("SEALGATE_ID_TOKEN", " abc \n")
    assert EnvironmentToken().token() == "abc"
    assert isinstance(EnvironmentToken(), TokenSource)


def test_no_ambient_token_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "SIGSTORE_ID_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    failed("signing.token", AmbientToken().token)


class Endpoint(BaseHTTPRequestHandler):
    """A token endpoint that answers as `answer` says and keeps what it was asked."""

    answer: tuple[int, bytes, dict[str, str]] = (200, b"{}", {})
    asked: dict[str, list[str]]

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        Endpoint.asked = parse_qs(self.rfile.read(length).decode())
        status, body, headers = Endpoint.answer
        if self.path == "/elsewhere":
            status, body, headers = 200, b'{"id_token":"abc"}', {}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def endpoint(socket_enabled: None) -> Iterator[str]:
    with serving(Endpoint) as address:
        yield f"{address}/token"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    return path


def test_client_credentials_are_exchanged_for_a_token(endpoint: str, secret: Path) -> None:
    Endpoint.answer = (200, b'{"id_token":"abc","token_type":"Bearer"}', {})
    assert ClientCredentials(endpoint, "bot", secret).token() == "abc"
    assert Endpoint.asked == {
        "grant_type": ["client_credentials"],
        "username": ["bot"],
        "password": ["s3cret"],
        "audience": ["sigstore"],
    }


@pytest.mark.parametrize(
    "answer",
    [
        (401, b'{"error":"invalid_grant","id_token":"abc"}', {}),
        (307, b'{"id_token":"abc"}', {"Location": "/elsewhere"}),
        (200, b"{}", {}),
        (200, b'{"id_token":7}', {}),
        (200, b"[]", {}),
        (200, b"not json", {}),
        (200, b'{"id_token":"abc","id_token":"abd"}', {}),
        (200, b'{"id_token":"abc"}' + b" " * 70_000, {}),
    ],
)
def test_any_other_answer_gives_no_token_and_no_secret_in_the_words(
    endpoint: str, secret: Path, answer: tuple[int, bytes, dict[str, str]]
) -> None:
    Endpoint.answer = answer
    error = failed("signing.token", ClientCredentials(endpoint, "bot", secret).token)
    assert "s3cret" not in error.diagnostics()


def test_no_endpoint_or_no_secret_gives_no_token(
    endpoint: str, secret: Path, tmp_path: Path
) -> None:
    nowhere = ClientCredentials("http://127.0.0.1:1/token", "bot", secret)
    failed("signing.token", nowhere.token)
    failed("signing.secret", ClientCredentials(endpoint, "bot", tmp_path / "none").token)
