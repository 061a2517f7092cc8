"""The page of one's passkeys: a fresh sign-in, tickets, and the last way in."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authority.errors import StateRefused
from authority.passkeys import Passkeys
from tests.authority.keyring import (
    BASE,
    ENTER,
    OWN,
    add,
    answer,
    enter,
    form,
    forms,
    options,
    registered,
    send,
)
from tests.authority.softkey import PRESENT, SoftKey
from tests.authority.town import (
    ALICE,
    BOB,
    PASSWORD,
    Town,
    form_of,
    request_of,
)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, BASE)


def test_the_page_needs_a_fresh_sign_in(town: Town) -> None:
    browser = town.client()
    page = browser.get("/account")
    assert "Add a passkey" not in page.text
    (fields,) = forms(page)
    wrong = browser.post("/account", data=fields | ENTER | {"password": "no"}, headers=OWN)
    assert wrong.status_code == 401
    good = enter(browser)
    assert "Add a passkey" in good.text
    # Coming again asks again, and after ten minutes the open page changes nothing.
    assert "Add a passkey" not in browser.get("/account").text
    good = add(good, browser, SoftKey(BASE))
    town.offset += timedelta(minutes=10)
    assert send(browser, form(good, "password-off")).status_code == 401
    assert send(browser, form(good, "remove")).status_code == 401
    assert not town.passkeys.store.only(ALICE)
    assert len(town.passkeys.store.of(ALICE)) == 1


def test_a_passkey_opens_the_page_too(town: Town) -> None:
    key, browser = registered(town), town.client()
    page = browser.get("/account")
    (fields,) = forms(page)
    reply = browser.post("/account", data=fields | {"passkey": key.get(options(page))}, headers=OWN)
    assert "Add a passkey" in reply.text


@pytest.mark.parametrize(
    "change",
    [
        {"account": BOB},
        {"ends": "99999999999"},
        {"ticket": "0" * 64},
        {"ticket": ""},
    ],
)
def test_a_ticket_is_for_one_account_and_time(town: Town, change: dict[str, str]) -> None:
    registered(town, BOB)
    browser = town.client()
    fields = form(enter(browser), "add") | {"action": "password-off"} | change
    assert send(browser, fields).status_code == 400
    assert not town.passkeys.store.only(BOB)


def test_a_ticket_is_for_one_browser_and_our_own_pages(town: Town) -> None:
    registered(town)
    browser, other = town.client(), town.client()
    fields = form(enter(browser), "password-off")
    enter(other, BOB)
    assert send(other, fields).status_code == 400
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}, {}):
        reply = browser.post("/account/passkeys", data=fields, headers=headers)
        assert reply.status_code == 400
    assert not town.passkeys.store.only(ALICE)
    assert send(browser, fields).status_code == 200
    assert town.passkeys.store.only(ALICE)


def test_somebody_elses_passkey_cannot_be_touched(town: Town) -> None:
    registered(town, BOB)
    registered(town)
    browser = town.client()
    page = enter(browser)
    (theirs,) = town.passkeys.store.of(BOB)
    for action in ("remove", "rename"):
        fields = form(page, action) | {"id": theirs.id, "name": "mine"}
        assert send(browser, fields).status_code == 400
    assert town.passkeys.store.of(BOB) == (theirs,)


@pytest.mark.parametrize(
    "change",
    [{"origin": "http://localhost:8601"}, {"rp_id": "evil.example"}, {"flags": PRESENT}],
    ids=["origin", "rp", "user-verification"],
)
def test_a_new_passkey_that_is_not_good_is_refused(town: Town, change: dict[str, Any]) -> None:
    browser, key = town.client(), SoftKey(BASE)
    for name, value in change.items():
        setattr(key, name, value)
    assert add(enter(browser), browser, key).status_code == 401
    assert town.passkeys.store.of(ALICE) == ()


def test_the_question_for_a_new_passkey_serves_once_and_for_its_account(town: Town) -> None:
    browser = town.client()
    page = enter(browser)
    fields = form(page, "add") | {"name": "a", "passkey": SoftKey(BASE).create(options(page))}
    assert send(browser, fields).status_code == 200
    assert send(browser, fields).status_code == 401
    bob = enter(browser, BOB)
    taken = {"challenge": options(page)["challenge"], "name": "b"}
    taken["passkey"] = SoftKey(BASE).create(options(page))
    assert send(browser, form(bob, "add") | taken).status_code == 401
    assert town.passkeys.store.of(BOB) == ()


def test_several_passkeys_with_names_of_their_own(town: Town) -> None:
    browser = town.client()
    page = enter(browser)
    for name in ("<script>alert(1)</script>", "Key \u202e two"):
        page = add(page, browser, SoftKey(BASE), name)
        if "\u202e" in name:
            assert page.status_code == 400  # not printable
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    (only,) = town.passkeys.store.of(ALICE)
    page = enter(browser)
    page = send(browser, form(page, "rename") | {"name": "Laptop"})
    assert town.passkeys.store.of(ALICE)[0].name == "Laptop"
    assert send(browser, form(page, "rename") | {"name": " "}).status_code == 400
    for number in range(9):
        page = add(page, browser, SoftKey(BASE), f"Key {number}")
    assert len(town.passkeys.store.of(ALICE)) == 10
    assert add(page, browser, SoftKey(BASE), "one too many").status_code == 400
    assert only.id == town.passkeys.store.of(ALICE)[0].id


def test_the_last_way_in_cannot_be_removed(town: Town) -> None:
    browser = town.client()
    page = enter(browser)
    none_yet = form(page, "add") | {"action": "password-off"}
    assert send(browser, none_yet).status_code == 400
    key = registered(town)
    page = send(browser, form(enter(browser), "password-off"))
    assert "The password is off" in page.text
    refused = send(browser, form(page, "remove"))
    assert refused.status_code == 400
    assert "last way into the account" in refused.text
    assert answer(town, key).status_code == 303
    second = registered_with_passkey(town, key)
    page = send(browser, form(page, "remove"))
    assert [each.name for each in town.passkeys.store.of(ALICE)] == ["Second"]
    assert answer(town, key).status_code == 401
    assert answer(town, second).status_code == 303


def registered_with_passkey(town: Town, key: SoftKey) -> SoftKey:
    """Sign in at the account's page with one passkey, and add another."""
    browser, second = town.client(), SoftKey(BASE)
    page = browser.get("/account")
    (fields,) = forms(page)
    page = browser.post("/account", data=fields | {"passkey": key.get(options(page))}, headers=OWN)
    assert "is added" in add(page, browser, second, "Second").text
    return second


