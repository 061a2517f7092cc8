"""Codes, tokens and clients: what each is bound to, and who may read the answers."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.test import TestResponse

from authority.clients import Client, Clients
from authority.codes import challenge_of
from authority.errors import RequestRefused, StateRefused
from authority.statements import DETAILS_TYPE, pae
from tests.authority.town import (
    ALICE,
    BASE,
    PASSWORD,
    REGISTRY,
    SIGN_IN,
    SIGNING,
    STATEMENT,
    VERIFIER,
    Town,
    claims,
    form_of,
    post,
    request_of,
    sent_back,
)
from trust.evidence import statements


def test_a_sign_in_gives_a_token_for_the_client_alone(town: Town) -> None:
    answer = post(town.browser, form_of(town.browser.get("/auth", query_string=request_of())))
    back = sent_back(answer)
    assert (back["state"], back["iss"]) == ("the-state", BASE)
    found = claims(town.redeem(back["code"]))
    assert (found["sub"], found["aud"], found["nonce"]) == (ALICE, "registry", "the-nonce")
    # No certificate for it: the registry's server cannot sign with what a sign-in gives it.
    reply = certificate(town, found_token(town, request_of()))
    assert reply.status_code == 401


def found_token(town: Town, values: dict[str, str], client: Client = SIGN_IN) -> str:
    reply = town.redeem(town.code(values), client)
    token: str = (reply.json or {})["id_token"]
    return token


def certificate(
    town: Town, token: str, key: ec.EllipticCurvePrivateKey | None = None
) -> TestResponse:
    key = key or ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    proof = key.sign(ALICE.encode(), ec.ECDSA(hashes.SHA256()))
    asked = {
        "publicKey": {"algorithm": "ECDSA", "content": pem.decode()},
        "proofOfPossession": base64.b64encode(proof).decode(),
    }
    return town.client().post(
        "/api/v2/signingCert",
        json={"publicKeyRequest": asked},
        headers={"Authorization": f"Bearer {token}"},
    )


def entry(town: Town, reply: TestResponse, key: ec.EllipticCurvePrivateKey, data: bytes) -> int:
    chain = (reply.json or {})["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    der = x509.load_pem_x509_certificate(chain[0].encode()).public_bytes(serialization.Encoding.DER)
    signature = {
        "content": base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode(),
        "verifier": {
            "x509Certificate": {"rawBytes": base64.b64encode(der).decode()},
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        },
    }
    body = {
        "digest": base64.b64encode(hashlib.sha256(data).digest()).decode(),
        "signature": signature,
    }
    answer = town.client().post("/api/v2/log/entries", json={"hashedRekordRequestV002": body})
    return answer.status_code


def test_a_signing_token_serves_for_the_confirmed_statement_only(town: Town) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    token = found_token(town, request_of(SIGNING), SIGNING)
    reply = certificate(town, token, key)
    assert reply.status_code == 200
    other = statements.submit_statement("example_plugin-1.0.0-py3-none-any.whl", "6" * 64)
    assert entry(town, reply, key, pae(other)) == 400
    assert town.authority.log_service.log.size == 0
    assert entry(town, reply, key, pae(STATEMENT)) == 201


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "unknown"},
        {"code_verifier": "w" * 64},
        {"code_verifier": challenge_of(VERIFIER)},
        {"code_verifier": "v" * 42},
        {"client_id": SIGNING.client_id, "redirect_uri": SIGNING.redirect_uri},
        {"client_id": SIGNING.client_id},
        {"redirect_uri": SIGNING.redirect_uri},
    ],
)
def test_a_code_is_bound_and_burns_with_a_wrong_try(town: Town, changes: dict[str, str]) -> None:
    code = town.code(request_of())
    reply = town.redeem(code, **changes)
    assert reply.status_code == 400
    assert (reply.json or {})["error"] == "invalid_grant"
    again = town.redeem(code)
    assert again.status_code == (200 if "code" in changes else 400)


@pytest.mark.parametrize("missing", ["code", "client_id", "redirect_uri", "code_verifier"])
def test_a_field_that_is_missing(town: Town, missing: str) -> None:
    reply = town.redeem(town.code(request_of()), **{missing: ""})
    assert (reply.status_code, (reply.json or {})["error"]) == (400, "invalid_request")


def test_a_code_serves_once(town: Town) -> None:
    code = town.code(request_of())
    assert town.redeem(code).status_code == 200
    assert (town.redeem(code).json or {})["error"] == "invalid_grant"


def test_a_code_expires(town: Town) -> None:
    code = town.code(request_of())
    town.offset += timedelta(seconds=60)
    assert (town.redeem(code).json or {})["error"] == "invalid_grant"


CALLED = ("/token", "/api/v2/signingCert", "/.well-known/openid-configuration")


@pytest.mark.parametrize("path", CALLED)
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{REGISTRY}.evil.example", "http://127.0.0.1:86"]
)
def test_other_origins_read_nothing(town: Town, path: str, origin: str) -> None:
    for method in ("OPTIONS", "GET", "POST"):
        reply = town.client().open(path, method=method, headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize("path", CALLED)
def test_the_signing_pages_origin_may_read(town: Town, path: str) -> None:
    headers = {"Origin": REGISTRY, "Access-Control-Request-Method": "POST"}
    reply = town.client().options(path, headers=headers)
    assert reply.headers["Access-Control-Allow-Origin"] == REGISTRY
    assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in reply.headers
    assert "Origin" in reply.headers["Vary"]


@pytest.mark.parametrize("path", ["/auth", "/api/v2/log/entries", "/keys", "/healthz"])
def test_nothing_else_is_for_pages(town: Town, path: str) -> None:
    reply = town.client().get(path, headers={"Origin": REGISTRY})
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_a_page_cannot_trade_a_password_for_a_token(town: Town) -> None:
    fields = {"grant_type": "password", "username": ALICE, "password": PASSWORD}
    assert town.client().post("/token", data=fields).status_code == 200
    reply = town.client().post("/token", data=fields, headers={"Origin": REGISTRY})
    assert reply.status_code == 400


def test_discovery_names_what_there_is(town: Town) -> None:
    found = town.client().get("/.well-known/openid-configuration").json or {}
    assert found["authorization_endpoint"] == f"{BASE}/auth"
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["response_types_supported"] == ["code"]
    assert "authorization_code" in found["grant_types_supported"]
    assert found["authorization_details_types_supported"] == [DETAILS_TYPE]


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://registry.example/callback",
        "https://registry.example/callback#x",
        "https://registry.example/callback?x",
        "https://user@registry.example/",
        "https://registry.example/'; script-src *",
        "javascript:alert(1)",
        "/callback",
        "",
    ],
)
def test_a_client_is_registered_with_a_plain_address(redirect_uri: str) -> None:
    with pytest.raises(RequestRefused):
        Client("x", "sign-in", redirect_uri, "X")


def test_clients_are_kept_privately_and_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    assert Clients.load(path).get("registry") is None
    Clients([SIGN_IN, SIGNING]).save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Clients.load(path).get("registry") == SIGN_IN
    path.write_text('[{"client_id": "x"}]')
    with pytest.raises(StateRefused):
        Clients.load(path)
