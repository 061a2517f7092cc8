"""The reviewers' pages in a real browser: keys, no script at all, comments, accessibility."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from registry.review_tools import comments
from tests.registry.review_tools import town
from tests.registry.review_tools.town import NAME, PATH
from tests.registry.web import browser
from tests.registry.web.stage import Stage
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BOB = "bob@example.com"
REVIEW = f"/review/{NAME}/1.1.0"
FILE = f"{REVIEW}/files?path={PATH}"
MARKUP = "<script>window.pwned=1</script>'\"><img src=x onerror=window.pwned=1>"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = town.made(tmp_path_factory.mktemp("review"))
    made.submit(make_wheel(NAME, "1.2.0", source=town.NEXT + "\n# the end\n"))
    made.work()
    who = made.trust.identity(BOB)
    comments.add(made.services, NAME, "1.1.0", PATH, 5, MARKUP, who)
    yield made
    made.services.close()


@pytest.fixture(scope="module")
def base(stage: Stage) -> Iterator[str]:
    with stage.served() as address:
        yield address


def as_bob(chromium: Browser, stage: Stage, base: str, **how: object) -> BrowserContext:
    context = chromium.new_context(**how)  # type: ignore[arg-type]
    cookie = stage.cookie(BOB)
    context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": base}])
    return context


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText"))


def test_a_review_is_read_with_the_keyboard(chromium: Browser, base: str) -> None:
    errors: list[str] = []
    with chromium.new_context() as context:
        page = context.new_page()
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(base + REVIEW)
        page.keyboard.press("j")
        assert PATH in focused(page)
        page.keyboard.press("j")
        assert PATH not in focused(page)
        page.keyboard.press("k")
        assert PATH in focused(page)
        page.keyboard.press("n")
        first = focused(page)
        page.keyboard.press("n")
        second = focused(page)
        assert first != second
        assert "B306" in first + second
        page.keyboard.press("p")
        assert focused(page) == first
        page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keys on this page")
        expect(dialog).to_be_visible()
        page.keyboard.press("j")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox", name="Search the diff")).to_be_focused()
        page.keyboard.type("jnp?/")
        expect(page.get_by_role("searchbox", name="Search the diff")).to_have_value("jnp?/")
        page.goto(base + FILE)
        page.keyboard.press("j")
        page.wait_for_url("**METADATA**")
        page.keyboard.press("k")
        page.wait_for_url("**__init__.py**")
    assert errors == []


def test_without_script_everything_but_signing_works(
    chromium: Browser, stage: Stage, base: str
) -> None:
    with as_bob(chromium, stage, base, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{base}/review")
        page.get_by_label("Order").select_option("greatest risk")
        page.get_by_role("button", name="Show", exact=True).click()
        page.get_by_role("link", name=f"{NAME} 1.1.0").click()
        page.get_by_role("link", name="Side by side").click()
        expect(page.get_by_role("columnheader", name="Earlier text").first).to_be_attached()
        page.get_by_role("searchbox", name="Search the diff").fill("good day")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_text("Good day")).to_be_visible()
        page.get_by_role("link", name="9", exact=True).click()
        expect(page.locator("#L9")).to_be_visible()
        page.get_by_role("link", name="Comment on line 9").click()
        page.get_by_role("textbox", name="Comment on line 9").fill("Read without a script.")
        page.get_by_role("button", name="Comment", exact=True).click()
        expect(page.get_by_text("Read without a script.")).to_be_visible()
        page.get_by_role("link", name=f"{NAME} 1.1.0").click()
        page.get_by_role("link", name=re.compile(r"^All \d+ files$")).click()
        page.get_by_label("Which").select_option("changed")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.get_by_role("table")).to_contain_text(PATH)


STATES = (
    REVIEW,
    f"/review/{NAME}/1.2.0",
    f"{REVIEW}?show=split",
    FILE,
    f"{FILE}&show=source&comment=5",
    f"{FILE}&show=split",
    f"{REVIEW}/tree",
    f"{REVIEW}/search?q=day",
    "/review",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(chromium: Browser, stage: Stage, base: str, scheme: str) -> None:
    found: list[str] = []
    with as_bob(chromium, stage, base, bypass_csp=True, color_scheme=scheme) as context:
        page = context.new_page()
        for address in STATES:
            page.goto(base + address)
            for summary in page.locator("summary").all():
                summary.evaluate("summary => { summary.parentElement.open = true; }")
            found += [f"{address} {line}" for line in browser.violations(page)]
        page.goto(base + REVIEW)
        page.keyboard.press("?")
        found += [f"keys {line}" for line in browser.violations(page)]
    assert found == []


def test_a_phone_never_scrolls_the_page_sideways(
    chromium: Browser, stage: Stage, base: str
) -> None:
    viewport = {"width": 360, "height": 740}
    with as_bob(chromium, stage, base, bypass_csp=True, viewport=viewport) as context:
        page = context.new_page()
        for address in STATES:
            page.goto(base + address)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, f"{address} is {width} wide"


@pytest.mark.parametrize("bypass_csp", [False, True], ids=["with-csp", "escaping-alone"])
def test_no_script_in_a_comment_runs(
    chromium: Browser, stage: Stage, base: str, bypass_csp: bool
) -> None:
    with as_bob(chromium, stage, base, bypass_csp=bypass_csp) as context:
        page = context.new_page()
        for address in STATES:
            page.goto(base + address)
            assert page.evaluate("window.pwned") is None
        page.goto(base + FILE)
        expect(page.get_by_text(MARKUP)).to_be_visible()
