"""Signing in over HTTP, the session, and the completion of signatures: what is refused."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from authority.statements import pae
from registry.app import create_app
from registry.clock import utc_now
from registry.errors import InvalidSettings, Unavailable
from registry.settings import SignIn
from registry.signin.sessions import read_key
from registry.signin.views import local_address
from sealgate.settings import registry_settings
from tests.registry.signin.site import ALICE, Site
from tests.registry.web.stage import Stage
from tests.support.wheels import make_wheel
from trust.evidence import statements


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    with made.served():
        yield made
    made.close()


def begin(site: Site, browser: requests.Session, address: str = "/review") -> str:
    """Sign in at the authority; return the address to which it sends the browser back."""
    page = browser.get(f"{site.url}/signin", params={"next": address}, timeout=10)
    assert page.url.startswith(f"{site.issuer}/auth?")
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
    form = {name: unescape(value) for name, value in fields.items()}
    form |= {"username": ALICE, "password": site.password(ALICE)}
    headers = {"Origin": site.issuer}
    reply = browser.post(
        f"{site.issuer}/auth", form, headers=headers, allow_redirects=False, timeout=10
    )
    return str(reply.headers["Location"])


def test_there_and_back(site: Site) -> None:
    with requests.Session() as browser:
        back = begin(site, browser)
        reply = browser.get(back, timeout=10)
        assert reply.url == f"{site.url}/review"
        assert ALICE in reply.text
        assert "Cookie" in reply.headers["Vary"]
        # The answer serves once, and a copy of it signs nobody else in.
        assert browser.get(back, timeout=10).status_code == 403
    with requests.Session() as other:
        assert other.get(back, timeout=10).status_code == 403
        assert ALICE not in other.get(site.url, timeout=10).text


@pytest.mark.parametrize(
    ("name", "value"),
    [("state", "another"), ("code", "another"), ("iss", "https://evil.example"), ("state", "")],
)
def test_an_answer_that_was_changed_is_refused(site: Site, name: str, value: str) -> None:
    with requests.Session() as browser:
        parts = urlsplit(begin(site, browser))
        query = {key: found[0] for key, found in parse_qs(parts.query).items()} | {name: value}
        reply = browser.get(f"{site.url}{parts.path}", params=query, timeout=10)
        assert reply.status_code == 403
        assert ALICE not in browser.get(site.url, timeout=10).text


def test_an_answer_that_nobody_asked_for_is_refused(site: Site) -> None:
    with requests.Session() as attacker, requests.Session() as victim:
        back = begin(site, attacker)
        assert victim.get(back, timeout=10).status_code == 403


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\/evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "",
        "/x\u00e9",
        "/" + "x" * 2001,
    ],
)
def test_no_sign_in_leads_elsewhere(site: Site, address: str) -> None:
    with site.app.test_request_context():
        assert local_address(address) == "/"
        assert local_address("/review?page=2") == "/review?page=2"


def test_a_session_ends_after_an_hour_and_with_signing_out(site: Site) -> None:
    with requests.Session() as browser:
        browser.get(begin(site, browser), timeout=10)
        elsewhere = browser.post(f"{site.url}/signout", headers={"Origin": "https://x"}, timeout=10)
        assert elsewhere.status_code == 403
        assert ALICE in browser.get(site.url, timeout=10).text
        later = create_app(
            registry_settings(site.deployment), lambda: utc_now() + timedelta(minutes=61)
        )
        cookie = browser.cookies["sealgate_registry_session"]
        client = later.test_client()
        client.set_cookie("sealgate_registry_session", cookie)
        assert ALICE not in client.get("/").text
        client.set_cookie("sealgate_registry_session", cookie[:-1] + "x")
        assert ALICE not in client.get("/").text
        later.extensions["sealgate"].close()
        browser.post(f"{site.url}/signout", headers={"Origin": site.url}, timeout=10)
        assert ALICE not in browser.get(site.url, timeout=10).text


def test_cookies_under_https(site: Site) -> None:
    settings = replace(registry_settings(site.deployment), base_url="https://registry.example")
    app = create_app(settings)
    assert app.config["SESSION_COOKIE_SECURE"] is True
    assert app.config["SESSION_COOKIE_NAME"].startswith("__Host-")
    app.extensions["sealgate"].close()


def test_the_key_of_the_cookies_is_private_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "session.key"
    key = read_key(path)
    assert (len(key), path.stat().st_mode & 0o777) == (32, 0o600)
    assert read_key(path) == key
    path.chmod(0o640)
    with pytest.raises(Unavailable) as caught:
        read_key(path)
    assert caught.value.problem.value == "mode 0640"
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(Unavailable):
        read_key(path)
    with pytest.raises(Unavailable):
        read_key(tmp_path / "nowhere" / "session.key")


def test_settings_that_are_wrong_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings) as caught:
        SignIn("not a url", "", tmp_path / "key", "pages", tmp_path / "missing.json")
    assert len(caught.value.problems) == 3


def test_without_settings_there_is_no_sign_in(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    client = stage.app.test_client()
    page = client.get("/submit")
    assert "Sign in" not in page.text
    assert 'id="signing"' not in page.text
    assert "connect-src 'self';" in page.headers["Content-Security-Policy"]
    for address in ("/signin", "/signin/callback", "/signing/callback"):
        assert client.get(address).status_code == 404
    assert client.post("/api/v1/signing/complete", json={}).status_code == 404
    stage.services.close()


# -- completing a signature --------------------------------------------------------------------


class Signed:
    """A signature that somebody made with a certificate of the authority."""

    def __init__(self, site: Site, payload: bytes) -> None:
        token = site.token(ALICE)
        key = ec.generate_private_key(ec.SECP256R1())
        algorithm = ec.ECDSA(hashes.SHA256())
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        asked = {
            "publicKey": {"algorithm": "ECDSA", "content": pem.decode()},
            "proofOfPossession": base64.b64encode(key.sign(ALICE.encode(), algorithm)).decode(),
        }
        reply = requests.post(
            f"{site.issuer}/api/v2/signingCert",
            json={"publicKeyRequest": asked},
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        )
        chain = reply.json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
        assert x509.load_pem_x509_certificate(chain[0].encode())
        self.body: dict[str, Any] = {
            "certificate": chain[0],
            "payload": base64.b64encode(payload).decode(),
            "signature": base64.b64encode(key.sign(pae(payload), algorithm)).decode(),
        }


WHEEL = make_wheel(name="completed-plugin")
STATEMENT = statements.submit_statement(WHEEL[0], "a" * 64)


def test_a_signature_is_completed_and_nothing_stored(site: Site) -> None:
    signed = Signed(site, STATEMENT)
    reply = requests.post(f"{site.url}/api/v1/signing/complete", json=signed.body, timeout=10)
    assert reply.status_code == 200, reply.text
    verified = site.worker.services.trust.verifier().verify(reply.content)
    assert (verified.identity.subject, verified.subjects[0].sha256) == (ALICE, "a" * 64)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"payload": base64.b64encode(STATEMENT + b" ").decode()}, 422, "signing.signature"),
        ({"payload": "!"}, 400, "signing.malformed"),
        ({"signature": base64.b64encode(b"x").decode()}, 422, "signing.signature"),
        ({"signature": 1}, 400, "signing.malformed"),
        ({"certificate": "x"}, 400, "signing.malformed"),
        ({"certificate": None}, 400, "signing.malformed"),
        ({"more": ""}, 400, "signing.malformed"),
    ],
)
def test_what_is_not_signed_is_not_logged(
    site: Site, changes: dict[str, Any], status: int, code: str
) -> None:
    before = site.log_size
    body = Signed(site, STATEMENT).body | changes
    reply = requests.post(f"{site.url}/api/v1/signing/complete", json=body, timeout=10)
    assert reply.status_code == status, reply.text
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert reply.json()["problems"][0]["code"] == code
    assert site.log_size == before


def test_other_sites_and_other_kinds_of_body_are_refused(site: Site) -> None:
    address = f"{site.url}/api/v1/signing/complete"
    plain = requests.post(address, "{}", headers={"Content-Type": "text/plain"}, timeout=10)
    assert plain.status_code == 415
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    reply = requests.options(address, headers=headers, timeout=10)
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_signing_services_that_are_away_are_named(site: Site, tmp_path: Path) -> None:
    body = Signed(site, STATEMENT).body
    config = tmp_path / "config.json"
    text = site.deployment.client_trust_config.read_text(encoding="utf-8")
    config.write_text(text.replace(site.issuer, "http://127.0.0.1:9"), encoding="utf-8")
    settings = registry_settings(site.deployment)
    assert settings.sign_in is not None
    app = create_app(
        replace(settings, sign_in=replace(settings.sign_in, client_trust_config=config))
    )
    reply = app.test_client().post("/api/v1/signing/complete", json=body)
    assert reply.status_code == 503
    assert "Retry-After" in reply.headers
    app.extensions["sealgate"].close()
