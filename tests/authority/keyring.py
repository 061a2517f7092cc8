"""People with passkeys: registering one, answering with it, the forms of the account's page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.authority.softkey import SoftKey
from tests.authority.town import ALICE, PASSWORD, Town, form_of, request_of

BASE = "http://localhost:8600"
OWN = {"Sec-Fetch-Site": "same-origin", "Origin": BASE}
ENTER = {"username": ALICE, "password": PASSWORD}


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
