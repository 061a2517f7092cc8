"""Passkeys in a real browser with a virtual authenticator: register, sign in, sign a statement."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.registry.signin.site import ALICE, REVIEWERS, Site
from tests.registry.web import browser
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BOB = REVIEWERS[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"), host="localhost")
    with made.served():
        yield made
    made.close()


def authenticator(page: Page, verified: bool = True) -> tuple[CDPSession, str]:
    """Give a page's browser an authenticator that holds discoverable credentials."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": verified,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return session, made["authenticatorId"]


def credentials(session: CDPSession, device: str) -> list[dict[str, Any]]:
    found = session.send("WebAuthn.getCredentials", {"authenticatorId": device})
    kept: list[dict[str, Any]] = found["credentials"]
    return kept


def register(page: Page, site: Site, who: str = ALICE, name: str = "Laptop") -> None:
    page.goto(f"{site.issuer}/account")
    page.get_by_label("E-mail address").fill(who)
    page.get_by_label("Password").fill(site.password(who))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Name, to know it by").fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status")).to_have_text(f"{name} is added.")


def test_register_sign_in_and_sign_a_statement(page: Page, site: Site, tmp_path: Path) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    session, device = authenticator(page)
    register(page, site)
    (kept,) = credentials(session, device)
    assert (kept["isResidentCredential"], kept["rpId"]) == (True, "localhost")

    page.goto(f"{site.url}/signin")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(f"{site.url}/")
    expect(page.get_by_role("banner")).to_contain_text(ALICE)

    name, data = make_wheel(name="passkey-plugin")
    path = tmp_path / name
    path.write_bytes(data)
    page.goto(f"{site.url}/submit")
    page.set_input_files("#wheel", path)
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Sign in the page and submit").click()
    window = opened.value
    # A window of its own has an authenticator of its own: hand it the same credential.
    other, second = authenticator(window)
    (kept,) = credentials(session, device)
    other.send("WebAuthn.addCredential", {"authenticatorId": second, "credential": kept})
    window.set_viewport_size({"width": 700, "height": 900})
    said = window.locator("main").inner_text()
    assert "Publish this wheel" in said
    assert hashlib.sha256(data).hexdigest() in said
    window.get_by_role("button", name="Sign with a passkey").click()
    expect(page).to_have_url(f"{site.url}/plugins/passkey-plugin/1.0.0")
    view = page.request.get(f"{site.url}/api/v1/plugins/passkey-plugin/1.0.0").json()
    assert view["author"] == {"issuer": site.issuer, "subject": ALICE}
    assert errors == []


def test_a_page_elsewhere_gets_nothing_that_serves(page: Page, site: Site) -> None:
    """The registry on the same host may ask the same RP id; its origin gives it away."""
    authenticator(page)
    register(page, site, name="Phished")
    page.goto(f"{site.issuer}/account")
    options = page.locator("form").get_attribute("data-options")
    fields = {
        field: page.locator(f"input[name={field}]").get_attribute("value") or ""
        for field in ("form_mac", "challenge")
    }
    page.goto(f"{site.url}/submit")
    answer = page.evaluate(
        """async (options) => {
          const b = (t) => Uint8Array.from(
            atob(t.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
          const u = (d) => btoa(String.fromCharCode(...new Uint8Array(d)))
            .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
          const o = JSON.parse(options);
          o.challenge = b(o.challenge);
          const c = await navigator.credentials.get({ publicKey: o });
          const r = c.response;
          return JSON.stringify({ id: c.id, rawId: u(c.rawId), type: c.type, response: {
            clientDataJSON: u(r.clientDataJSON), authenticatorData: u(r.authenticatorData),
            signature: u(r.signature), userHandle: u(r.userHandle) } });
        }""",
        options,
    )
    reply = page.request.post(
        f"{site.issuer}/account",
        form=fields | {"passkey": answer},
        headers={"Origin": site.issuer},
    )
    assert reply.status == 401
    refusal = re.search(r'role="alert">(.*?)</div>', reply.text())
    assert refusal
    assert "answer is not good" in refusal[1]


def test_without_user_verification_there_is_no_passkey(page: Page, site: Site) -> None:
    authenticator(page, verified=False)
    page.goto(f"{site.issuer}/account")
    page.get_by_label("E-mail address").fill(BOB)
    page.get_by_label("Password").fill(site.password(BOB))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Name, to know it by").fill("Unverified")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was used")


def test_names_are_text(page: Page, site: Site) -> None:
    authenticator(page)
    name = "<img src=x onerror=alert(1)>'\"&amp;"
    register(page, site, BOB, name)
    expect(page.get_by_role("list")).to_contain_text(name)
    assert page.locator("img").count() == 0
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>x</b>'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(chromium: Browser, site: Site, scheme: str) -> None:
    with chromium.new_context(bypass_csp=True, color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.set_default_timeout(10_000)
        authenticator(page)
        page.goto(f"{site.issuer}/account")
        found = browser.violations(page)
        register(page, site, REVIEWERS[1], f"Key in the {scheme}")
        found += browser.violations(page)
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.goto(f"{site.url}/signin")
        page.get_by_role("button", name="Sign in with a passkey").wait_for()
        found += browser.violations(page)
    assert found == []


def test_without_script_the_password_works(chromium: Browser, site: Site) -> None:
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site.issuer}/account")
        expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
        page.get_by_label("E-mail address").fill(ALICE)
        page.get_by_label("Password").fill(site.password(ALICE))
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Add a passkey")).to_be_visible()
