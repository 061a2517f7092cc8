"""The whole road with only the browser: an author, two reviewers, an operator, a new owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from registry.accounts.settings import AccountSettings
from registry.app import create_app
from registry.revocations.settings import RevocationSettings
from sealgate.settings import registry_settings
from tests.registry.signin.site import ALICE, REVIEWERS, Site
from tests.registry.web import plugins
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BOB, CAROL, DAVE = REVIEWERS
NAME = "table-query"
XSS = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>\u202e"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A deployment whose operator is Dave, with a revocation log."""
    made = Site(tmp_path_factory.mktemp("site"))
    settings = registry_settings(made.deployment)
    made.app.extensions["sealgate"].close()
    made.app = create_app(
        replace(
            settings,
            accounts=AccountSettings(admins=frozenset({DAVE})),
            revocations=RevocationSettings(log=made.deployment.state("registry") / "stops.sqlite"),
        )
    )
    with made.served():
        yield made
    made.close()


@contextmanager
def person(chromium: Browser, site: Site, who: str = "", width: int = 1280) -> Iterator[Page]:
    """A browser of somebody, signed in where `who` is an account."""
    with chromium.new_context(viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(10_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        if who:
            page.goto(f"{site.url}/signin?next=/mine")
            log_in(page, site, who, "Sign in")
            expect(page.get_by_role("heading", level=1)).to_have_text("My plugins")
        yield page
        assert page.evaluate("window.pwned") is None
        assert errors == []


def log_in(page: Page, site: Site, who: str, button: str) -> None:
    page.get_by_label("E-mail address").fill(who)
    page.get_by_label("Password").fill(site.password(who))
    page.get_by_role("button", name=button, exact=True).click()


def sign(page: Page, site: Site, who: str, button: str) -> str:
    """Click a signing button and sign in its window; return what the window said."""
    with page.expect_popup() as opened:
        page.get_by_role("button", name=button, exact=True).click()
    window = opened.value
    window.get_by_label("E-mail address").wait_for()
    said = window.locator("main").inner_text()
    log_in(window, site, who, "Sign")
    return said


def choose(page: Page, folder: Path, wheel: tuple[str, bytes]) -> None:
    path = folder / wheel[0]
    path.write_bytes(wheel[1])
    page.set_input_files("#wheel", path)


def submit(page: Page, site: Site, folder: Path, version: str) -> None:
    page.goto(f"{site.url}/submit")
    choose(page, folder, plugins.table(version))
    expect(page.locator("#check-result")).to_contain_text("Reads well")
    sign(page, site, ALICE, "Sign in the page and submit")
    expect(page).to_have_url(f"{site.url}/plugins/{NAME}/{version}")


def decide(page: Page, site: Site, who: str, version: str, decision: str, comment: str) -> None:
    page.goto(f"{site.url}/review/{NAME}/{version}")
    approve = decision == "approve"
    page.get_by_label("Approve these bytes" if approve else "Reject this version").check()
    page.locator("[data-part=comment]").fill(comment)
    sign(page, site, who, "Sign the approval" if approve else "Sign the rejection")
    expect(page).to_have_url(f"{site.url}/plugins/{NAME}/{version}")


def test_author_reviewers_operator_and_new_owner(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:
    with (
        person(chromium, site, ALICE) as alice,
        person(chromium, site, BOB) as bob,
        person(chromium, site) as carol,
    ):
        # What is wrong is said before anything is signed, all of it together.
        alice.get_by_role("link", name="Submit", exact=True).click()
        bad = make_wheel(files={"example_plugin/x.so": b"\x7fELF", "x.pth": "import os\n"})
        choose(alice, tmp_path, bad)
        result = alice.locator("#check-result")
        expect(result).to_contain_text("Would be refused for")
        expect(result).to_contain_text("example_plugin/x.so")
        expect(result).to_contain_text("x.pth")
        expect(result).to_contain_text("What to do")
        expect(alice.locator("[data-part=sign]")).to_be_hidden()

        # A version is followed without reloading.
        submit(alice, site, tmp_path, "1.0.0")
        alice.evaluate("window.same = true")
        expect(alice.get_by_role("heading", level=1)).to_contain_text("Received")
        site.work()
        expect(alice.get_by_role("heading", level=1)).to_contain_text("In review")
        expect(alice.get_by_text("0 of 2 approvals").first).to_be_visible()
        expect(alice.locator("[data-live=timeline]")).to_contain_text("Scan passed")
        assert alice.evaluate("window.same") is True

        # A rejection asks something of the author, who answers and submits anew.
        decide(bob, site, BOB, "1.0.0", "reject", f"Say what `where` does. {XSS}")
        expect(alice.get_by_role("heading", level=1)).to_contain_text("Rejected")
        assert alice.evaluate("window.same") is True
        alice.get_by_role("link", name="My plugins").click()
        expect(alice.get_by_text("Read why it was rejected")).to_be_visible()
        alice.get_by_role("link", name="Why, and answer").click()
        alice.get_by_label("Your answer to the reviewers").fill(f"It compares members. {XSS}")
        alice.get_by_role("button", name="Answer", exact=True).click()
        expect(alice.locator(".answer")).to_contain_text("It compares members. <script>")
        expect(alice.locator(".answer")).to_contain_text("⟨U+202E⟩")
        submit(alice, site, tmp_path, "1.0.1")
        site.work()
        submit(alice, site, tmp_path, "1.1.0")
        site.work()

        # The newer upload is said, on both, and takes nothing away from the older one.
        alice.goto(f"{site.url}/plugins/{NAME}/1.0.1")
        expect(alice.get_by_text("The author has submitted a newer version")).to_be_visible()
        decide(bob, site, BOB, "1.0.1", "approve", "Read all of it.")
        expect(bob.get_by_text("1 of 2 approvals").first).to_be_visible()
        bob.goto(f"{site.url}/review/{NAME}/1.1.0")
        expect(bob.get_by_text("none of those counts here")).to_be_visible()
        expect(bob.get_by_text("It compares members.")).to_be_visible()
        expect(bob.get_by_text("0 of 2").first).to_be_visible()

        alice.evaluate("window.same = true")
        decide(carol, site, CAROL, "1.0.1", "approve", "Read.")
        site.work()
        expect(alice.get_by_role("heading", level=1)).to_contain_text("Published")
        assert alice.evaluate("window.same") is True

    # The operator, from a phone.
    with person(chromium, site, DAVE, width=390) as dave:
        dave.get_by_role("link", name="Operate").click()
        expect(dave.get_by_text("Nothing is revoked or in quarantine")).to_be_visible()
        dave.goto(f"{site.url}/plugins/{NAME}/1.0.1")
        dave.get_by_role("link", name="Take back …").click()
        expect(dave.get_by_label("What", exact=True)).to_contain_text("Version 1.0.1")
        dave.get_by_label("Reason").fill(f"A caller saw rows of another. {XSS[:-1]}")
        said = sign(dave, site, DAVE, "Sign the quarantine")
        assert "Quarantine this" in said
        assert f"version {NAME}==1.0.1" in said
        expect(dave).to_have_url(f"{site.url}/plugins/{NAME}/1.0.1")
        expect(dave.get_by_text("In quarantine:")).to_be_visible()
        dave.goto(f"{site.url}/plugins/{NAME}/stop")
        dave.get_by_label("Lift a quarantine").check()
        dave.get_by_label("What", exact=True).select_option(label=quarantine_of(dave))
        dave.get_by_label("Reason").fill("It was another plugin.")
        assert "Lift the quarantine" in sign(dave, site, DAVE, "Sign the lifting")
        expect(dave).to_have_url(f"{site.url}/plugins/{NAME}/1.0.1")
        expect(dave.get_by_text("In quarantine:")).to_have_count(0)

    # A name changes hands, and the next version is marked.
    with (
        person(chromium, site, ALICE) as alice,
        person(chromium, site, CAROL) as carol,
        person(chromium, site, DAVE) as dave,
    ):
        for round_ in ("cancel", "accept"):
            alice.goto(f"{site.url}/mine")
            alice.get_by_text(f"Hand {NAME} over").click()
            alice.get_by_label("New owner of").fill(CAROL)
            alice.get_by_role("button", name="Offer the name").click()
            expect(alice.get_by_text(f"Offered to {CAROL}")).to_be_visible()
            if round_ == "cancel":
                dave.goto(f"{site.url}/operate")
                dave.get_by_role("button", name=f"Cancel the offer of {NAME}").click()
                expect(dave.get_by_text("No name is on offer")).to_be_visible()
        carol.goto(f"{site.url}/mine")
        carol.get_by_role("button", name=f"Accept {NAME}").click()
        expect(carol.get_by_role("link", name=NAME, exact=True)).to_be_visible()
        alice.goto(f"{site.url}/mine")
        expect(alice.get_by_text("it has another owner now")).to_be_visible()
        dave.goto(f"{site.url}/journal?plugin={NAME}")
        for word in ("Name handed over", "Offer cancelled", "Quarantine lifted", "Published"):
            expect(dave.get_by_text(word, exact=True).first).to_be_visible()

        carol.goto(f"{site.url}/submit")
        choose(carol, tmp_path, plugins.table("2.0.0"))
        sign(carol, site, CAROL, "Sign in the page and submit")
        expect(carol).to_have_url(f"{site.url}/plugins/{NAME}/2.0.0")
        site.work()
        dave.goto(f"{site.url}/review/{NAME}/2.0.0")
        expect(dave.get_by_text("New owner.")).to_be_visible()


def quarantine_of(page: Page) -> str:
    """Return the label of the one quarantine that can be lifted."""
    label = page.locator("#what option[data-lifts]").inner_text()
    assert NAME in label
    return label
