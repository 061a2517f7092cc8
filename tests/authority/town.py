"""An authority in this process, with a clock that can be moved, and people who sign in there."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from authority.accounts import Accounts
from authority.app import create_app
from authority.clients import Client, Clients
from authority.codes import challenge_of
from authority.core import Authority
from authority.keys import AuthorityKeys
from authority.passkeys import Passkeys
from authority.statements import DETAILS_TYPE
from trust.evidence import statements

BASE = "http://127.0.0.1:8600"
REGISTRY = "http://127.0.0.1:8601"
ALICE, PASSWORD = "alice@example.com", "alice's long password"
BOB = "bob@example.com"
ROBOT = "https://sealgate.local/scanner"
VERIFIER = "v" * 64
OWN = {"Sec-Fetch-Site": "same-origin", "Origin": BASE}
SIGN_IN = Client("registry", "sign-in", f"{REGISTRY}/signin/callback", "The registry")
SIGNING = Client("registry-pages", "signing", f"{REGISTRY}/signing/callback", "The registry")
CALLING = Client("runner-pages", "call", f"{REGISTRY}/signing/callback", "The registry")
DIGEST = "5" * 64
STATEMENT = statements.submit_statement("example_plugin-1.0.0-py3-none-any.whl", DIGEST)


class Town:
    """An authority, its application, and a clock that can be moved."""

    def __init__(self, folder: Path, base: str = BASE) -> None:
        self.offset = timedelta()
        self.authority = Authority(AuthorityKeys.generate(self.now()), base, None, self.now)
        cheap = PasswordHasher(time_cost=1, memory_cost=64)
        accounts = Accounts(folder / "accounts.json", self.now, cheap)
        accounts.ensure({ALICE: PASSWORD, BOB: PASSWORD, ROBOT: PASSWORD})
        self.passkeys = Passkeys(folder / "passkeys.json", base, self.now)
        clients = Clients([SIGN_IN, SIGNING, CALLING])
        self.app = create_app(self.authority, accounts, clients, self.passkeys)
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
    if client.kind == "call":
        values |= {"resource": "sealgate-runner"}
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
