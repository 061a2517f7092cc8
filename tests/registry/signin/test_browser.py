"""Signing in the page, in a real browser against a real authority: the whole road, its traps."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.verify import Verifier, policy

from registry.app import create_app
from sealgate.settings import registry_settings
from tests.registry.signin.site import ALICE, REVIEWERS, Site
from tests.registry.web import browser, hostile, plugins
from tests.registry.web.stage import Stage
from tests.support.dependencies import make_dependent, make_library
from tests.support.evidence import answers
from tests.support.wheels import make_wheel
from trust.evidence import statements
from trust.evidence.bundles import BundleVerifier
from trust.gate import Admitted, Gate
from trust.identity import Identity

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BOB, CAROL, _ = REVIEWERS
SUBMIT_BUTTON = "Sign in the page and submit"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    with made.served():
        yield made
    made.close()


def choose(page: Page, folder: Path, wheel: tuple[str, bytes]) -> Path:
    path = folder / wheel[0]
    path.write_bytes(wheel[1])
    page.set_input_files("#wheel", path)
    return path


def confirm(page: Page, site: Site, who: str, button: str) -> str:
    """Click a signing button and sign in the window that opens; return what the window said."""
    with page.expect_popup() as opened:
        page.get_by_role("button", name=button).click()
    window = opened.value
    window.get_by_label("E-mail address").fill(who)
    window.get_by_label("Password").fill(site.password(who))
    said = window.locator("main").inner_text()
    window.get_by_role("button", name="Sign", exact=True).click()
    return said


def submit(page: Page, site: Site, folder: Path, wheel: tuple[str, bytes]) -> None:
    page.goto(f"{site.url}/submit")
    choose(page, folder, wheel)
    said = confirm(page, site, ALICE, SUBMIT_BUTTON)
    assert "Publish this wheel" in said
    assert hashlib.sha256(wheel[1]).hexdigest() in said


def evidence(page: Page, address: str) -> list[tuple[dict[str, Any], bytes]]:
    """Return each stored bundle with its row."""
    listed = page.request.get(f"{address}/evidence").json()["evidence"]
    return [(row, page.request.get(f"{address}/evidence/{row['sha256']}").body()) for row in listed]


def test_signing_in_shows_who_and_grants_nothing(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/review")
    page.get_by_role("link", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_label("E-mail address").fill(BOB)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    page.get_by_label("Password").fill(site.password(BOB))
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{site.url}/review")
    expect(page.get_by_role("banner")).to_contain_text(BOB)
    cookies = {c.get("name"): c for c in page.context.cookies(site.url)}
    cookie = cookies["sealgate_registry_session"]
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Lax")
    # A session is no signature: an unsigned write is refused as if nobody were signed in.
    name, data = make_wheel()
    reply = page.request.post(
        f"{site.url}/submit",
        headers={"Origin": site.url},
        multipart={
            "wheel": {"name": name, "mimeType": "application/zip", "buffer": data},
            "bundle": {"name": "b.json", "mimeType": "application/json", "buffer": b"{}"},
        },
    )
    assert reply.status == 422
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()


def test_the_road_with_only_the_browser(
    page: Page, chromium: Browser, site: Site, tmp_path: Path
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    wheel = plugins.markdown("1.0.0")
    digest = hashlib.sha256(wheel[1]).hexdigest()
    page.goto(f"{site.url}/submit")
    choose(page, tmp_path, wheel)
    expect(page.locator("[data-part=digest]")).to_have_text(digest)
    said = confirm(page, site, ALICE, SUBMIT_BUTTON)
    assert "Publish this wheel" in said
    assert digest in said
    expect(page).to_have_url(f"{site.url}/plugins/markdown-render/1.0.0")
    site.work()
    api = f"{site.url}/api/v1/plugins/markdown-render/1.0.0"
    materials = page.request.get(f"{api}/review-materials").json()
    comment = 'Read "all" of it.\n\tÜber-plain: 1 < 2 \u2028 \U0001f512'
    for reviewer in (BOB, CAROL):
        with chromium.new_context() as context:
            other = context.new_page()
            other.set_default_timeout(10_000)
            other.goto(f"{site.url}/review/markdown-render/1.0.0")
            other.get_by_label("Approve these bytes").check()
            expect(other.locator("[data-part=digest]")).to_have_text(digest)
            other.get_by_label("Comment").fill(comment)
            said = confirm(other, site, reviewer, "Sign the approval")
            assert "Approve this wheel" in said
            assert digest in said
            expect(other).to_have_url(f"{site.url}/plugins/markdown-render/1.0.0")
            expect(other.get_by_text(f"{reviewer} read these bytes and approved")).to_be_visible()
    site.work()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Published")
    assert errors == []

    stored = evidence(page, api)
    config = ClientTrustConfig.from_json(
        site.deployment.client_trust_config.read_text(encoding="utf-8")
    )
    verifier = Verifier(trusted_root=config.trusted_root)
    strict = BundleVerifier(site.deployment.trusted_root.read_bytes())
    made = {}
    for row, bundle in stored:
        signer = row["signer"]
        kind, payload = verifier.verify_dsse(
            Bundle.from_json(bundle),
            policy.Identity(identity=signer["subject"], issuer=signer["issuer"]),
        )
        assert kind == "application/vnd.in-toto+json"
        assert strict.verify(bundle).identity == Identity(signer["issuer"], signer["subject"])
        made[row["step"], signer["subject"]] = payload
    # What the page made is byte for byte what the command makes.
    assert made["submit", ALICE] == statements.submit_statement(wheel[0], digest)
    assert made["review", BOB] == statements.review_statement(
        decision="approve",
        comment=comment,
        acknowledged=answers(materials.pop("acknowledge")),
        **materials,
    )
    keys = site.deployment
    gate = Gate(
        keys.trusted_root.read_bytes(), keys.layout.read_bytes(), keys.layout_owners.read_bytes()
    )
    verdict = gate.decide(
        wheel[1],
        wheel[0],
        [bundle for _, bundle in stored],
        [Identity(site.issuer, ALICE)],
        site.worker.services.clock(),
    )
    assert isinstance(verdict, Admitted)


RISKY = """import tempfile


