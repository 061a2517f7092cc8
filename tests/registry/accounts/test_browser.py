"""The pages of tokens, sessions and trusted publishers, in a browser: used, and for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.registry.accounts.ci import Service
from tests.registry.accounts.people import ADMIN, AUTHOR, Town
from tests.registry.web import browser
from tests.support import servers
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def town(trust: TrustFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    made = Town(trust, folder, publisher_issuers=Service().write(folder / "issuers.json"))
    made.registry.submit(*make_wheel())
    yield made
    made.registry.services.close()


@pytest.fixture(scope="module")
def url(town: Town) -> Iterator[str]:
    with servers.application(town.registry.app) as address:
        yield address


def signed_in(page: Page, town: Town, url: str, who: str) -> Page:
    """Put a session of somebody into a page's browser."""
    cookie = town.client(who).get_cookie("sealgate_registry_session", domain="registry.test")
    assert cookie is not None
    host = urlsplit(url).hostname or ""
    page.context.add_cookies(
        [{"name": cookie.key, "value": cookie.value, "domain": host, "path": "/"}]
    )
    page.set_default_timeout(10_000)
    return page


def test_make_a_token_copy_it_and_revoke_it(chromium: Browser, town: Town, url: str) -> None:
    with chromium.new_context() as context:
        page = signed_in(context.new_page(), town, url, AUTHOR)
        page.goto(url)
        page.get_by_role("link", name=AUTHOR).click()
        page.get_by_label("Name").fill("<b>laptop</b>")
        page.get_by_label("send signed wheels").check()
        page.get_by_role("button", name="Make the token").click()
        token = page.get_by_label("The new token").inner_text()
        assert token.startswith("sealgate_")
        expect(page.get_by_role("rowheader", name="<b>laptop</b>")).to_be_visible()
        page.goto(f"{url}/account/tokens")
        assert token not in page.content()
        page.get_by_role("button", name="Revoke <b>laptop</b>").click()
        expect(page.get_by_role("cell", name="revoked")).to_be_visible()


def test_register_and_remove_a_trusted_publisher(chromium: Browser, town: Town, url: str) -> None:
    with chromium.new_context() as context:
        page = signed_in(context.new_page(), town, url, AUTHOR)
        page.goto(f"{url}/plugins/example-plugin")
        page.get_by_role("link", name="Trusted publishers").click()
        page.get_by_label("Repository").fill("alice/plugin")
        page.get_by_label("Workflow file").fill("../x")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing was registered")
        expect(page.get_by_label("Repository")).to_have_value("alice/plugin")
        page.get_by_label("Workflow file").fill("release.yml")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("rowheader", name="alice/plugin")).to_be_visible()
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("There is none yet.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(
    chromium: Browser, town: Town, url: str, scheme: str, tmp_path: Path
) -> None:
    town.token(AUTHOR, ["read", "submit"], ["example-plugin"])
    found = []
    with chromium.new_context(bypass_csp=True, color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = signed_in(context.new_page(), town, url, AUTHOR)
        for address in (
            "/account/tokens",
            "/account/sessions",
            "/plugins/example-plugin/publishers",
        ):
            page.goto(url + address)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            found += browser.violations(page)
            page.set_viewport_size({"width": 360, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
            page.set_viewport_size({"width": 1280, "height": 800})
        signed_in(page, town, url, ADMIN).goto(f"{url}/admin/tokens")
        expect(page.get_by_role("heading", level=1)).to_have_text("Everybody's tokens")
        found += browser.violations(page)
    assert found == []
