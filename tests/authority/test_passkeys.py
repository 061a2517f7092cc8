"""Passkeys: what an answer must be, what it is bound to, and how an account's ways are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from authority.errors import StateRefused
from authority.passkeys import Passkeys
from tests.authority.softkey import BACKUP_ELIGIBLE, PRESENT, VERIFIED, SoftKey
from tests.authority.town import (
    ALICE,
    BOB,
    PASSWORD,
    SIGNING,
    Town,
    claims,
    details,
    form_of,
    request_of,
    sent_back,
)
from trust.evidence import statements

BASE = "http://localhost:8600"
OWN = {"Sec-Fetch-Site": "same-origin", "Origin": BASE}
ENTER = {"username": ALICE, "password": PASSWORD}


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, BASE)


def options(page: TestResponse) -> dict[str, Any]:
    """Return what the page asks the authenticator."""
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found, page.text
    asked: dict[str, Any] = json.loads(unescape(found[1]))
    return asked


def forms(page: TestResponse) -> list[dict[str, str]]:
    """Return the hidden fields of each form."""
    return [
        {
            name: unescape(value)
            for name, value in re.findall(
                r'<input type="hidden" name="([^"]+)" value="([^"]*)">', f
            )
        }
        for f in page.text.split("<form")[1:]
    ]


def form(page: TestResponse, action: str) -> dict[str, str]:
    """Return the hidden fields of the first form with this action."""
    assert page.status_code == 200, page.text
    return next(each for each in forms(page) if each.get("action") == action)


def send(browser: FlaskClient, fields: dict[str, str]) -> TestResponse:
    return browser.post("/account/passkeys", data=fields, headers=OWN)


def enter(browser: FlaskClient, who: str = ALICE) -> TestResponse:
    """Sign in at the account's page, with the password."""
    (fields,) = forms(browser.get("/account"))
    fields |= {"username": who, "password": PASSWORD}
    return browser.post("/account", data=fields, headers=OWN)


def add(
    page: TestResponse, browser: FlaskClient, key: SoftKey, name: str = "Laptop"
) -> TestResponse:
    fields = form(page, "add") | {"name": name, "passkey": key.create(options(page))}
    return send(browser, fields)


def registered(town: Town, who: str = ALICE, **changes: Any) -> SoftKey:
    """Register a passkey for somebody."""
    key, browser = SoftKey(BASE, **changes), town.client()
    assert "is added" in add(enter(browser, who), browser, key).text
    return key


def answer(
    town: Town,
    key: SoftKey,
    values: dict[str, str] | None = None,
    change: Callable[[dict[str, Any]], None] = lambda asked: None,
) -> TestResponse:
    """Sign in, or sign, with a passkey."""
    page = town.browser.get("/auth", query_string=values or request_of())
    asked = options(page)
    change(asked)
    fields = form_of(page) | {"passkey": key.get(asked)}
    return town.browser.post("/auth", data=fields, headers=OWN)


def test_a_passkey_signs_in_in_place_of_the_password(town: Town) -> None:
    key = registered(town)
    for count in (1, 2):
        back = sent_back(answer(town, key))
        assert claims(town.redeem(back["code"]))["sub"] == ALICE
        assert town.passkeys.store.of(ALICE)[0].sign_count == count


def test_a_passkey_confirms_one_statement(town: Town) -> None:
    back = sent_back(answer(town, registered(town), request_of(SIGNING)))
    token = claims(town.redeem(back["code"], SIGNING))
    assert (token["sub"], token["aud"]) == (ALICE, "sigstore")
    assert len(token["sealgate_statement_sha256"]) == 64


def test_the_page_asks_for_user_verification_and_for_no_account(town: Town) -> None:
    page = town.browser.get("/auth", query_string=request_of())
    asked = options(page)
    assert (asked["userVerification"], asked["rpId"]) == ("required", "localhost")
    assert "allowCredentials" not in asked
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert "unsafe" not in policy
    made = options(enter(town.client()))
    chosen = made["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["userVerification"]) == ("required", "required")
    assert ALICE.encode() not in json.dumps(made["user"]["id"]).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "http://localhost:8601"},
        {"origin": "https://localhost:8600"},
        {"origin": "http://localhost.evil.example:8600"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"flags": PRESENT | VERIFIED | BACKUP_ELIGIBLE},
        {"cross_origin": True},
        {"handle": b""},
        {"key": SoftKey(BASE).key},
        {"id": b"unknown"},
    ],
    ids=lambda change: f"{next(iter(change))}={next(iter(change.values()))!r}"[:40],
)
def test_an_answer_that_is_not_good_is_refused(town: Town, change: dict[str, Any]) -> None:
    key = registered(town)
    good = {name: getattr(key, name) for name in change}
    for name, value in change.items():
        setattr(key, name, value)
    reply = answer(town, key)
    assert reply.status_code == 401
    assert "Location" not in reply.headers
    for name, value in good.items():
        setattr(key, name, value)
    assert answer(town, key).status_code == 303


