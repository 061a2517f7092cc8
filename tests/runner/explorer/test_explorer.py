"""The audit explorer: who may look, what is found, and that the page checks its own proofs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, Route, expect

from runner.explorer import search
from runner.explorer.sessions import LIFETIME_SECONDS, MAX_SESSIONS, Sessions
from runner.setup import make_caller_token
from tests.registry.web import browser
from tests.runner.kit import NAME, Calls, Site
from tests.support import servers
from trust.log import MerkleLog, NoteSigner

MARKUP = """<script>window.pwned=1</script><img src=x onerror="window.pwned=1">"""
OWN = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
BODY = {"plugin": NAME, "version": "1.0.0", "method": "greet", "arguments": {"name": "Ada"}}


@pytest.fixture
def calls(site: Site) -> Iterator[Calls]:
    """A runner whose caller `demo` may read the log; it has answered a good and a bad call."""
    site.policy["callers"][0]["audit"] = True
    with site.runner() as made:
        made.post(BODY)
        made.post({**BODY, "plugin": MARKUP, "method": MARKUP})
        yield made


def client_of(calls: Calls) -> FlaskClient:
    return calls.service.app.test_client()


def signed_in(calls: Calls) -> FlaskClient:
    client = client_of(calls)
    reply = client.post("/audit/session", data={"token": calls.site.token.token}, headers=OWN)
    assert (reply.status_code, reply.location) == (303, "/audit")
    return client


@pytest.mark.parametrize("address", ["/audit", "/audit/0", "/audit?plugin=example-plugin"])
def test_without_a_session_nothing_is_shown(calls: Calls, address: str) -> None:
    reply = client_of(calls).get(address)
    assert reply.status_code == 401
    assert "wheel" not in reply.text
    assert NAME not in reply.text.replace(address, "")
    bearer = {"Authorization": f"Bearer {calls.site.token.token}"}
    assert client_of(calls).get(address, headers=bearer).status_code == 401


def test_a_token_that_the_policy_does_not_let_read_is_refused_and_the_attempt_recorded(
    site: Site,
) -> None:
    site.policy["callers"][0]["audit"] = False
    with site.runner() as calls:
        client = client_of(calls)
        reply = client.post("/audit/session", data={"token": site.token.token}, headers=OWN)
        assert reply.status_code == 403
        assert "caller.no-audit" in reply.text
        assert "Set-Cookie" not in reply.headers
        reply = client.post("/audit/session", data={"token": "wrong"}, headers=OWN)
        assert reply.status_code == 401
        assert "Set-Cookie" not in reply.headers
        assert "wrong" not in reply.text
        calls.post(BODY)
    assert "unauthenticated" in {record["type"] for record in site.records()}


def test_a_session_ends_with_the_policy_that_allowed_it(site: Site) -> None:
    other = make_caller_token()
    site.policy["callers"][0]["audit"] = True
    with site.runner() as calls:
        client = signed_in(calls)
        assert client.get("/audit").status_code == 200
        site.policy["callers"][0]["token_sha256"] = other.sha256
        _ = site.settings  # writes the policy
        calls.service.live_policy.look()
        assert client.get("/audit").status_code == 401


def test_the_cookie_is_no_token_and_kept_from_scripts_and_other_sites(calls: Calls) -> None:
    client = client_of(calls)
    token = calls.site.token.token
    reply = client.post("/audit/session", data={"token": token}, headers=OWN)
    cookie = reply.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/audit" in cookie
    assert token not in cookie
    assert client.post("/audit/session/end", headers=OWN).status_code == 303
    assert client.get("/audit").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}],
)
def test_a_form_of_another_site_begins_no_session(calls: Calls, headers: dict[str, str]) -> None:
    data = {"token": calls.site.token.token}
    reply = client_of(calls).post("/audit/session", data=data, headers=headers)
    assert reply.status_code == 403
    assert "Set-Cookie" not in reply.headers


def test_sessions_end_and_are_bounded() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.begin("t")
    assert sessions.token(first) == "t"
    now[0] = LIFETIME_SECONDS
    assert sessions.token(first) == ""
    names = [sessions.begin("t") for _ in range(MAX_SESSIONS + 1)]
    assert [sessions.token(n) for n in (names[0], names[-1])] == ["", "t"]


def test_every_page_is_protected(calls: Calls) -> None:
    client = signed_in(calls)
    for address in ("/audit", "/audit/0", "/audit/999", "/audit?since=nonsense"):
        reply = client.get(address)
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "trusted-types 'none'" in policy
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers["Cache-Control"] == "no-store"
        assert "<style" not in reply.text
        tags = re.findall(r"<[a-z][^>]*>", reply.text)
        assert not any(re.search(r"\s(on\w+|style)=", tag) for tag in tags)
        scripts = [tag for tag in tags if tag.startswith("<script")]
        assert all('src="/audit/static/' in tag for tag in scripts)
    assert client.get("/audit/999").status_code == 404
    assert client.get("/audit?since=nonsense").status_code == 400
    assert client.get("/audit/static/0000000000000000/verify.js").status_code == 404


def test_what_callers_sent_is_shown_as_text(calls: Calls) -> None:
    client = signed_in(calls)
    index = max(i for i, r in enumerate(calls.site.records()) if MARKUP in str(r["plugin"]))
    for address in ("/audit", f"/audit/{index}", "/audit?plugin=" + MARKUP.replace("&", "")):
        text = client.get(address).text
        assert "<script>window" not in text
        assert "&lt;script&gt;window.pwned=1" in text


def test_filters_find_what_they_say(calls: Calls) -> None:
    client = signed_in(calls)
    records = calls.site.records()
    ids = {r["request_id"] for r in records if r["plugin"] == NAME}
    (known,) = ids

    def rows(query: str) -> int:
        return client.get(f"/audit?{query}").text.count('<th scope="row">')

    everything = len(records)
    assert rows("") == everything
    assert rows(f"request_id={known}") == 2
    assert rows(f"plugin={NAME}") == 2
    assert rows("status=admitted") == 1
    assert rows("status=ok") == 1
    assert rows("caller=demo&status=refused") == 1
    assert rows("caller=nobody") == 0
    assert rows("since=2000-01-01T00:00") == everything
    assert rows("until=2000-01-01T00:00") == 0
    assert rows("since=2999-01-01T00:00") == 0


def test_a_question_costs_no_more_than_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.sqlite"
    log = MerkleLog(path, NoteSigner.generate("test"))
    log.append_many(
        b'{"caller":"%s","time":"2026-01-01T00:00:00.000000Z"}' % (b"ann" if i < 3 else b"bob")
        for i in range(200)
    )
    log.close()
    monkeypatch.setattr(search, "MAX_READ", 50)
    found = search.find(path, search.Question(caller="ann"))
    assert (found.hits, found.older, found.read, found.size) == ((), 150, 50, 200)
    seen: list[int] = []
    before = None
    for _ in range(10):
        found = search.find(path, search.Question(caller="ann"), before)
        seen += [hit.index for hit in found.hits]
        before = found.older
        if before is None:
            break
    assert seen == [2, 1, 0]
    page = search.find(path, search.Question())
    assert [hit.index for hit in page.hits] == list(range(199, 174, -1))
    assert page.older == 175


@pytest.fixture
def opened(calls: Calls) -> Iterator[str]:
    with servers.application(calls.service.app) as address:
        yield address


def enter(page: Page, base: str, token: str) -> None:
    page.goto(f"{base}/audit")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Open the log").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Records")


def altered(page: Page, pattern: str, change: Any) -> None:
    """Let the runner lie: change the pages of records on their way."""

    def handle(route: Route) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, body=change(reply.text()))

    page.unroute_all()
    page.route(pattern, handle)


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_checks_its_own_proof(calls: Calls, opened: str) -> None:
    for _ in range(4):
        calls.post(BODY)
    index = len(calls.site.records()) - 3
    with browser.chromium() as chromium, chromium.new_context() as context:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        enter(page, opened, calls.site.token.token)
        page.get_by_role("link", name=f"{index} (record)").click()
        checks = page.locator("#checks")
        expect(checks).to_contain_text("The checkpoint is signed by")
        expect(checks).to_contain_text("Put in your pinned one")
        expect(checks.locator(".good")).to_have_count(3)
        page.get_by_label("The log's key").fill(calls.site.vkey + " ")
        page.get_by_role("button", name="Check again").click()
        expect(checks.locator("li")).to_have_count(3)
        other = NoteSigner.generate(calls.site.vkey.split("+")[0]).verifier.vkey
        page.get_by_label("The log's key").fill(other)
        page.get_by_role("button", name="Check again").click()
        expect(checks.locator(".bad")).to_contain_text("not signed once by")

        address = f"{opened}/audit/{index}"
        for change in (
            lambda html: html.replace("&#34;ok&#34;", "&#34;no&#34;").replace("admitted", "refuse"),
            lambda html: re.sub(r'(id="siblings"><li>)..', r"\1AA", html),
            lambda html: re.sub(r'data-index="\d+"', 'data-index="0"', html),
            lambda html: re.sub(r"(— \S+ .{8})...", r"\1AAA", html),
            lambda html: html.replace('id="siblings"><li>', 'id="siblings"><li>AAAA</li><li>'),
        ):
            altered(page, f"**/audit/{index}", change)
            page.goto(address)
            expect(checks.locator(".bad")).to_contain_text("Not proved")
        assert errors == []


@pytest.mark.browser
@pytest.mark.slow
def test_axe_phone_and_hostile_text(calls: Calls, opened: str) -> None:
    hostile = max(i for i, r in enumerate(calls.site.records()) if MARKUP in str(r["plugin"]))
    found: list[str] = []
    with browser.chromium() as chromium:
        for scheme, width in (("light", 1280), ("dark", 360)):
            with chromium.new_context(
                bypass_csp=True,
                color_scheme=scheme,  # type: ignore[arg-type]
                viewport={"width": width, "height": 800},
            ) as context:
                page = context.new_page()
                page.goto(f"{opened}/audit")
                found += browser.violations(page)
                enter(page, opened, calls.site.token.token)
                for address in ("/audit", "/audit?caller=nobody", f"/audit/{hostile}", "/audit/99"):
                    page.goto(opened + address)
                    page.evaluate("document.querySelectorAll('details').forEach(d => d.open=true)")
                    found += [f"{address} {line}" for line in browser.violations(page)]
                    assert page.evaluate("document.documentElement.scrollWidth") <= width, address
                    assert page.evaluate("window.pwned") is None
    assert found == [], "\n".join(found)
