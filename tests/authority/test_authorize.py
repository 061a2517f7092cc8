"""The authorization endpoint: what it refuses, and what a code and its token are bound to."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from argon2 import PasswordHasher
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from authority.accounts import Accounts
from authority.app import create_app
from authority.clients import Client, Clients
from authority.codes import challenge_of
from authority.core import Authority
from authority.errors import RequestRefused, StateRefused
from authority.keys import AuthorityKeys
from authority.statements import DETAILS_TYPE, pae
from trust.evidence import statements

BASE = "http://127.0.0.1:8600"
REGISTRY = "http://127.0.0.1:8601"
ALICE, PASSWORD = "alice@example.com", "alice's long password"
ROBOT = "https://sealgate.local/scanner"
VERIFIER = "v" * 64
OWN = {"Sec-Fetch-Site": "same-origin", "Origin": BASE}
SIGN_IN = Client("registry", "sign-in", f"{REGISTRY}/signin/callback", "The registry")
SIGNING = Client("registry-pages", "signing", f"{REGISTRY}/signing/callback", "The registry")
DIGEST = "5" * 64
STATEMENT = statements.submit_statement("example_plugin-1.0.0-py3-none-any.whl", DIGEST)


class Town:
    """An authority, its application, and a clock that can be moved."""

    def __init__(self, folder: Path) -> None:
        self.offset = timedelta()
        self.authority = Authority(AuthorityKeys.generate(self.now()), BASE, None, self.now)
        cheap = PasswordHasher(time_cost=1, memory_cost=64)
        accounts = Accounts(folder / "accounts.json", self.now, cheap)
        accounts.ensure({ALICE: PASSWORD, ROBOT: PASSWORD})
        self.app = create_app(self.authority, accounts, Clients([SIGN_IN, SIGNING]))
        self.browser = self.client()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def code(self, values: dict[str, str]) -> str:
        """Sign in and return the code."""
        answer = post(self.browser, form_of(self.browser.get("/auth", query_string=values)))
        assert answer.status_code == 303, answer.text
        return sent_back(answer)["code"]

    def redeem(self, code: str, client: Client = SIGN_IN, /, **changes: str) -> TestResponse:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "code_verifier": VERIFIER,
        }
        return self.client().post("/token", data=fields | changes)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def details(payload: bytes = STATEMENT, /, **changes: Any) -> str:
    encoded = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    return json.dumps([{"type": DETAILS_TYPE, "statement": encoded} | changes])


def request_of(client: Client = SIGN_IN, **changes: str) -> dict[str, str]:
    values = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "scope": "openid email",
        "state": "the-state",
        "nonce": "the-nonce",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    if client.kind == "signing":
        values |= {"resource": "sigstore", "authorization_details": details()}
    return {name: value for name, value in (values | changes).items() if value}


def form_of(page: TestResponse) -> dict[str, str]:
    assert page.status_code == 200, page.text
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    return {name: unescape(value) for name, value in found}


def post(
    browser: FlaskClient,
    form: dict[str, str],
    name: str = ALICE,
    password: str = PASSWORD,
    headers: dict[str, str] | None = None,
) -> TestResponse:
    fields = {"username": name, "password": password} | form
    return browser.post("/auth", data=fields, headers=OWN if headers is None else headers)


def sent_back(answer: TestResponse) -> dict[str, str]:
    assert answer.location.startswith(f"{REGISTRY}/sign")
    return {k: v[0] for k, v in parse_qs(urlsplit(answer.location).query).items()}


def claims(reply: TestResponse) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = jwt.decode(
        (reply.json or {})["id_token"], options={"verify_signature": False}
    )
    return found


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


def test_the_page_says_what_is_signed(town: Town) -> None:
    statement = statements.review_statement(
        "example_plugin-1.0.0-py3-none-any.whl",
        DIGEST,
        decision="reject",
        report_sha256="1" * 64,
        previous_sha256=None,
        policy_sha256="2" * 64,
        comment="<script>alert(1)</script> \u202e no",
    )
    values = request_of(SIGNING, authorization_details=details(statement))
    page = town.browser.get("/auth", query_string=values)
    assert "Reject this wheel" in page.text
    assert DIGEST in page.text
    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "\\u202e" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; style-src 'self'; "
        f"form-action 'self' {REGISTRY}; base-uri 'none'; frame-ancestors 'none'"
    )
    assert page.headers["Cache-Control"] == "no-store"
    cookie = page.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": ""},
        {"redirect_uri": f"{REGISTRY}/signin/callback/"},
        {"redirect_uri": "https://evil.example/signin/callback"},
        {"redirect_uri": f"{REGISTRY}/signin/callback?x=1"},
        {"redirect_uri": f"{REGISTRY}@evil.example/signin/callback"},
        {"redirect_uri": SIGNING.redirect_uri},
        {"redirect_uri": ""},
    ],
)
def test_an_unknown_client_or_address_is_never_redirected_to(
    town: Town, changes: dict[str, str]
) -> None:
    reply = town.browser.get("/auth", query_string=request_of(**changes))
    assert reply.status_code == 400
    assert "Location" not in reply.headers
    assert "<form" not in reply.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
        ({"state": ""}, "invalid_request"),
        ({"state": "s" * 513}, "invalid_request"),
        ({"nonce": "line\nbreak"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"resource": "sigstore"}, "invalid_target"),
        ({"resource": "sigstore", "authorization_details": details()}, "invalid_target"),
    ],
)
def test_a_wrong_sign_in_request(town: Town, changes: dict[str, str], error: str) -> None:
    reply = town.browser.get("/auth", query_string=request_of(**changes))
    assert reply.status_code == 303
    back = sent_back(reply)
    assert back["error"] == error
    assert "code" not in back


UNKNOWN = statements.review_statement(
    "a.whl",
    DIGEST,
    decision="approve",
    report_sha256=DIGEST,
    previous_sha256=None,
    policy_sha256=DIGEST,
).replace(b"sealgate.dev/attestation/review", b"example.com/attestation/review")
SCAN = statements.scan_statement(
    "a.whl", DIGEST, result="PASSED", policy_sha256=DIGEST, report_sha256=DIGEST
)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"resource": ""}, "invalid_target"),
        ({"resource": "registry"}, "invalid_target"),
        ({"nonce": ""}, "invalid_request"),
        ({"authorization_details": ""}, "invalid_authorization_details"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": "{}"}, "invalid_authorization_details"),
        ({"authorization_details": details(type="x")}, "invalid_authorization_details"),
        ({"authorization_details": details(more=1)}, "invalid_authorization_details"),
        ({"authorization_details": details(statement="!")}, "invalid_authorization_details"),
        ({"authorization_details": details(statement=1)}, "invalid_authorization_details"),
        ({"authorization_details": details(b"{}")}, "invalid_authorization_details"),
        ({"authorization_details": details(SCAN)}, "invalid_authorization_details"),
        ({"authorization_details": details(UNKNOWN)}, "invalid_authorization_details"),
        (
            {"authorization_details": details(STATEMENT[:-1] + b',"predicateType":"x"}')},
            "invalid_authorization_details",
        ),
        (
            {"authorization_details": details(STATEMENT[:-1] + b',"more":1}')},
            "invalid_authorization_details",
        ),
        ({"authorization_details": "x" * 50_000}, "invalid_authorization_details"),
    ],
)
def test_a_wrong_signing_request(town: Town, changes: dict[str, str], error: str) -> None:
    reply = town.browser.get("/auth", query_string=request_of(SIGNING, **changes))
    assert sent_back(reply)["error"] == error


def test_parameters_that_stand_twice_are_refused(town: Town) -> None:
    query = [*request_of().items(), ("redirect_uri", "https://evil.example/")]
    assert town.browser.get("/auth", query_string=query).status_code == 400  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": REGISTRY},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_a_form_from_elsewhere_is_refused(town: Town, headers: dict[str, str]) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    assert post(town.browser, form, headers=headers).status_code == 400


Tamper = Callable[[dict[str, str]], dict[str, str]]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda form: form | {"form_mac": ""},
        lambda form: form | {"form_mac": "0" * 64},
        lambda form: form | {"state": "another"},
        lambda form: form | {"code_challenge": challenge_of("w" * 64)},
        lambda form: form | {"scope": "openid"},
    ],
)
def test_a_form_that_was_changed_is_refused(town: Town, tamper: Tamper) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    assert post(town.browser, tamper(form)).status_code == 400


def test_a_form_of_another_browser_is_refused(town: Town) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    other = town.client()
    assert post(other, form).status_code == 400
    form_of(other.get("/auth", query_string=request_of()))
    assert post(other, form).status_code == 400
    assert post(town.browser, form).status_code == 303


def test_cancelling_sends_back_without_a_code(town: Town) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    back = sent_back(post(town.browser, form | {"decision": "cancel"}))
    assert back["error"] == "access_denied"
    assert "code" not in back


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (ALICE, "a bad guess"),
        ("nobody@example.com", PASSWORD),
        (ROBOT, PASSWORD),
        ("", ""),
        (f"{ALICE}\0", PASSWORD),
    ],
)
def test_wrong_credentials_show_the_form_again(town: Town, name: str, password: str) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    reply = post(town.browser, form, name, password)
    assert reply.status_code == 401
    assert "The account or its password is wrong" in reply.text
    assert password not in reply.text or not password


def test_guessing_is_throttled_on_the_page(town: Town) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    statuses = [post(town.browser, form, password=f"guess {n}").status_code for n in range(7)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429
    reply = post(town.browser, form)
    assert reply.status_code == 429
    assert int(reply.headers["Retry-After"]) >= 1
    town.offset += timedelta(minutes=2)
    assert post(town.browser, form).status_code == 303


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
