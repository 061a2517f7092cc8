"""Passkeys: what an answer must be, and what it is bound to."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.authority.keyring import (
    BASE,
    OWN,
    answer,
    enter,
    options,
    registered,
)
from tests.authority.softkey import BACKUP_ELIGIBLE, PRESENT, VERIFIED, SoftKey
from tests.authority.town import (
    ALICE,
    BOB,
    SIGNING,
    Town,
    claims,
    details,
    form_of,
    request_of,
    sent_back,
)
from trust.evidence import statements


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, BASE)


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
