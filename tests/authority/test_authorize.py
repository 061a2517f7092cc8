"""The authorization endpoint: what it refuses, and what the page and its form promise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from authority.codes import challenge_of
from tests.authority.town import (
    ALICE,
    DIGEST,
    PASSWORD,
    REGISTRY,
    ROBOT,
    SIGNING,
    STATEMENT,
    VERIFIER,
    Town,
    details,
    form_of,
    post,
    request_of,
    sent_back,
)
from trust.evidence import statements


def test_the_page_says_what_is_signed(town: Town) -> None:
    statement = statements.review_statement(
        "example_plugin-1.0.0-py3-none-any.whl",
        DIGEST,
        decision="reject",
        report_sha256="1" * 64,
        previous_sha256=None,
        policy_sha256="2" * 64,
        comment="<script>alert(1)</script> \u202e no",
    )
    values = request_of(SIGNING, authorization_details=details(statement))
    page = town.browser.get("/auth", query_string=values)
    assert "Reject this wheel" in page.text
    assert DIGEST in page.text
    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "\\u202e" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {REGISTRY}"
    )
    assert page.headers["Cache-Control"] == "no-store"
    cookie = page.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": ""},
        {"redirect_uri": f"{REGISTRY}/signin/callback/"},
        {"redirect_uri": "https://evil.example/signin/callback"},
        {"redirect_uri": f"{REGISTRY}/signin/callback?x=1"},
        {"redirect_uri": f"{REGISTRY}@evil.example/signin/callback"},
        {"redirect_uri": SIGNING.redirect_uri},
        {"redirect_uri": ""},
    ],
)
def test_an_unknown_client_or_address_is_never_redirected_to(
    town: Town, changes: dict[str, str]
) -> None:
    reply = town.browser.get("/auth", query_string=request_of(**changes))
    assert reply.status_code == 400
    assert "Location" not in reply.headers
    assert "<form" not in reply.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
        ({"state": ""}, "invalid_request"),
        ({"state": "s" * 513}, "invalid_request"),
        ({"nonce": "line\nbreak"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"resource": "sigstore"}, "invalid_target"),
        ({"resource": "sigstore", "authorization_details": details()}, "invalid_target"),
    ],
)
def test_a_wrong_sign_in_request(town: Town, changes: dict[str, str], error: str) -> None:
    reply = town.browser.get("/auth", query_string=request_of(**changes))
    assert reply.status_code == 303
    back = sent_back(reply)
    assert back["error"] == error
    assert "code" not in back


UNKNOWN = statements.review_statement(
    "a.whl",
    DIGEST,
    decision="approve",
    report_sha256=DIGEST,
    previous_sha256=None,
    policy_sha256=DIGEST,
).replace(b"sealgate.dev/attestation/review", b"example.com/attestation/review")
SCAN = statements.scan_statement(
    "a.whl", DIGEST, result="PASSED", policy_sha256=DIGEST, report_sha256=DIGEST
)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"resource": ""}, "invalid_target"),
        ({"resource": "registry"}, "invalid_target"),
        ({"nonce": ""}, "invalid_request"),
        ({"authorization_details": ""}, "invalid_authorization_details"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": "{}"}, "invalid_authorization_details"),
        ({"authorization_details": details(type="x")}, "invalid_authorization_details"),
        ({"authorization_details": details(more=1)}, "invalid_authorization_details"),
        ({"authorization_details": details(statement="!")}, "invalid_authorization_details"),
        ({"authorization_details": details(statement=1)}, "invalid_authorization_details"),
        ({"authorization_details": details(b"{}")}, "invalid_authorization_details"),
        ({"authorization_details": details(SCAN)}, "invalid_authorization_details"),
        ({"authorization_details": details(UNKNOWN)}, "invalid_authorization_details"),
        (
            {"authorization_details": details(STATEMENT[:-1] + b',"predicateType":"x"}')},
            "invalid_authorization_details",
        ),
        (
            {"authorization_details": details(STATEMENT[:-1] + b',"more":1}')},
            "invalid_authorization_details",
        ),
        ({"authorization_details": "x" * 50_000}, "invalid_authorization_details"),
    ],
)
def test_a_wrong_signing_request(town: Town, changes: dict[str, str], error: str) -> None:
    reply = town.browser.get("/auth", query_string=request_of(SIGNING, **changes))
    assert sent_back(reply)["error"] == error


def test_parameters_that_stand_twice_are_refused(town: Town) -> None:
    query = [*request_of().items(), ("redirect_uri", "https://evil.example/")]
    assert town.browser.get("/auth", query_string=query).status_code == 400  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": REGISTRY},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_a_form_from_elsewhere_is_refused(town: Town, headers: dict[str, str]) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    assert post(town.browser, form, headers=headers).status_code == 400


Tamper = Callable[[dict[str, str]], dict[str, str]]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda form: form | {"form_mac": ""},
        lambda form: form | {"form_mac": "0" * 64},
        lambda form: form | {"state": "another"},
        lambda form: form | {"code_challenge": challenge_of("w" * 64)},
        lambda form: form | {"scope": "openid"},
    ],
)
def test_a_form_that_was_changed_is_refused(town: Town, tamper: Tamper) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    assert post(town.browser, tamper(form)).status_code == 400


def test_a_form_of_another_browser_is_refused(town: Town) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    other = town.client()
    assert post(other, form).status_code == 400
    form_of(other.get("/auth", query_string=request_of()))
    assert post(other, form).status_code == 400
    assert post(town.browser, form).status_code == 303


def test_cancelling_sends_back_without_a_code(town: Town) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    back = sent_back(post(town.browser, form | {"decision": "cancel"}))
    assert back["error"] == "access_denied"
    assert "code" not in back


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (ALICE, "a bad guess"),
        ("nobody@example.com", PASSWORD),
        (ROBOT, PASSWORD),
        ("", ""),
        (f"{ALICE}\0", PASSWORD),
    ],
)
def test_wrong_credentials_show_the_form_again(town: Town, name: str, password: str) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    reply = post(town.browser, form, name, password)
    assert reply.status_code == 401
    assert "The account or its password is wrong" in reply.text
    assert password not in reply.text or not password


def test_guessing_is_throttled_on_the_page(town: Town) -> None:
    form = form_of(town.browser.get("/auth", query_string=request_of()))
    statuses = [post(town.browser, form, password=f"guess {n}").status_code for n in range(7)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429
    reply = post(town.browser, form)
    assert reply.status_code == 429
    assert int(reply.headers["Retry-After"]) >= 1
    town.offset += timedelta(minutes=2)
    assert post(town.browser, form).status_code == 303
