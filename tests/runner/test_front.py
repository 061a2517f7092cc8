"""The short way answers as the application behind it does, and takes plain calls only."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from runner.answers import CODES
from runner.front import _STATUS_LINES, Front
from runner.service import Runner
from tests.runner.kit import MEMBERS, NAME, Calls, Site, executed
from trust.errors import problem

PATH = "/v1/invocations"
CALL = {"plugin": NAME, "version": "1.0.0", "method": "greet", "arguments": {"name": "Ada"}}


@dataclass
class Answer:
    status: str
    headers: dict[str, str]
    body: dict[str, Any]

    def shape(self) -> Any:
        """What must be the same whichever way a request goes; ids, times and proofs differ."""
        error = self.body["error"] or {}
        codes = [each["code"] for each in error.get("problems", ())]
        headers = {k: v for k, v in self.headers.items() if k not in ("Content-Length", "Date")}
        parts = (self.body["status"], self.body["result"], codes, error.get("message"))
        return self.status, headers, set(self.body), parts


def front(calls: Calls) -> Front:
    found = calls.service.app.wsgi_app
    assert isinstance(found, Front)
    return found


def environ(calls: Calls, body: bytes, **changes: Any) -> dict[str, Any]:
    made = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_AUTHORIZATION": f"Bearer {calls.site.token.token}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    } | changes
    return {name: value for name, value in made.items() if value is not None}


def send(application: Any, environ: dict[str, Any]) -> Answer:
    said: list[Any] = []
    body = b"".join(
        application(environ, lambda status, headers, _=None: said.append((status, headers)))
    )
    ((status, headers),) = said
    assert int(dict(headers)["Content-Length"]) == len(body)
    return Answer(status, dict(headers), json.loads(body))


def encoded(**changes: Any) -> bytes:
    return json.dumps(CALL | changes).encode()


PLAIN: dict[str, tuple[bytes, int]] = {
    "ok": (encoded(), 200),
    "refused": (encoded(plugin="somebody-elses"), 403),
    "undeclared": (encoded(method="missing"), 403),
    "arguments": (encoded(arguments={"name": 7}), 422),
}
OTHERS: dict[str, tuple[bytes, dict[str, Any], int]] = {
    "no token": (encoded(), {"HTTP_AUTHORIZATION": None}, 401),
    "another token": (encoded(), {"HTTP_AUTHORIZATION": "Bearer nobodys"}, 401),
    "another scheme": (encoded(), {"HTTP_AUTHORIZATION": "Basic eDp5"}, 401),
    "not JSON": (b"{", {}, 400),
    "not the schema": (b"{}", {}, 400),
    "a name twice": (b'{"plugin": "a", "plugin": "b"}', {}, 400),
    "another type": (encoded(), {"CONTENT_TYPE": "text/plain"}, 415),
    "no length": (encoded(), {"CONTENT_LENGTH": ""}, 400),
    "too large": (b" " * ((1 << 20) + 1), {}, 413),
    "a charset": (encoded(), {"CONTENT_TYPE": "application/json; charset=utf-8"}, 200),
}


def both(calls: Calls, make: Callable[[], dict[str, Any]]) -> tuple[Answer, Answer]:
    return send(front(calls), make()), send(front(calls)._behind, make())


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_call_is_answered_as_by_the_application(calls: Calls, name: str) -> None:
    body, code = PLAIN[name]
    short, behind = both(calls, lambda: environ(calls, body))
    assert short.shape() == behind.shape()
    assert short.status.startswith(f"{code} ")
    assert set(short.body) == MEMBERS


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else_goes_to_the_application(calls: Calls, name: str) -> None:
    body, changes, code = OTHERS[name]
    short, behind = both(calls, lambda: environ(calls, body, **changes))
    assert short.shape() == behind.shape()
    assert short.status.startswith(f"{code} ")


def test_a_plain_call_does_not_pass_the_framework(calls: Calls) -> None:
    def nobody(*_: Any) -> Any:
        raise AssertionError("it went to the application")

    front(calls)._behind = nobody
    for body, _ in PLAIN.values():
        send(front(calls), environ(calls, body))
    for changed in ("HTTP_IDEMPOTENCY_KEY", "HTTP_PREFER", "HTTP_EXPECT"):
        with pytest.raises(AssertionError, match="application"):
            send(front(calls), environ(calls, encoded(), **{changed: "x"}))


def test_each_request_is_one_call_and_recorded(calls: Calls) -> None:
    for body, _ in PLAIN.values():
        send(front(calls), environ(calls, body))
    for body, changes, code in OTHERS.values():
        if code in (400, 413, 415):
            send(front(calls), environ(calls, body, **changes))
    decisions = [r for r in calls.site.records() if r["type"] == "decision"]
    assert len(decisions) == len(PLAIN) + 6


def test_a_sandbox_that_is_not_there(calls: Calls) -> None:
    calls.site.sandbox.behave = lambda job: executed(job, status="unavailable", result=None)
    short, behind = both(calls, lambda: environ(calls, encoded()))
    assert short.shape() == behind.shape()
    assert short.status == "503 SERVICE UNAVAILABLE"
    assert short.headers["Retry-After"] == "5"


def test_a_call_over_the_quota(site: Site) -> None:
    site.policy["callers"][0]["calls_per_minute"] = 1
    with site.runner() as calls:
        assert send(front(calls), environ(calls, encoded())).status == "200 OK"
        short, behind = both(calls, lambda: environ(calls, encoded()))
        assert short.status.startswith("429 ")
        assert short.shape() == behind.shape()


def test_a_fault_keeps_the_shape(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(problem("x", "no"))

    monkeypatch.setattr(Runner, "invoke", broken)
    short, behind = both(calls, lambda: environ(calls, encoded()))
    assert short.shape() == behind.shape()
    assert short.status == "503 SERVICE UNAVAILABLE"
    assert set(short.body) == MEMBERS


def test_every_code_has_a_status_line() -> None:
    assert set(_STATUS_LINES) == set(CODES.values())
