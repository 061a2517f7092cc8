"""Pictures of the pages of authors, operators and auditors; `take.py` calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from registry.accounts import tokens
from registry.accounts.settings import AccountSettings
from registry.author_desk import answers, transfers
from registry.revocations import intake as revocations
from registry.revocations.settings import RevocationSettings
from registry.settings import SignIn
from tests.registry.accounts.ci import Service
from tests.registry.web import plugins, town
from tests.registry.web.stage import Stage
from tests.runner.kit import NAME, Site, TestRegistry
from tests.support import servers
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_wheel
from trust.identity import Identity
from trust.revocation import Target, revocation_statement

OLGA, DAN = "olga@example.com", "dan@example.com"
Save = Callable[[Page, str], None]

DESK: tuple[tuple[str, str, str, Literal["light", "dark"], int, int], ...] = (
    ("my-plugins", "/mine", "author", "light", 1280, 1100),
    ("following", "/plugins/table-query/1.1.0", "author", "light", 1280, 760),
    ("answered", "/plugins/invoice-numbers/1.0.0", "author", "dark", 1280, 900),
    ("operate-phone", "/operate", OLGA, "light", 390, 1100),
    ("take-back", "/plugins/table-query/stop?version=1.0.0", OLGA, "light", 1280, 900),
    ("journal", "/journal", OLGA, "dark", 1280, 900),
    ("tokens", "/account/tokens", "author", "light", 1280, 1000),
    ("sessions", "/account/sessions", "author", "light", 1280, 620),
    ("publishers", "/plugins/table-query/publishers", "author", "light", 1280, 900),
)
"""Name, address, who looks, scheme, width and height."""

AUDIT = ("audit-records", "audit-record", "audit-record-phone")
NAMES = ("submit-check", *(name for name, *_ in DESK))


def desk_stage(folder: Path) -> Stage:
    """Return a registry in which everything on the desk and the operator's pages has something."""
    made = Stage(
        folder,
        sign_in=SignIn(TrustFixture().issuer, "registry", folder / "session.key"),
        accounts=AccountSettings(
            admins=frozenset({OLGA}),
            publisher_issuers=Service().write(folder / "issuers.json"),
        ),
        revocations=RevocationSettings(log=folder / "revocations.sqlite"),
    )
    town.build(made)
    author, services = made.trust.author, made.services
    dan = Identity(author.issuer, DAN)
    text = (
        "You are right: 1.0.0 was a stub, uploaded too early. 1.0.1 has the checks and their tests."
    )
    answers.give(services, "invoice-numbers", "1.0.0", author, text)
    transfers.offer(services, "table-query", author, dan)
    transfers.offer(services, "date-words", dan, author)
    for version in ("1.1.0", "1.2.0"):
        made.submit(plugins.table(version))
    made.work()
    tokens.create(services, author, "laptop", [tokens.Scope.SUBMIT], ["table-query"], 30)
    statement = revocation_statement(
        Target.of_version("markdown-render", "1.0.0"),
        action="quarantine",
        reason="A caller saw headings of another document. Held until that is understood.",
        effective=made.now(),
    )
    revocations.post(services, made.trust.sigstore.sign(OLGA, statement))
    return made


def take_desk(chromium: Browser, folder: Path, names: list[str], save: Save) -> None:
    """Take the pictures of the registry's pages."""
    stage = desk_stage(folder)
    with stage.served() as base:
        for name, address, who, scheme, width, height in DESK:
            if names and name not in names:
                continue
            size = {"width": width, "height": height}
            with chromium.new_context(viewport=size, color_scheme=scheme) as context:  # type: ignore[arg-type]
                person = stage.trust.author.subject if who == "author" else who
                cookie = stage.cookie(person)
                context.add_cookies(
                    [{"name": cookie["name"], "value": cookie["value"], "url": base}]
                )
                page = context.new_page()
                page.goto(base + address)
                save(page, name)
        if not names or "submit-check" in names:
            with chromium.new_context(viewport={"width": 1280, "height": 1000}) as context:
                page = context.new_page()
                page.goto(f"{base}/submit")
                files: dict[str, bytes | str | None] = {
                    "example_plugin/fast.so": b"\x7fELF",
                    "start.pth": "import example_plugin\n",
                }
                filename, wheel = make_wheel(files=files)
                page.set_input_files(
                    "#wheel", {"name": filename, "mimeType": "application/zip", "buffer": wheel}
                )
                page.get_by_role("heading", name="Would be refused").wait_for()
                save(page, "submit-check")
    stage.services.close()


@contextmanager
def _runner(folder: Path) -> Iterator[tuple[str, Site]]:
    registry = TestRegistry()
    site = Site(folder, TrustFixture(), registry)
    site.release()
    site.policy["callers"][0]["audit"] = True
    with site.runner() as calls:
        for who in ("Ada", "Grace", "Barbara"):
            arguments = {"name": who}
            body = {"plugin": NAME, "method": "greet", "arguments": arguments}
            calls.post(body)
        calls.post({**body, "plugin": "payroll-export"})
        calls.post({**body, "method": "drop"})
        calls.post({**body, "arguments": {"name": 7}})
        with servers.application(calls.service.app) as address:
            yield address, site
    registry.close()


def take_audit(chromium: Browser, folder: Path, save: Save) -> None:
    """Take the pictures of the runner's audit explorer."""
    folder.mkdir()
    with _runner(folder) as (base, site):
        for suffix, width, height in (("", 1280, 900), ("-phone", 390, 1100)):
            size = {"width": width, "height": height}
            with chromium.new_context(viewport=size) as context:  # type: ignore[arg-type]
                page = context.new_page()
                page.goto(f"{base}/audit")
                page.get_by_label("Token").fill(site.token.token)
                page.get_by_role("button", name="Open the log").click()
                page.get_by_role("heading", name="Records").wait_for()
                if not suffix:
                    save(page, "audit-records")
                page.goto(f"{base}/audit/1")
                page.get_by_text("The checkpoint is signed by").wait_for()
                save(page, f"audit-record{suffix}")
