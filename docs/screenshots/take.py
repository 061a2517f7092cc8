"""Take the screenshots in this folder anew, from a real registry with a plugin in every state.

Run from the repository's root: `.venv/bin/python -m docs.screenshots.take`. It needs Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from docs.screenshots import desks
from tests.registry.signin.site import ALICE, REVIEWERS, Site
from tests.registry.web import browser, plugins, town
from tests.registry.web.stage import Stage
from tests.support.wheels import make_wheel

HERE = Path(__file__).parent
MAX_BYTES = 250_000
REVIEW = "/review/markdown-render/1.1.0"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: its file name, the page, and how it is looked at.

    Attributes:
        name: the file's name without `.png`.
        address: the page.
        scheme: light or dark.
        width: of the window, in CSS pixels.
        height: of the picture, in CSS pixels; the page is cut there.
        at: a CSS selector to scroll to before.
    """

    name: str
    address: str
    scheme: Literal["light", "dark"] = "light"
    width: int = 1280
    height: int = 1000
    at: str = ""


SHOTS = (
    Shot("plugins", "/", height=860),
    Shot("plugin", "/plugins/markdown-render", height=1250),
    Shot("version", "/plugins/markdown-render/1.1.0", height=1320),
    Shot("version-published", "/plugins/markdown-render/1.0.0", height=1100),
    Shot("scan-failed", "/plugins/shell-helper/0.1.0", height=1100),
    Shot("queue", "/review", height=620),
    Shot("review", REVIEW, height=1250),
    Shot("review-diff", REVIEW, height=1100, at="#files-head"),
    Shot("review-dark", REVIEW, "dark", height=1100, at="#files-head"),
    Shot("review-search", f"{REVIEW}/search?q=html", height=620),
    Shot("file", f"{REVIEW}/files?path=markdown_render/__init__.py&show=split", height=1000),
    Shot("submit", "/submit", height=900),
    Shot("queue-phone", "/review", width=390, height=844),
    Shot("version-phone", "/plugins/markdown-render/1.1.0", width=390, height=1200),
    Shot("not-found", "/plugins/no-such-plugin", height=640),
)


