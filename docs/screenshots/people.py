"""Pictures of an account at the authority, and of a method that is tried in its page.

The second needs what `make up` starts, with markdown-render 1.0.0 published as the README does it:
`.venv/bin/python -m docs.screenshots.people var/local`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from docs.screenshots.take import save
from sealgate.deployment import Deployment
from tests.registry.signin.site import ALICE, Site
from tests.registry.signin.test_passkeys import authenticator, register
from tests.registry.web import browser

VERSION = "/plugins/markdown-render/1.0.0"


def take_passkeys(chromium: Browser, folder: Path) -> None:
    """Register a passkey with a virtual authenticator."""
    site = Site(folder, host="localhost")
    with (
        site.served(),
        chromium.new_context(viewport={"width": 560, "height": 900}) as context,
    ):
        page = context.new_page()
        authenticator(page)
        register(page, site)
        save(page, "passkeys")
    site.close()


def take_trying(chromium: Browser, home: Path) -> None:
    """Sign in to a running deployment and call a method from its page."""
    deployment = Deployment.load(home)
    base = deployment.addresses.registry
    password = deployment.secret(ALICE).read_text(encoding="ascii").strip()
    with chromium.new_context(viewport={"width": 1280, "height": 1100}) as context:
        page = context.new_page()
        page.goto(f"{base}/signin?next={VERSION}")
        page.get_by_label("E-mail address").fill(ALICE)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"**{VERSION}")
        form = page.locator("#try form[data-part=form]").first
        form.locator("textarea[data-part=input]").first.fill("# Hello\n\nfrom *the page*")
        with page.expect_popup() as opened:
            form.locator("button[type=submit]").click()
        window = opened.value
        window.get_by_label("E-mail address").fill(ALICE)
        window.get_by_label("Password").fill(password)
        window.get_by_role("button", name="Sign in", exact=True).click()
        form.locator("[data-part=reply]").wait_for(timeout=20_000)
        page.locator("#try").evaluate(
            "n => n.scrollIntoView({behavior: 'instant', block: 'start'})"
        )
        save(page, "try-it")


def main(homes: list[str]) -> None:
    """Take the pictures; the second where a deployment is named."""
    with tempfile.TemporaryDirectory() as folder, browser.chromium() as chromium:
        take_passkeys(chromium, Path(folder) / "site")
        for home in homes:
            take_trying(chromium, Path(home))


if __name__ == "__main__":
    main(sys.argv[1:])
