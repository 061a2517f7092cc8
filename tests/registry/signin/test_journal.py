"""Sign-ins in the journal: who, when, from where; failures, and the bound on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select

from registry.accounts.models import SignInEvent
from registry.operations import journal
from registry.operations.journal import Entry, Filter
from registry.services import Services
from registry.signin import record, sessions
from tests.registry.accounts.people import ADMIN, AUTHOR, OWN, Town
from tests.registry.signin.site import ALICE, Site
from tests.registry.signin.test_signin import begin
from tests.support.evidence import TrustFixture

SIGN_INS = Filter(source="signins")


@pytest.fixture
def town(trust: TrustFixture, tmp_path: Path) -> Iterator[Town]:
    made = Town(trust, tmp_path)
    yield made
    made.registry.services.close()


def entries(services: Services) -> list[tuple[str, str, str]]:
    """Return event, person and detail of every sign-in of the journal, the oldest first."""
    found: list[Entry] = []
    after = ""
    while True:
        page = journal.read(services, SIGN_INS, after)
        found += page.entries
        after = page.older
        if not after:
            break
    return [(e.event, e.actor.subject if e.actor else "", e.detail) for e in reversed(found)]


def test_the_road_in_and_out_is_in_the_journal(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    services: Services = site.app.extensions["sealgate"]
    with site.served(), requests.Session() as browser, requests.Session() as other:
        back = begin(site, browser)
        assert entries(services) == []
        browser.get(back, timeout=10)
        other.get(back, timeout=10)  # a copy of the answer, in another browser
        other.get(f"{site.url}/signin/callback?iss=https://evil.example&code=1", timeout=10)
        other.get(f"{site.url}/signin/callback?error=access_denied", timeout=10)
        for _ in range(2):  # the second one ends nothing
            browser.post(f"{site.url}/signout", headers={"Origin": site.url}, timeout=10)
        assert entries(services) == [
            ("signed-in", ALICE, "from 127.0.0.1"),
            ("sign-in-failed", "", "an answer to no sign-in of this browser; from 127.0.0.1"),
            ("sign-in-failed", "", "the answer is not valid; from 127.0.0.1"),
            ("sign-in-failed", "", "cancelled at the issuer; from 127.0.0.1"),
            ("signed-out", ALICE, "from 127.0.0.1"),
        ]
    site.close()


def test_no_session_without_its_record(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("the journal cannot be written")

    monkeypatch.setattr(record, "add", refuse)
    with town.registry.app.test_request_context(), pytest.raises(OSError, match="journal"):
        sessions.begin(town.identity(AUTHOR))
    with town.registry.app.test_request_context():
        assert sessions.listed(town.registry.services, town.identity(AUTHOR)) == ()


def fail(town: Town, times: int, address: str = "192.0.2.1") -> None:
    client = town.client()
    for _ in range(times):
        reply = client.get(
            "/signin/callback?code=x&state=y", environ_overrides={"REMOTE_ADDR": address}
        )
        assert reply.status_code == 403


def rows(town: Town) -> int:
    with town.registry.services.database.read() as session:
        return session.scalar(select(func.count()).select_from(SignInEvent)) or 0


def test_a_flood_of_failures_is_few_rows_that_say_how_many(town: Town) -> None:
    fail(town, 50)
    assert entries(town.registry.services) == [
        ("sign-in-failed", "",
         "an answer to no sign-in of this browser; 50 times within minutes; from 192.0.2.1"),
    ]  # fmt: skip
    for number in range(record.MAX_FAILED * 2):
        fail(town, 1, f"198.51.100.{number}")
    assert rows(town) == record.MAX_FAILED + 1
    last = entries(town.registry.services)[-1]
    assert last[2] == f"of many addresses; {record.MAX_FAILED + 1} times within minutes"
    # An hour later addresses are kept again, and what is a year old goes.
    with town.registry.services.database.write() as session:
        for row in session.scalars(select(SignInEvent)):
            row.at -= timedelta(hours=2)
    fail(town, 1, "203.0.113.1")
    assert rows(town) == record.MAX_FAILED + 2
    with town.registry.services.database.write() as session:
        for row in session.scalars(select(SignInEvent)):
            row.at -= record.KEPT
    fail(town, 1, "203.0.113.2")
    assert rows(town) == 1


def test_signing_out_everywhere_is_one_entry(town: Town) -> None:
    town.client(AUTHOR)
    town.client(AUTHOR).post("/account/sessions/end", headers=OWN)
    (entry,) = entries(town.registry.services)
    assert entry[:2] == ("signed-out", AUTHOR)
    assert entry[2].startswith("everywhere, 2 sessions")


def test_the_admins_read_it_on_the_journals_page(town: Town) -> None:
    town.client(AUTHOR).post("/signout", headers=OWN)
    fail(town, 2)
    page = town.client(ADMIN).get("/journal?source=signins").text
    assert "signing in and out" in page
    assert "Signed out" in page
    assert "Sign-in failed" in page
    assert "nobody known" in page
    assert "2 times within minutes; from 192.0.2.1" in page
    assert town.client(AUTHOR).get("/journal?source=signins").status_code == 403