def greet(arguments):
    return {"greeting": tempfile.mktemp()}


def echo(arguments):
    return {"value": arguments, "at": tempfile.mktemp(".txt")}
"""


def open_review(chromium: Browser, site: Site, version: str) -> Page:
    page = chromium.new_context().new_page()
    page.set_default_timeout(10_000)
    page.goto(f"{site.url}/review/risky-plugin/{version}")
    page.get_by_label("Approve these bytes").check()
    expect(page.get_by_role("button", name="Sign the approval")).to_be_enabled()
    return page


def gate_of(page: Page, site: Site, wheel: tuple[str, bytes], version: str) -> Any:
    """Ask the gate, as a runner does, with the evidence that the registry hands out."""
    keys = site.deployment
    gate = Gate(
        keys.trusted_root.read_bytes(), keys.layout.read_bytes(), keys.layout_owners.read_bytes()
    )
    stored = evidence(page, f"{site.url}/api/v1/plugins/risky-plugin/{version}")
    publishers = [Identity(site.issuer, ALICE)]
    now = site.worker.services.clock()
    return gate.decide(wheel[1], wheel[0], [bundle for _, bundle in stored], publishers, now)


def test_findings_are_acknowledged_and_signed_in_the_page(
    page: Page, chromium: Browser, site: Site, tmp_path: Path
) -> None:
    wheel = make_wheel(name="risky-plugin", source=RISKY)
    submit(page, site, tmp_path, wheel)
    expect(page).to_have_url(f"{site.url}/plugins/risky-plugin/1.0.0")
    site.work()
    config = ClientTrustConfig.from_json(
        site.deployment.client_trust_config.read_text(encoding="utf-8")
    )
    for who in (BOB, CAROL):
        other = open_review(chromium, site, "1.0.0")
        fields = other.get_by_label("Why is it acceptable?")
        expect(fields).to_have_count(2)
        before = site.log_size
        fields.nth(0).fill("A name only, nothing is opened.")
        expect(other.locator("[data-part=acknowledged]")).to_have_text("1 of 2")
        other.get_by_role("button", name="Sign the approval").click()
        expect(other.get_by_role("alert")).to_contain_text("Acknowledge B306")
        expect(fields.nth(1)).to_be_focused()
        assert site.log_size == before
        fields.nth(1).fill('<b>Only "shown"</b>.')
        said = confirm(other, site, who, "Sign the approval")
        assert "Approve this wheel" in said
        assert '<b>Only "shown"</b>.' in said
        expect(other).to_have_url(f"{site.url}/plugins/risky-plugin/1.0.0")
        other.context.close()
    site.work()
    verifier = Verifier(trusted_root=config.trusted_root)
    stored = evidence(page, f"{site.url}/api/v1/plugins/risky-plugin/1.0.0")
    for row, bundle in stored:
        if row["step"] != "review":
            continue
        _, payload = verifier.verify_dsse(
            Bundle.from_json(bundle),
            policy.Identity(identity=row["signer"]["subject"], issuer=row["signer"]["issuer"]),
        )
        reasons = [entry["reason"] for entry in json.loads(payload)["predicate"]["acknowledged"]]
        assert reasons == ["A name only, nothing is opened.", '<b>Only "shown"</b>.']
    assert isinstance(gate_of(page, site, wheel, "1.0.0"), Admitted)

    # The next version: the reasons are offered, and count only when each is confirmed.
    moved = make_wheel(name="risky-plugin", version="1.1.0", source="# moved\n" + RISKY)
    submit(page, site, tmp_path, moved)
    expect(page).to_have_url(f"{site.url}/plugins/risky-plugin/1.1.0")
    site.work()
    other = open_review(chromium, site, "1.1.0")
    fields = other.get_by_label("Why is it acceptable?")
    expect(fields.nth(1)).to_have_value('<b>Only "shown"</b>.')
    other.get_by_role("button", name="Sign the approval").click()
    expect(other.get_by_role("alert")).to_contain_text("Acknowledge B306")
    for box in other.get_by_label("I confirm this reason").all():
        box.check()
    confirm(other, site, BOB, "Sign the approval")
    expect(other).to_have_url(f"{site.url}/plugins/risky-plugin/1.1.0")
    other.context.close()


def test_locked_wheels_go_with_what_is_signed_in_the_page(
    page: Page, site: Site, tmp_path: Path
) -> None:
    library, data = make_library()
    (tmp_path / library.filename).write_bytes(data)
    page.goto(f"{site.url}/submit")
    choose(page, tmp_path, make_dependent([library], requires=["shouting"]))
    expect(page.locator("#check-result")).to_contain_text("registry.dependency-missing")
    expect(page.get_by_role("button", name=SUBMIT_BUTTON)).to_be_hidden()
    page.set_input_files("#dependency", tmp_path / library.filename)
    expect(page.locator("#check-result")).to_contain_text("Reads well")
    confirm(page, site, ALICE, SUBMIT_BUTTON)
    expect(page).to_have_url(f"{site.url}/plugins/shouter/1.0.0")
    listed = page.request.get(f"{site.url}/api/v1/plugins/shouter/1.0.0/dependencies").json()
    assert [(d["sha256"], d["at_hand"]) for d in listed["dependencies"]] == [(library.sha256, True)]


def test_a_file_that_changes_after_it_was_hashed_is_refused(
    page: Page, site: Site, tmp_path: Path
) -> None:
    before = site.log_size
    page.goto(f"{site.url}/submit")
    path = choose(page, tmp_path, make_wheel())
    expect(page.get_by_role("button", name=SUBMIT_BUTTON)).to_be_enabled()
    path.write_bytes(make_wheel(name="example-plugin", version="2.0.0")[1])
    page.get_by_role("button", name=SUBMIT_BUTTON).click()
    expect(page.get_by_role("alert")).to_contain_text("The file changed after it was hashed")
    assert site.log_size == before


def in_review(page: Page, site: Site, folder: Path, version: str) -> str:
    """Bring a version into review; return the address of its review page."""
    submit(page, site, folder, make_wheel(name="shared-name", version=version))
    expect(page).to_have_url(f"{site.url}/plugins/shared-name/{version}")
    site.work()
    return f"{site.url}/review/shared-name/{version}"


def test_bytes_that_are_not_the_ones_shown_are_refused(
    page: Page, site: Site, tmp_path: Path
) -> None:
    address = in_review(page, site, tmp_path, "1.0.0")

    def other(route: Route) -> None:
        route.fulfill(status=200, body=make_wheel(version="9.9.9")[1])

    page.route("**/api/v1/plugins/shared-name/1.0.0/wheel", other)
    page.goto(address)
    page.get_by_label("Approve these bytes").check()
    expect(page.get_by_role("alert")).to_contain_text("is not the one shown")
    expect(page.get_by_role("button", name="Sign the approval")).to_be_disabled()


def test_the_authors_approval_is_refused(page: Page, site: Site, tmp_path: Path) -> None:
    page.goto(in_review(page, site, tmp_path, "1.1.0"))
    page.get_by_label("Approve these bytes").check()
    confirm(page, site, ALICE, "Sign the approval")
    refusal = page.locator("section.notice.bad")
    expect(refusal).to_contain_text("registry.own-plugin")


def test_a_stale_page_signs_nothing(page: Page, site: Site, tmp_path: Path) -> None:
    address = in_review(page, site, tmp_path, "1.2.0")
    page.goto(address)
    page.get_by_label("Approve these bytes").check()
    expect(page.get_by_role("button", name="Sign the approval")).to_be_enabled()
    with page.context.new_page() as second:
        second.goto(address)
        second.get_by_label("Reject this version").check()
        expect(second.get_by_role("button", name="Sign the rejection")).to_be_enabled()
        second.get_by_role("button", name="Sign the rejection").click()
        expect(second.get_by_role("alert")).to_contain_text("A rejection says why")
        second.get_by_label("Comment").fill("No.")
        confirm(second, site, CAROL, "Sign the rejection")
        expect(second).to_have_url(f"{site.url}/plugins/shared-name/1.2.0")
    before = site.log_size
    page.get_by_role("button", name="Sign the approval").click()
    expect(page.get_by_role("alert")).to_contain_text("This page is stale")
    assert site.log_size == before


def test_a_newer_upload_makes_a_page_stale(page: Page, site: Site, tmp_path: Path) -> None:
    page.goto(in_review(page, site, tmp_path, "1.3.0"))
    page.get_by_label("Approve these bytes").check()
    expect(page.get_by_role("button", name="Sign the approval")).to_be_enabled()
    with page.context.new_page() as second:
        in_review(second, site, tmp_path, "1.3.1")
    before = site.log_size
    page.get_by_role("button", name="Sign the approval").click()
    expect(page.get_by_role("alert")).to_contain_text("1.3.1 was submitted after it was opened")
    assert site.log_size == before


def test_a_hostile_page_cannot_have_other_bytes_signed(
    page: Page, site: Site, tmp_path: Path
) -> None:
    """Whatever the page's code does: the log takes the statement that was confirmed, no other."""
    page.goto(f"{site.url}/submit")
    choose(page, tmp_path, make_wheel(name="swapped-plugin"))
    expect(page.get_by_role("button", name=SUBMIT_BUTTON)).to_be_enabled()
    before = site.log_size
    # After the person confirmed, the page signs another statement with the same certificate.
    page.evaluate(
        """() => {
          const real = crypto.subtle.sign.bind(crypto.subtle);
          let payload = null;
          const send = window.fetch.bind(window);
          crypto.subtle.sign = (how, key, bytes) => {
            const text = new TextDecoder().decode(bytes);
            if (!text.startsWith("DSSEv1")) return real(how, key, bytes);
            payload = text.slice(text.indexOf("{")).replace(/"sha256":"../, '"sha256":"00');
            const head = text.slice(0, text.indexOf("{"));
            return real(how, key, new TextEncoder().encode(head + payload));
          };
          window.fetch = (where, options) => {
            if (String(where) !== "/api/v1/signing/complete") return send(where, options);
            const body = JSON.parse(options.body);
            body.payload = btoa(payload);
            return send(where, { ...options, body: JSON.stringify(body) });
          };
        }"""
    )
    confirm(page, site, ALICE, SUBMIT_BUTTON)
    expect(page.get_by_role("alert")).to_contain_text("issued for another statement")
    assert site.log_size == before