def take(chromium: Browser, base: str, shot: Shot) -> None:
    """Take one picture."""
    size = {"width": shot.width, "height": shot.height}
    with chromium.new_context(viewport=size, color_scheme=shot.scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(base + shot.address)
        if shot.at:
            page.locator(shot.at).evaluate("node => node.scrollIntoView({behavior: 'instant'})")
        save(page, shot.name)


def take_refusal(chromium: Browser, base: str) -> None:
    """Take the picture of a refused submission."""
    with chromium.new_context(viewport={"width": 1280, "height": 1150}) as context:
        page = context.new_page()
        page.goto(f"{base}/submit")
        files = {"example_plugin/fast.so": b"\x7fELF", "start.pth": "import example_plugin\n"}
        name, wheel = make_wheel(files=files)
        for field, filename, data in (("wheel", name, wheel), ("bundle", "b.sigstore.json", b"{}")):
            page.set_input_files(
                f"#{field}", {"name": filename, "mimeType": "application/zip", "buffer": data}
            )
        page.evaluate("document.getElementById('submit-form').submit()")
        page.get_by_role("alert").first.wait_for()
        save(page, "refused")


SIGNING = (
    "sign-in",
    "submit-signing",
    "sign-submission",
    "review-signing",
    "sign-approval",
    "review-acknowledge",
)
"""Pictures of signing in the page, in the order in which they are taken."""


def take_signing(chromium: Browser, folder: Path) -> None:
    """Take the pictures of signing in and of signing in the page, from a deployment of its own."""
    site = Site(folder / "home")
    wheel = plugins.markdown("1.0.0")
    (folder / wheel[0]).write_bytes(wheel[1])
    with (
        site.served() as base,
        chromium.new_context(viewport={"width": 1280, "height": 1000}) as context,
    ):
        page = context.new_page()
        page.goto(f"{base}/signin?next=/submit")
        page.set_viewport_size({"width": 1280, "height": 620})
        save(page, "sign-in")
        _log_in(page, site, ALICE, "Sign in")
        page.set_viewport_size({"width": 1280, "height": 1000})
        page.set_input_files("#wheel", folder / wheel[0])
        page.locator("[data-part=sign]:enabled").wait_for()
        page.get_by_text("The statement that you sign").click()
        save(page, "submit-signing")
        with page.expect_popup() as opened:
            page.locator("[data-part=sign]").click()
        _confirm(opened.value, site, ALICE, "sign-submission")
        page.wait_for_url("**/plugins/**")
        site.work()
        page.goto(f"{base}/review/markdown-render/1.0.0")
        page.get_by_label("Approve these bytes").check()
        page.get_by_label("Comment").fill("Read all of it: one pure function, nothing imported.")
        page.locator("[data-part=sign]:enabled").wait_for()
        page.locator("#decide-head").evaluate("n => n.scrollIntoView({behavior: 'instant'})")
        save(page, "review-signing")
        with page.expect_popup() as opened:
            page.locator("[data-part=sign]").click()
        _confirm(opened.value, site, REVIEWERS[0], "sign-approval")
        page.wait_for_url("**/plugins/**")
        page.goto(f"{base}/submit")
        wheel = plugins.markdown("1.1.0")
        (folder / wheel[0]).write_bytes(wheel[1])
        page.set_input_files("#wheel", folder / wheel[0])
        page.locator("[data-part=sign]:enabled").wait_for()
        with page.expect_popup() as opened:
            page.locator("[data-part=sign]").click()
        _log_in(opened.value, site, ALICE, "Sign")
        page.wait_for_url("**/plugins/**")
        site.work()
        page.goto(f"{base}/review/markdown-render/1.1.0")
        page.get_by_label("Why is it acceptable?").fill("The text comes from our own renderer.")
        page.locator("#findings-head").evaluate("n => n.scrollIntoView({behavior: 'instant'})")
        save(page, "review-acknowledge")
    site.close()


def _log_in(page: Page, site: Site, who: str, button: str) -> None:
    page.get_by_label("E-mail address").fill(who)
    page.get_by_label("Password").fill(site.password(who))
    page.get_by_role("button", name=button, exact=True).click()


def _confirm(window: Page, site: Site, who: str, name: str) -> None:
    window.set_viewport_size({"width": 560, "height": 820})
    window.get_by_label("E-mail address").fill(who)
    save(window, name)
    _log_in(window, site, who, "Sign")


def save(page: Page, name: str) -> None:
    """Write the picture.

    Raises:
        ValueError: it is larger than a repository wants.
    """
    data = page.screenshot(path=HERE / f"{name}.png")
    print(f"{name}.png  {len(data) / 1000:.0f} kB")
    if len(data) > MAX_BYTES:
        raise ValueError(f"{name}.png has {len(data)} bytes; at most {MAX_BYTES} are wanted")


def main(names: list[str]) -> None:
    """Take the named pictures, or all."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        print("a registry is being filled …")
        town.build(stage)
        with stage.served() as base, browser.chromium() as chromium:
            for shot in SHOTS:
                if not names or shot.name in names:
                    take(chromium, base, shot)
            if not names or "refused" in names:
                take_refusal(chromium, base)
            if not names or set(names) & set(SIGNING):
                take_signing(chromium, Path(folder))
            if not names or set(names) & set(desks.NAMES):
                own = Path(folder) / "desk"
                own.mkdir()
                desks.take_desk(chromium, own, names, save)
            if not names or set(names) & set(desks.AUDIT):
                desks.take_audit(chromium, Path(folder) / "audit", save)
        stage.services.close()


if __name__ == "__main__":
    main(sys.argv[1:])