def test_an_answer_serves_once(town: Town) -> None:
    key = registered(town, step=0)  # a synced passkey has no counter that would tell
    page = town.browser.get("/auth", query_string=request_of())
    fields = form_of(page) | {"passkey": key.get(options(page))}
    assert town.browser.post("/auth", data=fields, headers=OWN).status_code == 303
    again = town.browser.post("/auth", data=fields, headers=OWN)
    assert again.status_code == 401
    assert "was used" in again.text
    # Another spelling of the same bytes is the same challenge.
    spelt = fields | {"challenge": fields["challenge"] + "="}
    assert town.browser.post("/auth", data=spelt, headers=OWN).status_code == 401


def test_an_answer_serves_for_five_minutes(town: Town) -> None:
    key = registered(town)
    page = town.browser.get("/auth", query_string=request_of())
    fields = form_of(page) | {"passkey": key.get(options(page))}
    town.offset += timedelta(minutes=5)
    late = town.browser.post("/auth", data=fields, headers=OWN)
    assert late.status_code == 401
    assert "open for too long" in late.text


def test_an_answer_is_for_one_browser_and_one_request(town: Town) -> None:
    """What was confirmed for one statement, or one sign-in, serves for no other."""
    key = registered(town)
    other_statement = statements.submit_statement("other_plugin-1.0.0-py3-none-any.whl", "6" * 64)
    others = {
        "statement": request_of(SIGNING, authorization_details=details(other_statement)),
        "sign-in": request_of(),
    }
    for values in others.values():
        asked = town.browser.get("/auth", query_string=values)
        taken = {"passkey": key.get(options(asked)), "challenge": options(asked)["challenge"]}
        page = town.browser.get("/auth", query_string=request_of(SIGNING))
        reply = town.browser.post("/auth", data=form_of(page) | taken, headers=OWN)
        assert reply.status_code == 401
        assert "answered another question" in reply.text
    stranger = town.client()
    page = stranger.get("/auth", query_string=request_of())
    mine = town.browser.get("/auth", query_string=request_of())
    taken = {"passkey": key.get(options(mine)), "challenge": options(mine)["challenge"]}
    assert stranger.post("/auth", data=form_of(page) | taken, headers=OWN).status_code == 401


def test_a_made_up_challenge_is_refused(town: Town) -> None:
    key = registered(town)
    page = town.browser.get("/auth", query_string=request_of())
    for challenge in ("", "A" * 75, "!", options(page)["challenge"][:-8] + "AAAAAAAA"):
        fields = form_of(page) | {"challenge": challenge}
        fields["passkey"] = key.get({"challenge": challenge})
        assert town.browser.post("/auth", data=fields, headers=OWN).status_code == 401


def test_a_passkey_signs_in_its_own_account_only(town: Town) -> None:
    alice, bob = registered(town), registered(town, BOB)
    assert claims(town.redeem(sent_back(answer(town, bob))["code"]))["sub"] == BOB
    bob.handle = alice.handle
    reply = answer(town, bob)
    assert reply.status_code == 401
    assert "answered for another account" in reply.text


def test_a_copied_passkey_is_locked(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    key = registered(town)
    copy = SoftKey(BASE, key=key.key, id=key.id, handle=key.handle)
    assert answer(town, key).status_code == 303
    assert answer(town, key).status_code == 303
    reply = answer(town, copy)
    assert reply.status_code == 401
    assert "seems to be copied" in reply.text
    assert "counter went from 2 to 1" in caplog.text
    # Nobody can tell which is the copy: neither serves any more.
    assert answer(town, key).status_code == 401
    browser = town.client()
    assert "locked: it seems to be copied" in enter(browser).text


def test_nobody_locks_a_passkey_without_its_key(town: Town) -> None:
    key = registered(town)
    assert answer(town, key).status_code == 303
    forged = SoftKey(BASE, id=key.id, handle=key.handle)
    assert answer(town, forged).status_code == 401
    assert answer(town, key).status_code == 303


def test_tries_of_one_passkey_are_throttled(town: Town) -> None:
    key = registered(town)
    forged = SoftKey(BASE, id=key.id, handle=key.handle)
    statuses = [answer(town, forged).status_code for _ in range(7)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429
    held = answer(town, key)
    assert held.status_code == 429
    assert int(held.headers["Retry-After"]) >= 1
    town.offset += timedelta(minutes=2)
    assert answer(town, key).status_code == 303


@pytest.mark.parametrize("text", ["{", "[]", "{}", "x" * 20_000, '{"id": 1}', "\0"])
def test_answers_that_are_no_answers(town: Town, text: str) -> None:
    page = town.browser.get("/auth", query_string=request_of())
    fields = form_of(page) | {"passkey": text}
    assert town.browser.post("/auth", data=fields, headers=OWN).status_code == 401


# -- the account's page ------------------------------------------------------------------------


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
