"""The client of pages that call plugins: tokens for runners, good for nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from authority.clients import RESERVED, Client
from authority.errors import RequestRefused, Unauthenticated
from tests.authority.test_codes import certificate, found_token
from tests.authority.town import (
    ALICE,
    BASE,
    CALLING,
    REGISTRY,
    SIGN_IN,
    SIGNING,
    Town,
    claims,
    details,
    request_of,
    sent_back,
)


def ask(town: Town, client: Client, **changes: str) -> TestResponse:
    return town.browser.get("/auth", query_string=request_of(client, **changes))


def test_its_tokens_are_for_runners_and_live_ten_minutes(town: Town) -> None:
    page = ask(town, CALLING)
    assert "Sign in to call plugins" in page.text
    reply = town.redeem(town.code(request_of(CALLING)), CALLING)
    found = claims(reply)
    assert (found["iss"], found["aud"], found["sub"]) == (BASE, "sealgate-runner", ALICE)
    assert (found["azp"], found["nonce"]) == ("runner-pages", "the-nonce")
    assert found["exp"] - found["iat"] == 600
    assert (reply.json or {})["expires_in"] == 600
    assert not [name for name in found if "statement" in name]


def test_its_tokens_get_no_certificate(town: Town) -> None:
    """The certificate authority is the only place where a token becomes a signature."""
    token = found_token(town, request_of(CALLING), CALLING)
    assert certificate(town, token).status_code == 401
    with pytest.raises(Unauthenticated):
        town.authority.tokens.read(token)


@pytest.mark.parametrize(
    ("client", "changes", "error"),
    [
        (CALLING, {"resource": "sigstore"}, "invalid_target"),
        (CALLING, {"resource": ""}, "invalid_target"),
        (CALLING, {"resource": "registry"}, "invalid_target"),
        (CALLING, {"nonce": ""}, "invalid_request"),
        (CALLING, {"authorization_details": details()}, "invalid_authorization_details"),
        (SIGNING, {"resource": "sealgate-runner"}, "invalid_target"),
        (SIGN_IN, {"resource": "sealgate-runner"}, "invalid_target"),
    ],
)
def test_no_client_gets_another_kind_of_token(
    town: Town, client: Client, changes: dict[str, str], error: str
) -> None:
    answer = ask(town, client, **changes)
    assert answer.status_code == 303
    assert sent_back(answer)["error"] == error


def test_its_pages_may_redeem_and_its_codes_are_its_own(town: Town) -> None:
    code = town.code(request_of(CALLING))
    assert town.redeem(code, SIGNING).status_code == 400
    town.offset += timedelta(seconds=1)
    reply = town.client().options("/token", headers={"Origin": REGISTRY})
    assert reply.headers["Access-Control-Allow-Origin"] == REGISTRY
    assert "Access-Control-Allow-Credentials" not in reply.headers


@pytest.mark.parametrize("name", RESERVED)
def test_no_sign_in_client_is_called_as_an_audience(name: str) -> None:
    with pytest.raises(RequestRefused):
        Client(name, "sign-in", f"{REGISTRY}/signin/callback", "X")