def test_a_password_that_is_off_opens_nothing(town: Town) -> None:
    registered(town)
    browser = town.client()
    page = send(browser, form(enter(browser), "password-off"))
    asked = town.browser.get("/auth", query_string=request_of())
    reply = town.browser.post("/auth", data=form_of(asked) | ENTER, headers=OWN)
    assert reply.status_code == 401
    fields = {"grant_type": "password", "username": ALICE, "password": PASSWORD}
    assert town.client().post("/token", data=fields).status_code == 401
    assert enter(town.client()).status_code == 401
    send(browser, form(page, "password-on"))
    assert town.client().post("/token", data=fields).status_code == 200


def test_passkeys_are_kept_privately_and_a_damaged_file_is_refused(
    town: Town, tmp_path: Path
) -> None:
    key = registered(town)
    path = tmp_path / "passkeys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    again = Passkeys(path, BASE, town.now)
    assert again.store.of(ALICE) == town.passkeys.store.of(ALICE)
    assert again.store.handle(ALICE) == town.passkeys.store.handle(ALICE)
    assert key.handle
    path.write_text('{"passkeys": [{"id": 1}]}')
    with pytest.raises(StateRefused):
        Passkeys(path, BASE, town.now)


def test_an_address_without_a_name_takes_no_passkeys(tmp_path: Path) -> None:
    town = Town(tmp_path)
    page = town.browser.get("/auth", query_string=request_of())
    assert "<script" not in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "No passkeys at this address" in town.browser.get("/account").text
