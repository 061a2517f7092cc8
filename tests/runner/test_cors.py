"""Calls from pages of other origins: the listed ones only, at the addresses of calls only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from runner.answers import INVOCATIONS
from runner.policy_file import PolicyInvalid, parse_policy
from tests.runner.kit import NAME, Calls, Site

PAGE = "https://registry.test"
OTHERS = (
    "https://other.test",
    "https://registry.test.other.test",
    "https://registry.test:444",
    "http://registry.test",
    "HTTPS://registry.test",
    "https://registry.test/",
    f"{PAGE}, {PAGE}",
    "null",
    "*",
    "",
)
BODY = {"plugin": NAME, "version": "1.0.0", "method": "greet", "arguments": {"name": "Ada"}}
ONE = f"{INVOCATIONS}/1c1d628d-dc7f-40c9-a87d-4cb5b966c46f"


@pytest.fixture
def calls(site: Site) -> Iterator[Calls]:
    site.policy["browser_origins"] = [PAGE]
    site.release()
    with site.runner() as open_calls:
        yield open_calls


def told(response: Any) -> dict[str, str]:
    """Return what a browser would obey."""
    return {
        name: value
        for name, value in response.headers.items()
        if name.startswith("Access-Control-") or name == "Vary"
    }


def ask(calls: Calls, method: str, path: str, origin: str, **headers: str) -> Any:
    with calls.service.app.test_client() as client:
        return client.open(path, method=method, headers={"Origin": origin, **headers})


def preflight(calls: Calls, path: str, origin: str, method: str) -> Any:
    asked = {"Access-Control-Request-Method": method}
    return ask(calls, "OPTIONS", path, origin, **asked)


def test_a_listed_page_may_call_and_read(calls: Calls) -> None:
    found = preflight(calls, INVOCATIONS, PAGE, "POST")
    assert found.status_code == 204
    assert told(found) == {
        "Access-Control-Allow-Origin": PAGE,
        "Vary": "Origin",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Max-Age": "60",
    }
    # A plain call, which would have gone the short way, and one with a key.
    for headers in ({}, {"Idempotency-Key": "0123456789abcdef"}):
        reply = calls.post(BODY, headers={"Origin": PAGE} | headers)
        assert reply.get_json()["status"] == "ok"
        assert told(reply) == {"Access-Control-Allow-Origin": PAGE, "Vary": "Origin"}
    for refused in (calls.post(BODY, token="none", headers={"Origin": PAGE}),
                    ask(calls, "GET", ONE, PAGE)):  # fmt: skip
        assert refused.status_code == 401
        assert told(refused) == {"Access-Control-Allow-Origin": PAGE, "Vary": "Origin"}
    assert told(preflight(calls, ONE, PAGE, "GET"))["Access-Control-Allow-Methods"] == "GET"


@pytest.mark.parametrize("origin", OTHERS)
def test_a_page_that_is_not_listed_is_told_nothing(calls: Calls, origin: str) -> None:
    assert told(preflight(calls, INVOCATIONS, origin, "POST")) == {}
    assert told(preflight(calls, ONE, origin, "GET")) == {}
    assert told(calls.post(BODY, headers={"Origin": origin})) == {}
    assert told(ask(calls, "GET", ONE, origin)) == {}


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (ONE, "DELETE"),
        (f"{ONE}/output", "GET"),
        (INVOCATIONS, "DELETE"),
        (f"{INVOCATIONS}/", "POST"),
        ("/v1/audit/checkpoint", "GET"),
        ("/v1/audit/entries/0", "GET"),
        ("/metrics", "GET"),
        ("/healthz", "GET"),
        ("/openapi.json", "GET"),
    ],
)
def test_a_listed_page_may_do_nothing_else(calls: Calls, path: str, method: str) -> None:
    assert "Access-Control-Allow-Methods" not in told(preflight(calls, path, PAGE, method))
    assert told(ask(calls, method, path, PAGE)) == {}


def test_a_call_without_an_origin_is_as_before(calls: Calls) -> None:
    reply = calls.post(BODY)
    assert reply.get_json()["status"] == "ok"
    assert told(reply) == {}


def test_without_the_member_no_page_may_call(site: Site) -> None:
    with site.runner() as calls:
        assert told(preflight(calls, INVOCATIONS, PAGE, "POST")) == {}


def test_a_change_of_the_policy_counts_at_once(site: Site, calls: Calls) -> None:
    path: Path = site.keys / "runner_policy.json"
    for origins in ([], ["https://new.test"]):
        path.write_text(json.dumps(site.policy | {"browser_origins": origins}))
        assert calls.service.live_policy.look().problems == ()
        assert told(calls.post(BODY, headers={"Origin": PAGE})) == {}
    assert told(calls.post(BODY, headers={"Origin": "https://new.test"}))


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "https://*.test", "https://a.test/", "https://a.test/x", "https://A.test",
     "http://a.test", "ftp://a.test", "https://u@a.test", "a.test", ""],
)  # fmt: skip
def test_the_policy_names_exact_origins(site: Site, origin: str) -> None:
    document = deepcopy(site.policy) | {"browser_origins": [origin]}
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(json.dumps(document).encode())
    assert caught.value.problems[0].where == "/browser_origins/0"


def test_loopback_pages_may_be_plain_http(site: Site) -> None:
    origins = ["http://127.0.0.1:8001", "http://localhost", "http://[::1]:8001", "https://a.test:1"]
    document = deepcopy(site.policy) | {"browser_origins": origins}
    assert parse_policy(json.dumps(document).encode()).browser_origins == frozenset(origins)
