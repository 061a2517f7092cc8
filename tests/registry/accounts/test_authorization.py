"""Every route with every role: who reaches its view, and who does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from registry.accounts.authorization import TABLE, Access, Line
from registry.accounts.tokens import Scope
from tests.registry.accounts.people import ADMIN, AUTHOR, OTHER, OWN, REVIEWERS, Town
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_wheel

READ, SUBMIT, REVIEW, COMMENT = Scope.READ, Scope.SUBMIT, Scope.REVIEW, Scope.COMMENT
REACHED = "the view was reached"

PEOPLE = {
    "anonymous": None,
    "somebody": "somebody@example.com",
    "author": AUTHOR,
    "other author": OTHER,
    "reviewer": REVIEWERS[0],
    "admin": ADMIN,
}
TOKENS: dict[str, tuple[str, set[Scope], set[str]]] = {
    **{f"token {scope}": (AUTHOR, {scope}, set()) for scope in Scope},
    "token of all scopes": (AUTHOR, set(Scope), set()),
    "token for this plugin": (AUTHOR, set(Scope), {"example-plugin"}),
    "token for another plugin": (AUTHOR, set(Scope), {"other-plugin"}),
    "token of another author": (OTHER, set(Scope), set()),
}
ROLES = [*PEOPLE, *TOKENS]

PERSONS = set(PEOPLE) - {"anonymous"}
WHO = {
    Access.PUBLIC: set(ROLES),
    Access.SIGNED_IN: PERSONS,
    Access.AUTHOR: {"author", "admin"},
    Access.REVIEWER: {"reviewer"},
    Access.ADMIN: {"admin"},
    Access.BUNDLE: set(PEOPLE),
}
"""People who reach a view, by the line's access: written down here once more, on purpose."""

OPEN_WRITES = {
    ("POST", "/submit"),
    ("POST", "/submit/check"),
    ("POST", "/plugins/<name>/stop"),
    ("POST", "/review/<name>/<version>"),
    ("POST", "/api/v1/submissions"),
    ("POST", "/api/v1/plugins/<name>/<version>/reviews"),
    ("POST", "/api/v1/signing/complete"),
    ("POST", "/api/v1/revocations"),
    ("POST", "/legacy/"),
    ("POST", "/signout"),
    ("POST", "/_/oidc/mint-token"),
}
"""The writes that need no session and no token: each is judged by what it carries."""

WITHOUT_BUNDLE = {("POST", "/submit/check"), ("POST", "/signout"), ("POST", "/_/oidc/mint-token")}
"""Those of them that store nothing about a plugin: a look, an end, an exchange of a CI token."""


