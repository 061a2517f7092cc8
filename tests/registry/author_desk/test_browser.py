"""The new pages in a real browser: accessibility, small screens, hostile text, no script at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from registry.accounts.settings import AccountSettings
from registry.author_desk import answers, transfers
from registry.revocations import intake as revocations
from registry.revocations.settings import RevocationSettings
from registry.settings import SignIn
from tests.registry.web import browser, hostile, plugins
from tests.registry.web.stage import Stage
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_wheel
from trust.identity import Identity
from trust.revocation import Target, revocation_statement

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OLGA, DAN = "olga@example.com", "dan@example.com"
XSS = hostile.markup("desk") + "\u202e"
NAME = "table-query"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A registry in which everything on the desk and the operator's pages has something."""
    folder = tmp_path_factory.mktemp("desk")
    made = Stage(
        folder,
        sign_in=SignIn(TrustFixture().issuer, "registry", folder / "session.key"),
        accounts=AccountSettings(admins=frozenset({OLGA})),
        revocations=RevocationSettings(log=folder / "revocations.sqlite"),
    )
    author, services = made.trust.author, made.services
    made.submit(plugins.table())
    made.work()
    made.review(NAME, "1.0.0", made.trust.reviewers[0], "reject", XSS)
    answers.give(services, NAME, "1.0.0", author, XSS)
    for version in ("1.1.0", "1.2.0"):
        made.submit(plugins.table(version))
        made.work()
    made.submit(plugins.markdown("1.0.0"), by=DAN)
    dan = Identity(author.issuer, DAN)
    transfers.offer(services, NAME, author, dan)
    transfers.offer(services, "markdown-render", dan, author)
    statement = revocation_statement(
        Target.of_version(NAME, "1.1.0"),
        action="quarantine",
        reason=XSS[:900],
        effective=made.now(),
    )
    revocations.post(services, made.trust.sigstore.sign(OLGA, statement))
    yield made
    services.close()


@pytest.fixture(scope="module")
def base(stage: Stage) -> Iterator[str]:
    with stage.served() as address:
        yield address


def pages(stage: Stage) -> list[tuple[str, str]]:
    """Return (address, who looks)."""
    author = stage.trust.author.subject
    return [
        ("/", ""),
        ("/submit", ""),
        (f"/plugins/{NAME}", ""),
        (f"/plugins/{NAME}/1.0.0", author),
        (f"/plugins/{NAME}/1.1.0", author),
        (f"/plugins/{NAME}/1.2.0", ""),
        (f"/plugins/{NAME}/stop?version=1.1.0", OLGA),
        ("/mine", author),
        ("/mine", DAN),
        ("/operate", OLGA),
        ("/journal", OLGA),
        ("/journal?plugin=no-such", OLGA),
        (f"/review/{NAME}/1.2.0", stage.trust.reviewers[0]),
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_every_page_is_usable_and_runs_nothing_of_theirs(
    chromium: Browser, stage: Stage, base: str, scheme: str, width: int
) -> None:
    found: list[str] = []
    for address, who in pages(stage):
        with chromium.new_context(
            bypass_csp=True,
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 900},
        ) as context:
            if who:
                enter(context, stage, base, who)
            page = context.new_page()
            reply = page.goto(base + address)
            assert reply is not None
            assert reply.status == 200, address
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            found += [f"{address} {who} {line}" for line in browser.violations(page)]
            if not address.startswith("/review"):
                assert page.evaluate("document.documentElement.scrollWidth") <= width, address
            assert page.evaluate("window.pwned") is None, address
            assert page.evaluate("document.images.length") == 0
            assert "\u202e" not in page.content()
    assert found == [], "\n".join(found)


def test_a_check_in_the_page_shows_their_text_as_text(chromium: Browser, base: str) -> None:
    name, wheel = make_wheel(files={"<img src=x onerror=window.pwned=1>.pth": "x"})
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{base}/submit")
        choose(page, name, wheel)
        region = page.locator("#check-result")
        expect(region.get_by_role("heading")).to_contain_text("Would be refused")
        expect(region).to_contain_text("<img src=x onerror=window.pwned=1>")
        expect(page.get_by_role("button", name="Submit for scan and review")).to_be_hidden()
        choose(page, *make_wheel("another-plugin"))
        expect(region).to_contain_text("Reads well")
        expect(page.get_by_role("button", name="Submit for scan and review")).to_be_visible()
        assert page.evaluate("window.pwned") is None


def test_the_desk_without_any_script(chromium: Browser, stage: Stage, base: str) -> None:
    author = stage.trust.author.subject
    with chromium.new_context(java_script_enabled=False) as context:
        enter(context, stage, base, author)
        page = context.new_page()
        page.goto(f"{base}/submit")
        choose(page, *make_wheel(files={"x.pth": "import os\n"}))
        page.get_by_role("button", name="Check only").click()
        expect(page.get_by_role("alert")).to_contain_text("would be refused for")
        expect(page.get_by_role("alert")).to_contain_text("x.pth")
        choose(page, *make_wheel("another-plugin"))
        page.get_by_role("button", name="Check only").click()
        expect(page.get_by_text("reads well")).to_be_visible()

        page.goto(f"{base}/plugins/{NAME}/1.2.0")
        page.get_by_role("link", name="Reload this page every 10 seconds").click()
        expect(page.get_by_text("reloads itself every 10 seconds")).to_be_visible()
        page.get_by_text("Answer the reviewers").click()
        page.get_by_label("Your answer to the reviewers").fill("Nothing is imported.")
        page.get_by_role("button", name="Answer", exact=True).click()
        expect(page.get_by_text("Nothing is imported.")).to_be_visible()

        page.goto(f"{base}/mine")
        page.get_by_role("button", name=f"Withdraw the offer of {NAME}").click()
        expect(page.get_by_text(f"Offered to {DAN}")).to_have_count(0)
        page.get_by_role("button", name="Decline markdown-render").click()
        expect(page.get_by_text("Names offered to you")).to_have_count(0)


def choose(page: Page, name: str, wheel: bytes) -> None:
    page.set_input_files(
        "#wheel", files={"name": name, "mimeType": "application/zip", "buffer": wheel}
    )


def enter(context: BrowserContext, stage: Stage, base: str, who: str) -> None:
    cookie = stage.cookie(who)
    context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": base}])
