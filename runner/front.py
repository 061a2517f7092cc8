"""The short way for the plain call: `POST /v1/invocations` past the framework.

A call is plain if it has nothing to be looked at twice: a bearer token that is known, one JSON
body with its length, no idempotency key, no preference, no `Origin` (`runner.cors`). Everything
else, and everything that is refused before a call is taken on, goes to the application behind,
which answers as if there were no such way; nothing has been done for it by then. Routing, request
and response objects of the framework cost as much time as all decisions about a call together
(docs/performance.md).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from runner.calls import MAX_BODY_BYTES, parse_request
from runner.desk import Desk
from runner.policy import Caller
from runner.quota import OverQuota
from runner.replies import KeptReply
from runner.service import Runner
from trust.outcomes import Failed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

RETRY_AFTER_SECONDS = 5
_STATUS_LINES = {
    200: "200 OK",
    403: "403 FORBIDDEN",
    422: "422 UNPROCESSABLE ENTITY",
    503: "503 SERVICE UNAVAILABLE",
}
_TO_THE_APPLICATION = ("HTTP_IDEMPOTENCY_KEY", "HTTP_PREFER", "HTTP_EXPECT", "HTTP_ORIGIN")


class Front:
    """A WSGI application in front of another one."""

    def __init__(
        self,
        behind: WSGIApplication,
        runner: Runner,
        desk: Desk,
        code_of: Callable[[KeptReply], int],
        turned_away: Callable[[Caller, OverQuota], WSGIApplication],
        failed: Callable[[Exception], WSGIApplication],
        path: str,
    ) -> None:
        """Take the parts.

        Args:
            behind: the application.
            runner: authenticates.
            desk: takes calls on.
            code_of: the HTTP status code of a reply.
            turned_away: answers a call over a quota, which is counted and recorded as that.
            failed: answers a call that failed inside the runner.
            path: of invocations.
        """
        self._behind = behind
        self._runner = runner
        self._desk = desk
        self._code_of = code_of
        self._turned_away = turned_away
        self._failed = failed
        self._path = path

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        length = self._plain(environ)
        try:
            caller = None if length is None else self._caller(environ)
        except Exception:  # noqa: BLE001 - the application behind meets it again, and answers it
            caller = None
        if length is None or caller is None:
            return self._behind(environ, start_response)
        body = environ["wsgi.input"].read(length)
        parsed = parse_request(body)
        if isinstance(parsed, Failed):
            environ["wsgi.input"] = io.BytesIO(body)
            return self._behind(environ, start_response)
        try:
            reply = self._desk.take(parsed.value, caller, None, later=False).reply
            if reply is None:
                raise RuntimeError("a call that somebody waits for has no reply")
        except OverQuota as over:
            return self._turned_away(caller, over)(environ, start_response)
        except Exception as error:  # noqa: BLE001 - the reply's shape is a promise
            return self._failed(error)(environ, start_response)
        return self._answer(reply, start_response)

    def _plain(self, environ: dict[str, Any]) -> int | None:
        """Return the body's length in bytes if the request is a plain call."""
        length = environ.get("CONTENT_LENGTH", "")
        plain = (
            environ["REQUEST_METHOD"] == "POST"
            and environ["PATH_INFO"] == self._path
            and not environ.get("SCRIPT_NAME")
            and environ.get("CONTENT_TYPE") == "application/json"
            and not any(name in environ for name in _TO_THE_APPLICATION)
            and length.isascii()
            and length.isdecimal()
            and len(length) <= 8
        )
        return int(length) if plain and 0 < int(length) <= MAX_BODY_BYTES else None

    def _caller(self, environ: dict[str, Any]) -> Caller | None:
        kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        outcome = self._runner.authenticate(token.strip())
        return None if isinstance(outcome, Failed) else outcome.value

    def _answer(self, reply: KeptReply, start_response: StartResponse) -> Iterable[bytes]:
        code = self._code_of(reply)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(reply.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if code == 503:
            headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
        start_response(_STATUS_LINES[code], headers)
        return [reply.body]
