"""API tokens: made, shown once, held to their scope, plugins and time, revoked."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from registry.accounts import secrets, tokens
from registry.accounts.tokens import Scope
from registry.pypi import attestations
from tests.registry.accounts.people import ADMIN, AUTHOR, OTHER, OWN, Town
from tests.registry.pypi.tools import form
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_wheel

FORM = {"name": "laptop", "scope": ["read", "submit"], "plugins": "", "days": "30"}
TOKEN = re.compile(r"sealgate_[A-Za-z0-9_-]{49}")


@pytest.fixture
def town(trust: TrustFixture, tmp_path: Path) -> Iterator[Town]:
    made = Town(trust, tmp_path)
    yield made
    made.registry.services.close()


def make(town: Town, who: str | None = AUTHOR, **changes: Any) -> TestResponse:
    return town.client(who).post("/account/tokens", data=FORM | changes, headers=OWN)


def shown(page: TestResponse) -> str:
    assert page.status_code == 200, page.text
    found = TOKEN.search(unescape(page.text))
    assert found
    return found[0]


def account(town: Town, token: str) -> TestResponse:
    return town.client().get("/api/v1/account", headers={"Authorization": f"Bearer {token}"})


def upload(town: Town, token: str, name: str = "example-plugin", by: str = AUTHOR) -> TestResponse:
    """Upload as `uv publish` does, with the token as the password."""
    filename, wheel = make_wheel(name=name)
    attestation = attestations.from_bundle(town.registry.trust.submit(filename, wheel, by=by))
    basic = base64.b64encode(f"__token__:{token}".encode()).decode()
    return town.registry.client.post(
        "/legacy/",
        data=form(filename, wheel, attestation),
        headers={"Accept": "application/json", "Authorization": f"Basic {basic}"},
        content_type="multipart/form-data",
    )


def code(reply: TestResponse) -> str:
    found: str = (reply.get_json() or {})["problems"][0]["code"]
    return found


def test_a_token_is_shown_once_and_kept_as_a_digest(town: Town, tmp_path: Path) -> None:
    page = make(town)
    token = shown(page)
    assert page.headers["Cache-Control"] == "no-store"
    assert secrets.is_token(token)
    assert TOKEN.search(town.client(AUTHOR).get("/account/tokens").text) is None
    town.registry.services.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("registry.db*"))
    assert token.encode() not in stored
    assert token[9:52].encode() not in stored
    assert secrets.digest(token).encode() in stored


def test_a_token_says_who_and_what(town: Town) -> None:
    token = shown(make(town, plugins="Example.Plugin"))
    found = account(town, token).get_json()
    assert (found["subject"], found["roles"]) == (AUTHOR, [])
    assert found["token"] == {
        "name": "laptop",
        "scopes": ["read", "submit"],
        "plugins": ["example-plugin"],
    }
    (row,) = tokens.listed(town.registry.services, town.identity(AUTHOR))
    assert row.last_used_at is not None
    assert "<time" in town.client(AUTHOR).get("/account/tokens").text


def test_a_token_without_the_scope_is_refused(town: Town) -> None:
    token = shown(make(town, scope=["comment"]))
    assert (account(town, token).status_code, code(account(town, token))) == (403, "accounts.scope")
    reply = upload(town, token)
    assert (reply.status_code, code(reply)) == (403, "accounts.scope")
    # Nor does a session beside it help.
    beside = town.client(AUTHOR).get(
        "/api/v1/account", headers={"Authorization": f"Bearer {token}"}
    )
    assert beside.status_code == 403


def test_a_token_uploads_its_plugins_only(town: Town) -> None:
    token = shown(make(town, scope=["submit"], plugins="example-plugin third-plugin"))
    reply = upload(town, token, "other-plugin")
    assert (reply.status_code, code(reply)) == (403, "accounts.token-plugin")
    assert town.registry.client.get("/api/v1/plugins/other-plugin").status_code == 404
    assert upload(town, token).status_code == 200


def test_a_token_submits_its_plugins_only_by_the_name_in_the_wheel(town: Town) -> None:
    token = town.token(AUTHOR, ["submit"], ["example-plugin"])
    bearer = {"Authorization": f"Bearer {token}"}

    def submit(name: str, address: str, headers: dict[str, str], called: str = "") -> TestResponse:
        filename, wheel = make_wheel(name=name)
        bundle = town.registry.trust.submit(filename, wheel)
        files = {
            "wheel": (io.BytesIO(wheel), called or filename),
            "bundle": (io.BytesIO(bundle), "bundle.json"),
        }
        return town.client().post(address, data=files, headers=bearer | headers)

    api = "/api/v1/submissions"
    refused = submit("other-plugin", api, {})
    assert (refused.status_code, code(refused)) == (403, "accounts.token-plugin")
    assert refused.get_json()["problems"][0]["value"] == "other-plugin"
    page = submit("other-plugin", "/submit", OWN)
    assert (page.status_code, "accounts.token-plugin" in page.text) == (403, True)
    # The file's name is a claim like another: what METADATA says counts.
    claimed = submit("other-plugin", api, {}, make_wheel(name="example-plugin")[0])
    assert claimed.status_code == 422
    for name in ("other-plugin", "example-plugin"):
        assert town.registry.client.get(f"/api/v1/plugins/{name}").status_code == 404
    assert submit("example-plugin", api, {}).status_code == 201
    assert submit("example-plugin", "/submit", OWN).status_code == 303


def test_a_token_writes_comments(town: Town) -> None:
    town.registry.submit(*make_wheel())
    town.registry.worker.run_once()
    address = "/review/example-plugin/1.0.0/comments"

    def comment(scope: str, plugin: str) -> TestResponse:
        token = town.token(OTHER, [scope], [plugin])
        fields = {"path": "example_plugin/__init__.py", "line": "1", "text": f"by {scope}"}
        return town.client().post(
            address, data=fields, headers={"Authorization": f"Bearer {token}"}
        )

    assert comment("read", "example-plugin").status_code == 403
    assert comment("comment", "other-plugin").status_code == 403
    assert comment("comment", "example-plugin").status_code == 303
    page = town.client().get(
        "/review/example-plugin/1.0.0/files?path=example_plugin/__init__.py&show=source"
    )
    assert "by comment" in page.text
    assert OTHER in page.text
    # A session writes from our own pages only.
    fields = {"path": "example_plugin/__init__.py", "line": "1", "text": "x"}
    assert town.client(OTHER).post(address, data=fields).status_code == 403


def test_a_token_does_not_stand_in_for_the_attestation(town: Town) -> None:
    """Whose wheel it is, the attestation says: a token of the owner changes nothing of it."""
    assert upload(town, shown(make(town))).status_code == 200
    token = shown(make(town, AUTHOR))
    filename, wheel = make_wheel(version="2.0.0")
    unsigned = town.registry.client.post(
        "/legacy/",
        data=form(filename, wheel),
        headers={"Accept": "application/json", "Authorization": f"Bearer {token}"},
        content_type="multipart/form-data",
    )
    assert (unsigned.status_code, code(unsigned)) == (400, "http.field")
    reply = upload(town, token, "example-plugin", by=OTHER)
    assert (reply.status_code, code(reply)) == (403, "registry.name-taken")


def test_an_expired_token_is_refused(town: Town) -> None:
    token = shown(make(town, days="1"))
    assert account(town, token).status_code == 200
    town.registry.now = lambda: datetime.now(UTC) + timedelta(days=1)
    assert (account(town, token).status_code, upload(town, token).status_code) == (401, 401)


def test_a_revoked_token_is_refused_at_once(town: Town) -> None:
    token = shown(make(town))
    (row,) = tokens.listed(town.registry.services, town.identity(AUTHOR))
    address = f"/account/tokens/{row.id}/revoke"
    # Somebody else cannot, and another site cannot.
    assert town.client(OTHER).post(address, headers=OWN).status_code == 404
    assert town.client(AUTHOR).post(address, headers={"Origin": "https://x"}).status_code == 403
    assert account(town, token).status_code == 200
    assert town.client(AUTHOR).post(address, headers=OWN).status_code == 303
    assert account(town, token).status_code == 401
    assert upload(town, token).status_code == 401
    assert tokens.listed(town.registry.services, None)[0].state == "revoked"


def test_an_admin_revokes_anybodys(town: Town) -> None:
    token = shown(make(town))
    page = town.client(ADMIN).get("/admin/tokens")
    assert AUTHOR in page.text
    assert token not in page.text
    assert town.client(ADMIN).post("/admin/tokens/1/revoke", headers=OWN).status_code == 303
    assert account(town, token).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"name": "line\nbreak"},
        {"name": "hidden \u202e"},
        {"scope": []},
        {"scope": ["submit", "admin"]},
        {"plugins": "../x"},
        {"plugins": " ".join(f"plugin-{n}" for n in range(51))},
        {"days": "0"},
        {"days": "366"},
        {"days": "1e3"},
        {"days": ""},
    ],
    ids=str,
)
def test_a_form_that_is_wrong_makes_nothing(town: Town, changes: dict[str, Any]) -> None:
    page = make(town, **changes)
    assert page.status_code == 400
    assert "No token was made" in page.text
    assert tokens.listed(town.registry.services, town.identity(AUTHOR)) == ()


def test_a_name_is_text(town: Town) -> None:
    name = "<script>alert(1)</script>\"'"
    page = make(town, name=name)
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in make(town, name=name, days="0").text


def test_tokens_cannot_be_made_with_a_token_or_from_elsewhere(town: Town) -> None:
    token = shown(make(town, scope=[str(scope) for scope in Scope]))
    headers = OWN | {"Authorization": f"Bearer {token}"}
    assert town.client().post("/account/tokens", data=FORM, headers=headers).status_code == 403
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        reply = town.client(AUTHOR).post("/account/tokens", data=FORM, headers=headers)
        assert reply.status_code == 403
    assert len(tokens.listed(town.registry.services, None)) == 1


def test_a_checksum_finds_what_was_mistyped() -> None:
    token = secrets.make()
    assert secrets.is_token(token)
    for place in range(len(token)):
        other = "a" if token[place] != "a" else "b"
        assert not secrets.is_token(token[:place] + other + token[place + 1 :])
    assert len({secrets.make() for _ in range(100)}) == 100


# -- sessions ----------------------------------------------------------------------------------


def test_signing_out_ends_a_session_for_good(town: Town) -> None:
    client = town.client(AUTHOR)
    cookie = client.get_cookie("sealgate_registry_session", domain="registry.test")
    assert cookie is not None
    assert client.post("/signout", headers=OWN).status_code == 303
    stolen = town.client()
    stolen.set_cookie(cookie.key, cookie.value, domain="registry.test")
    assert stolen.get("/account/tokens").status_code == 303


def test_signing_out_everywhere(town: Town) -> None:
    here, there, other = town.client(AUTHOR), town.client(AUTHOR), town.client(OTHER)
    page = here.get("/account/sessions")
    assert page.text.count("a test") == 2
    assert page.text.count("this one") == 1
    assert here.post("/account/sessions/end", headers=OWN).status_code == 303
    assert [c.get("/account/sessions").status_code for c in (here, there, other)] == [303, 303, 200]


def test_nobody_is_sent_to_sign_in_and_back(town: Town) -> None:
    reply = town.client().get("/account/tokens?x=1")
    assert (reply.status_code, reply.location) == (303, "/signin?next=/account/tokens?x%3D1")
    reply = town.client().get("/api/v1/account")
    assert (reply.status_code, code(reply)) == (401, "accounts.sign-in")


# -- rates -------------------------------------------------------------------------------------


def test_rates_are_bounded_by_client(trust: TrustFixture, tmp_path: Path) -> None:
    town = Town(trust, tmp_path, uploads_per_minute=3, sign_ins_per_minute=2)
    now = datetime.now(UTC)
    town.registry.now = lambda: now
    token = town.token(AUTHOR, ["submit"])
    assert [upload(town, token).status_code for _ in range(4)] == [200, 200, 200, 429]
    # Another token, and nobody, are other clients.
    assert upload(town, town.token(AUTHOR, ["submit"])).status_code == 200
    plain = [town.client().post("/legacy/").status_code for _ in range(4)]
    assert plain == [415, 415, 415, 429]
    held = upload(town, token)
    assert code(held) == "accounts.rate"
    assert 1 <= int(held.headers["Retry-After"]) <= 20
    town.registry.now = lambda: now + timedelta(seconds=20)
    assert [upload(town, token).status_code for _ in range(2)] == [200, 429]
    assert [make(town).status_code for _ in range(3)] == [200, 200, 429]
    statuses = [town.client().get("/signin/callback").status_code for _ in range(3)]
    assert statuses == [403, 403, 429]
    # Reading is not counted.
    assert {town.client().get("/api/v1/plugins").status_code for _ in range(9)} == {200}
    town.registry.services.close()
