"""Which pages of other origins may call: CORS (Fetch standard, section 3.2) for invocations only.

A WSGI layer in front of the application; the short way (`runner.front`) leaves what a page sends
to it. Origins are compared letter by letter with the policy in force. No cookie is ever asked for:
what authenticates a page's call is the bearer token that the page holds. An origin that is not
listed is answered as if there were no CORS; its browser then keeps the answer from the page, and
sends no call at all, because a JSON body and a bearer token need a preflight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_AGE_SECONDS = 60
"""How long a browser may keep the answer to a preflight."""
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key"

_ONE_CALL = re.compile(r"/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Cors:
    """A WSGI application in front of another one."""

    def __init__(
        self, behind: WSGIApplication, origins: Callable[[], frozenset[str]], path: str
    ) -> None:
        """Take the application, the origins that the policy in force lists, and calls' path."""
        self._behind = behind
        self._origins = origins
        self._path = path

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is None:
            return self._behind(environ, start_response)
        method = self._method(environ)
        if method is None or origin not in self._origins():
            return self._behind(environ, start_response)
        allowed = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if environ["REQUEST_METHOD"] == "OPTIONS":
            asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "")
            if asked == method:
                allowed += [
                    ("Access-Control-Allow-Methods", method),
                    ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
                    ("Access-Control-Max-Age", str(MAX_AGE_SECONDS)),
                ]
            start_response("204 NO CONTENT", allowed)
            return []

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, *allowed], *more)

        return self._behind(environ, start)

    def _method(self, environ: WSGIEnvironment) -> str | None:
        """Return the one method that a page may use at this address; None for another address."""
        path, method = environ["PATH_INFO"], None
        if path == self._path:
            method = "POST"
        elif path.startswith(self._path) and _ONE_CALL.fullmatch(path[len(self._path) :]):
            method = "GET"
        return method if environ["REQUEST_METHOD"] in (method, "OPTIONS") else None
