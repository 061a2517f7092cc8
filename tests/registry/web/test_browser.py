"""The road in a real browser: submit, scan, review, publish; its accessibility; nothing runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.registry.web import browser, hostile, plugins, town
from tests.registry.web.stage import Stage
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A served registry with a plugin in every state and one that is hostile."""
    stage = Stage(tmp_path_factory.mktemp("full"))
    town.build(stage)
    with stage.served() as base:
        yield base
    stage.services.close()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A served registry with the hostile plugin."""
    stage = Stage(tmp_path_factory.mktemp("attacked"))
    hostile.build(stage)
    with stage.served() as base:
        yield base
    stage.services.close()


def upload(page: Page, **files: tuple[str, bytes]) -> None:
    for field, (name, data) in files.items():
        payload = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
        page.set_input_files(f"#{field}", files=[payload])  # type: ignore[list-item]


def test_the_road_from_upload_to_publication(chromium: Browser, tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    wheel = plugins.markdown("1.0.0")
    with stage.served() as base, chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(base)
        page.get_by_role("link", name="Submit", exact=True).click()

        bad = make_wheel(files={"example_plugin/x.so": b"\x7fELF", "x.pth": "import os\n"})
        upload(page, wheel=bad, bundle=("b.sigstore.json", stage.trust.submit(*bad)))
        page.get_by_role("button", name="Submit for scan and review").click()
        alert = page.get_by_role("alert")
        expect(alert.get_by_role("heading")).to_contain_text("Refused for")
        expect(alert).to_contain_text("x.pth")
        expect(alert).to_contain_text("example_plugin/x.so")
        expect(alert).to_contain_text("Expected")
        expect(alert).to_contain_text("What to do")

        upload(page, wheel=wheel, bundle=("b.sigstore.json", stage.trust.submit(*wheel)))
        page.get_by_role("button", name="Submit for scan and review").click()
        expect(page).to_have_url(f"{base}/plugins/markdown-render/1.0.0")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Received")

        stage.work()
        page.get_by_role("link", name="Review", exact=True).click()
        page.get_by_role("link", name="markdown-render 1.0.0").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("In review")
        expect(page.get_by_text("def render(arguments):").first).to_be_visible()

        for reviewer in stage.trust.reviewers[:2]:
            page.goto(f"{base}/review/markdown-render/1.0.0")
            signed = stage.review_bundle("markdown-render", "1.0.0", reviewer, comment="Read.")
            upload(page, bundle=("review.sigstore.json", signed))
            page.get_by_role("button", name="Send the review").click()
            expect(page).to_have_url(f"{base}/plugins/markdown-render/1.0.0")
            expect(page.get_by_text(f"{reviewer} read these bytes and approved")).to_be_visible()

        stage.work()
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Published")
        page.goto(base)
        expect(page.get_by_role("table")).to_contain_text("Published")
    stage.services.close()


PAGES = [
    "/",
    "/?q=nothing-like-it",
    "/submit",
    "/review",
    "/plugins/markdown-render",
    *(f"/plugins/{name}/{version}" for name, version in town.STATES.values()),
    "/review/markdown-render/1.1.0",
    "/review/markdown-render/1.1.0?show=split",
    "/review/markdown-render/1.1.0/tree",
    "/review/markdown-render/1.1.0/search?q=html",
    "/review?sort=risk&flag=first-version",
    "/review/date-words/1.0.0",
    "/review/markdown-render/1.1.0/files?path=markdown_render/__init__.py",
    "/review/markdown-render/1.1.0/files?path=markdown_render/__init__.py&show=split",
    "/review/markdown-render/1.1.0/files?path=markdown_render/legacy.py",
    "/review/markdown-render/1.1.0/files?path=markdown_render/plugin.json&show=source",
    "/nowhere",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(chromium: Browser, full: str, scheme: str) -> None:
    found: list[str] = []
    with chromium.new_context(
        bypass_csp=True,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": 1280, "height": 900},
    ) as context:
        page = context.new_page()
        for address in PAGES:
            page.goto(full + address)
            open_all(page)
            found += [f"{address} {line}" for line in browser.violations(page)]
        page.goto(f"{full}/submit")
        bad = make_wheel(files={"x.pth": "import os\n"})
        upload(page, wheel=bad, bundle=("b.json", b"{}"))
        expect(page.get_by_role("heading", name="Would be refused")).to_be_visible()
        found += [f"check {line}" for line in browser.violations(page)]
        page.evaluate("document.getElementById('submit-form').submit()")
        expect(page.get_by_role("alert").first).to_be_visible()
        found += [f"refusal {line}" for line in browser.violations(page)]
    assert found == []


def test_a_phone_never_scrolls_the_page_sideways(chromium: Browser, full: str) -> None:
    with chromium.new_context(bypass_csp=True, viewport={"width": 360, "height": 740}) as context:
        page = context.new_page()
        for address in PAGES:
            page.goto(full + address)
            open_all(page)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, f"{address} is {width} wide"


def test_the_keyboard_reaches_the_content_first(chromium: Browser, full: str) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(full)
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")


@pytest.mark.parametrize("bypass_csp", [False, True], ids=["with-csp", "escaping-alone"])
def test_no_script_of_theirs_runs(chromium: Browser, attacked: str, bypass_csp: bool) -> None:
    with chromium.new_context(bypass_csp=bypass_csp) as context:
        page = context.new_page()
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        for address in hostile.ADDRESSES:
            page.goto(attacked + address)
            page.mouse.move(200, 300)
            assert page.evaluate("window.pwned") is None
            assert page.evaluate("document.images.length") == 0
            sources = page.evaluate("Array.from(document.scripts, s => s.src + s.text)")
            assert all(source.startswith(f"{attacked}/assets/") for source in sources)
        assert dialogs == []


def test_the_policy_alone_stops_a_script(chromium: Browser, tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    raw = "<h1>x</h1><script>window.pwned = 1</script><p onclick=1>"
    stage.app.view_functions["web.home"] = lambda: raw
    with stage.served() as base, chromium.new_context() as context:
        page = context.new_page()
        page.goto(base)
        assert page.evaluate("window.pwned") is None
    stage.services.close()