def test_cancelling_signs_nothing_and_can_be_repeated(
    page: Page, site: Site, tmp_path: Path
) -> None:
    page.goto(f"{site.url}/submit")
    choose(page, tmp_path, make_wheel(name="second-thought"))
    with page.expect_popup() as opened:
        page.get_by_role("button", name=SUBMIT_BUTTON).click()
    opened.value.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("You cancelled")
    confirm(page, site, ALICE, SUBMIT_BUTTON)
    expect(page).to_have_url(f"{site.url}/plugins/second-thought/1.0.0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(chromium: Browser, site: Site, tmp_path: Path, scheme: str) -> None:
    with chromium.new_context(bypass_csp=True, color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.goto(f"{site.url}/submit")
        choose(page, tmp_path, make_wheel(name="axe-plugin"))
        expect(page.get_by_role("button", name=SUBMIT_BUTTON)).to_be_enabled()
        found = browser.violations(page)
        with page.expect_popup() as opened:
            page.get_by_role("button", name=SUBMIT_BUTTON).click()
        opened.value.get_by_label("Password").wait_for()
        found += browser.violations(opened.value)
        page.goto(f"{site.url}/signin")
        page.get_by_label("Password").wait_for()
        found += browser.violations(page)
        page.goto(f"{site.issuer}/auth")
        found += browser.violations(page)
    assert found == []


def test_a_phone_never_scrolls_the_page_sideways(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:
    with chromium.new_context(bypass_csp=True, viewport={"width": 360, "height": 740}) as context:
        page = context.new_page()
        page.goto(f"{site.url}/submit")
        choose(page, tmp_path, make_wheel(name="phone-plugin"))
        expect(page.get_by_role("button", name=SUBMIT_BUTTON)).to_be_enabled()
        page.get_by_text("The statement that you sign").click()
        with page.expect_popup() as opened:
            page.get_by_role("button", name=SUBMIT_BUTTON).click()
        window = opened.value
        window.set_viewport_size({"width": 360, "height": 740})
        window.get_by_text("The whole statement").click()
        for made in (page, window):
            assert made.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_script_the_command_is_there_and_the_form_works(
    chromium: Browser, site: Site
) -> None:
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site.url}/submit")
        expect(page.get_by_role("button", name=SUBMIT_BUTTON)).to_be_hidden()
        expect(page.get_by_label("Signature bundle")).to_be_visible()
        expect(page.get_by_text("sealgate submit dist/")).to_be_visible()


@pytest.mark.parametrize("bypass_csp", [False, True], ids=["with-csp", "escaping-alone"])
def test_no_script_of_theirs_runs_beside_ours(
    chromium: Browser, site: Site, tmp_path: Path, bypass_csp: bool
) -> None:
    stage = Stage(tmp_path)
    hostile.build(stage)
    own = registry_settings(site.deployment).sign_in
    app = create_app(replace(stage.settings, sign_in=own), clock=stage.now)
    stage.app = app
    with stage.served() as base, chromium.new_context(bypass_csp=bypass_csp) as context:
        page = context.new_page()
        scripts = 0
        for address in hostile.ADDRESSES:
            page.goto(base + address)
            page.mouse.move(200, 300)
            assert page.evaluate("window.pwned") is None
            sources = page.evaluate("Array.from(document.scripts, (script) => script.src)")
            own_script = re.compile(re.escape(base) + r"/assets/[0-9a-f]{16}/\w+\.js")
            assert all(own_script.fullmatch(source) for source in sources), sources
            scripts += len(sources)
        assert scripts
    stage.services.close()


def test_the_policy_of_signing_pages(page: Page, site: Site) -> None:
    policy = page.request.get(f"{site.url}/submit").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert f"connect-src 'self' {site.issuer};" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    for other in ("/", "/review", "/signin/callback"):
        assert (
            "script-src"
            not in page.request.get(site.url + other).headers["content-security-policy"]
        )
    page.goto(f"{site.url}/submit")
    with pytest.raises(Exception, match="TrustedScript"):
        page.evaluate("document.body.setAttribute('onclick', 'window.pwned = 1')")
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>x</b>'")
    assert page.evaluate("fetch('https://evil.example/').then(() => 1, () => 0)") == 0
