"""Forms that hold their own state under a MAC, and the cookie that binds them to one browser."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import NoReturn
from urllib.parse import urlsplit

from flask import Response, request
from werkzeug.wrappers import Response as AnyResponse

from authority.clients import origin_of
from authority.errors import RequestRefused
from trust.errors import problem

COOKIE_SECONDS = 3600
PAGE_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
SCRIPT_POLICY = "script-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"

_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")


def refuse(what: str, value: object, expected: str) -> NoReturn:
    """Raise `RequestRefused` for a request or a form that is not in order."""
    raise RequestRefused(
        problem(
            "authority.authorization",
            what,
            value=value,
            expected=expected,
            advice="start again from the page that sent you here",
        )
    )


class Seal:
    """A key of this process, and MACs under it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def mac(self, *parts: str) -> str:
        """Return the MAC of the parts; no other parts have it."""
        text = b"".join(b"%d:%b" % (len(each), each) for each in (p.encode() for p in parts))
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def check(self, sent: str, *parts: str) -> bool:
        """Tell whether `sent` is the MAC of the parts."""
        return self.same(sent, self.mac(*parts))

    @staticmethod
    def same(sent: str, made: str) -> bool:
        """Compare a MAC that was sent with one that was made, in constant time."""
        return hmac.compare_digest(sent.encode(), made.encode())


class FormCookie:
    """The cookie of one page's forms: SameSite=Strict, HttpOnly, an hour."""

    def __init__(self, name: str, path: str, *, secure: bool) -> None:
        self._name = name
        self._path = path
        self._secure = secure

    def value(self) -> str:
        """Return the request's cookie; "" where it has none."""
        known = request.cookies.get(self._name, "")
        return known if _COOKIE.fullmatch(known) else ""

    def give(self, page: Response, value: str) -> None:
        """Set it."""
        page.set_cookie(
            self._name,
            value,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=self._secure,
            path=self._path,
        )

    @staticmethod
    def fresh() -> str:
        """Return a new value."""
        return secrets.token_urlsafe(32)


def sealed(reply: AnyResponse) -> AnyResponse:
    """Give a page or a redirect the headers of all of them."""
    reply.headers["Cache-Control"] = "no-store"
    # Not no-referrer: that would make the form's own Origin "null".
    reply.headers["Referrer-Policy"] = "same-origin"
    reply.headers["X-Frame-Options"] = "DENY"
    reply.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return reply


def require_own_form(base_url: str) -> None:
    """Refuse a form that another site sent (Fetch Metadata, else Origin).

    Raises:
        RequestRefused: it did, or the form does not say where it was sent from.
    """
    site = request.headers.get("Sec-Fetch-Site", "")
    origin = request.headers.get("Origin", "")
    if site not in ("", "same-origin"):
        refuse("the form was sent by another site", f"Sec-Fetch-Site: {site}", "our own page")
    if origin and origin != origin_of(base_url) and urlsplit(origin).netloc != request.host:
        refuse("the form was sent by another site", f"Origin: {origin}", origin_of(base_url))
    if not site and not origin:
        refuse("the form does not say where it was sent from", "", "a browser's form")