@pytest.fixture(scope="module")
def town(trust: TrustFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = Town(trust, tmp_path_factory.mktemp("town"), uploads_per_minute=0)
    made.registry.submit(*make_wheel())
    made.registry.submit(*make_wheel(name="other-plugin"), by=OTHER)
    made.registry.app.test_client_class = FlaskClient  # the views below are not the document's
    yield made
    made.registry.services.close()


@pytest.fixture(scope="module")
def clients(town: Town) -> dict[str, tuple[Any, dict[str, str]]]:
    """A client of each role, with the headers that it sends."""
    made: dict[str, tuple[Any, dict[str, str]]] = {
        role: (town.client(who), OWN) for role, who in PEOPLE.items()
    }
    for role, (who, scopes, plugins) in TOKENS.items():
        text = town.token(who, [str(scope) for scope in scopes], plugins)
        made[role] = (town.client(), {"Authorization": f"Bearer {text}"})
    return made


@pytest.fixture(autouse=True)
def views_that_only_tell(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is decided is decided before the view: put another view in the place of each."""
    for endpoint in town.registry.app.view_functions:
        monkeypatch.setitem(town.registry.app.view_functions, endpoint, lambda **_: REACHED)


def routes(app: Flask) -> list[tuple[str, Rule]]:
    return [
        (method, rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def address(rule: Rule) -> str:
    """Return an address of the rule; its plugin is the author's."""
    values = {"name": "example-plugin", "version": "1.0.0", "number": "1", "filename": "f.whl"}

    def value(match: re.Match[str]) -> str:
        kind, _, name = match[1].rpartition(":")
        return values.get(name, "1" if kind == "int" else "0" * 64)

    return re.sub(r"<([^>]+)>", value, rule.rule)


def expected(line: Line, rule: Rule) -> set[str]:
    """Return the roles that reach the view."""
    who = set(WHO[line.access])
    if line.access is Access.PUBLIC or line.scope is None:
        return who
    for role, (owner, scopes, plugins) in TOKENS.items():
        person = {AUTHOR: "author", OTHER: "other author"}[owner]
        here = {"example-plugin"} if "<name>" in rule.rule else set()
        covered = not plugins or line.any_plugin or bool(plugins & here)
        if line.scope in scopes and covered and person in WHO[line.access]:
            who.add(role)
    return who


def test_every_route_has_a_line_and_every_line_a_route(town: Town) -> None:
    there = {(method, rule.rule) for method, rule in routes(town.registry.app)}
    assert there - set(TABLE) == set(), "add a line to registry/accounts/authorization.py"
    # Routes that are installed by a setting of theirs only:
    assert {rule for _, rule in set(TABLE) - there if not rule.startswith(OPTIONAL)} == set()


OPTIONAL = ("/signing/callback", "/tuf/")


def test_every_role_reaches_what_it_may_and_nothing_else(
    town: Town, clients: dict[str, tuple[Any, dict[str, str]]]
) -> None:
    wrong = []
    for method, rule in routes(town.registry.app):
        may = expected(TABLE[method, rule.rule], rule)
        for role, (client, headers) in clients.items():
            reply = client.open(address(rule), method=method, headers=headers)
            reached = reply.text == REACHED
            if reached != (role in may):
                wrong.append((method, rule.rule, role, reply.status_code))
            if not reached:
                refused = reply.status_code in (401, 403)
                to_sign_in = reply.status_code == 303 and "/signin?next=" in reply.location
                assert refused or (to_sign_in and role == "anonymous"), (method, rule, role)
    assert wrong == []


def test_no_write_is_open_but_those_that_carry_their_own_proof() -> None:
    found = {
        key
        for key, line in TABLE.items()
        if key[0] != "GET" and line.access in (Access.PUBLIC, Access.BUNDLE)
    }
    assert found - OPEN_WRITES == set(), "is it judged by what it carries? then say so here"


def test_what_bears_trust_is_a_line_for_signed_bundles() -> None:
    """Submitting, deciding, revoking: whoever sends them, and whatever session is beside them."""
    for key in OPEN_WRITES - WITHOUT_BUNDLE:
        assert TABLE[key].access is Access.BUNDLE, key


def test_writes_by_session_come_from_our_own_pages(
    town: Town, clients: dict[str, tuple[Any, dict[str, str]]]
) -> None:
    tried = 0
    for method, rule in routes(town.registry.app):
        line = TABLE[method, rule.rule]
        if method == "GET" or line.access in (Access.PUBLIC, Access.BUNDLE):
            continue
        role = next(iter(expected(line, rule) & PERSONS))
        client, _ = clients[role]
        for headers in (
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {},
        ):
            reply = client.open(address(rule), method=method, headers=headers)
            assert reply.status_code == 403, (method, rule.rule, role, headers)
            tried += 1
    assert tried >= 12


def test_a_route_that_nobody_put_into_the_table_is_refused_to_everybody(
    town: Town, clients: dict[str, tuple[Any, dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.accounts import authorization

    short = {key: line for key, line in TABLE.items() if key != ("GET", "/review")}
    monkeypatch.setattr(authorization, "TABLE", short)
    for role, (client, headers) in clients.items():
        reply = client.get("/review", headers=headers)
        assert (reply.status_code, "accounts.no-line" in reply.text) == (403, True), role


@pytest.mark.parametrize("text", ["sealgate_", "sealgate_" + "A" * 49, "sealgate_x y"])
def test_a_bad_token_is_never_taken_for_nobodys(town: Town, text: str) -> None:
    for client in (town.client(), town.client(AUTHOR)):
        reply = client.get("/healthz", headers={"Authorization": f"Bearer {text}"})
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")


def test_credentials_for_somebody_else_are_left_alone(town: Town) -> None:
    for value in ("Bearer of-a-proxy", "Basic b3BlcmF0b3I6cGFzcw==", "Negotiate x"):
        assert town.client().get("/healthz", headers={"Authorization": value}).status_code == 200
