"""The authorization endpoint and its login page (OpenID Connect Core 3.1.2, RFC 6749 4.1).

There is no session here: every authorization asks for the password again, so nothing that a
browser keeps can sign in or sign for somebody. The rules, in order:
 1. client and redirect URI are the registered ones, letter by letter; else an error page, and
    never a redirect;
 2. a code is asked for, with an S256 challenge (RFC 7636), a scope with `openid`, and state; a
    signing client names the resource `sigstore` (RFC 8707) and one statement (RFC 9396), a
    sign-in client neither;
 3. the form comes from our own page, and from the browser that got it;
 4. the account is a person's, and the password right.
The page holds no state on the server: the form carries the request again, under a MAC.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Flask, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from authority import statements
from authority.accounts import Accounts
from authority.clients import Client, Clients, origin_of
from authority.codes import CHALLENGE, Codes, Grant
from authority.core import Authority
from authority.errors import RequestRefused, TooManyAttempts, Unauthenticated
from authority.oidc import SIGSTORE_AUDIENCE
from authority.subjects import is_email
from trust.errors import Problem, problem

COOKIE = "sealgate_authority_form"
COOKIE_SECONDS = 3600
MAX_PARAMETER = 512

PARAMETERS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "authorization_details",
)
"""What is carried from the request to the form; anything else in a request is ignored."""

_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")
_PLAIN = re.compile(r"[!-~]*")


class _SendBack(Exception):
    """An error that the client is told by redirect (RFC 6749 section 4.1.2.1)."""

    def __init__(self, client: Client, state: str, code: str, description: str) -> None:
        super().__init__(description)
        self.client = client
        self.state = state
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """An authorization request that is in order.

    Attributes:
        client: who asks.
        values: its parameters, by `PARAMETERS`.
        asked: the statement to be signed; None for a sign-in.
    """

    client: Client
    values: dict[str, str]
    asked: statements.Asked | None


def _refuse(what: str, value: object, expected: str) -> NoReturn:
    raise RequestRefused(
        problem(
            "authority.authorization",
            what,
            value=value,
            expected=expected,
            advice="start again from the page that sent you here",
        )
    )


def _parameters() -> dict[str, str]:
    given = request.values if request.method == "GET" else request.form
    values = {}
    for name in PARAMETERS:
        found = given.getlist(name)
        if len(found) > 1:
            _refuse("a parameter is given twice", name, "each parameter once (RFC 6749, 3.1)")
        values[name] = found[0] if found else ""
    return values


def check(values: dict[str, str], clients: Clients) -> Request:
    """Check an authorization request.

    Raises:
        RequestRefused: client or redirect URI are not registered: nothing is sent anywhere.
        _SendBack: anything else that is wrong.
    """
    client = clients.get(values["client_id"])
    if client is None:
        _refuse("no such client is registered", values["client_id"][:80], "a registered client_id")
    if values["redirect_uri"] != client.redirect_uri:
        _refuse(
            "the redirect URI is not the client's",
            values["redirect_uri"][:200],
            "the one registered",
        )
    state = values["state"] if len(values["state"]) <= MAX_PARAMETER else ""

    def wrong(code: str, description: str) -> NoReturn:
        raise _SendBack(client, state, code, description)

    for name, value in values.items():
        if name != "authorization_details" and (
            len(value) > MAX_PARAMETER or not _PLAIN.fullmatch(value.replace(" ", ""))
        ):
            wrong("invalid_request", f"{name} is too long or not printable ASCII")
    if values["response_type"] != "code":
        wrong("unsupported_response_type", "response_type must be code")
    if not state:
        wrong("invalid_request", "state is missing")
    if "openid" not in values["scope"].split():
        wrong("invalid_scope", "scope must have openid")
    if values["code_challenge_method"] != "S256" or not CHALLENGE.fullmatch(
        values["code_challenge"]
    ):
        wrong("invalid_request", "PKCE with code_challenge_method S256 is required")
    if client.kind == "sign-in":
        if values["resource"] or values["authorization_details"]:
            wrong("invalid_target", "a sign-in client gets tokens for itself only")
        return Request(client, values, None)
    if values["resource"] != SIGSTORE_AUDIENCE:
        wrong("invalid_target", f"resource must be {SIGSTORE_AUDIENCE}")
    if not values["nonce"]:
        wrong("invalid_request", "nonce is missing")
    try:
        return Request(client, values, statements.read(values["authorization_details"]))
    except RequestRefused as error:
        wrong("invalid_authorization_details", error.problem.what)


def install(
    app: Flask, authority: Authority, accounts: Accounts, clients: Clients, codes: Codes
) -> None:
    """Add `/auth`, its form's target and its style sheet."""
    pages = Blueprint("authorize", __name__, template_folder="templates")
    key = secrets.token_bytes(32)

    def mac(cookie: str, values: dict[str, str]) -> str:
        text = "\0".join([cookie, *(f"{name}={values[name]}" for name in PARAMETERS)])
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def back(client: Client, **fields: str) -> AnyResponse:
        query = urlencode({**fields, "iss": authority.issuer})
        return _sealed(redirect(f"{client.redirect_uri}?{query}", HTTPStatus.SEE_OTHER))

    def login(
        asked: Request, status: int = 200, problems: tuple[Problem, ...] = (), name: str = ""
    ) -> Response:
        known = request.cookies.get(COOKIE, "")
        cookie = known if _COOKIE.fullmatch(known) else secrets.token_urlsafe(32)
        page = make_response(
            render_template(
                "login.html",
                client=asked.client,
                origin=asked.client.origin,
                asked=asked.asked,
                values=asked.values,
                mac=mac(cookie, asked.values),
                problems=problems,
                name=name,
                issuer=authority.issuer,
            ),
            status,
        )
        page.set_cookie(
            COOKIE,
            cookie,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=authority.base_url.startswith("https:"),
            path="/auth",
        )
        _sealed(page)
        # Chromium applies form-action to the redirect that answers the form, too.
        page.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; "
            f"form-action 'self' {asked.client.origin}; base-uri 'none'; frame-ancestors 'none'"
        )
        return page

    def refused(error: RequestRefused) -> Response:
        page = make_response(
            render_template("login_error.html", problems=error.problems), error.status
        )
        _sealed(page)
        page.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return page

    def answer() -> AnyResponse:
        if request.method == "POST":
            _require_own_form(authority.base_url)
        asked = check(_parameters(), clients)
        if request.method == "GET":
            return login(asked)
        cookie = request.cookies.get(COOKIE, "")
        sent = request.form.get("form_mac", "")
        if not _COOKIE.fullmatch(cookie) or not hmac.compare_digest(
            mac(cookie, asked.values).encode(), sent.encode()
        ):
            _refuse("the form was not made for this browser", "", "the form that this page sent")
        if request.form.get("decision") == "cancel":
            raise _SendBack(asked.client, asked.values["state"], "access_denied", "cancelled")
        name = request.form.get("username", "").strip()
        try:
            if not is_email(name):
                # A workload's secret has no business in a browser: not even tried.
                raise Unauthenticated(
                    problem(
                        "authority.credentials",
                        "the account or its password is wrong",
                        expected="a person's account, an e-mail address",
                    )
                )
            subject = accounts.authenticate(name, request.form.get("password", ""))
        except (Unauthenticated, TooManyAttempts) as error:
            page = login(asked, error.status, error.problems, name)
            if isinstance(error, TooManyAttempts):
                page.headers["Retry-After"] = str(error.retry_after)
            return page
        values = asked.values
        signing = asked.asked is not None
        code = codes.issue(
            Grant(
                subject=subject,
                client_id=asked.client.client_id,
                redirect_uri=asked.client.redirect_uri,
                challenge=values["code_challenge"],
                nonce=values["nonce"],
                audience=SIGSTORE_AUDIENCE if signing else asked.client.client_id,
                statement_digest=asked.asked.digest if asked.asked else "",
                authenticated_at=authority.tokens.clock(),
            )
        )
        return back(asked.client, code=code, state=values["state"])

    @pages.route("/auth", methods=["GET", "POST"])
    def authorize() -> AnyResponse:
        try:
            return answer()
        except _SendBack as error:
            return back(
                error.client,
                error=error.code,
                error_description=str(error),
                **({"state": error.state} if error.state else {}),
            )
        except RequestRefused as error:
            return refused(error)

    @pages.get("/auth/login.css")
    def sheet() -> Response:
        reply = make_response(render_template("login.css"))
        reply.content_type = "text/css; charset=utf-8"
        reply.headers["Cache-Control"] = "public, max-age=3600"
        return reply

    app.register_blueprint(pages)


def _sealed(reply: AnyResponse) -> AnyResponse:
    reply.headers["Cache-Control"] = "no-store"
    # Not no-referrer: that would make the form's own Origin "null".
    reply.headers["Referrer-Policy"] = "same-origin"
    reply.headers["X-Frame-Options"] = "DENY"
    reply.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return reply


def _require_own_form(base_url: str) -> None:
    """Refuse a form that another site sent (Fetch Metadata, else Origin)."""
    site = request.headers.get("Sec-Fetch-Site", "")
    origin = request.headers.get("Origin", "")
    if site not in ("", "same-origin"):
        _refuse("the form was sent by another site", f"Sec-Fetch-Site: {site}", "our own page")
    if origin and origin != origin_of(base_url) and urlsplit(origin).netloc != request.host:
        _refuse("the form was sent by another site", f"Origin: {origin}", origin_of(base_url))
    if not site and not origin:
        _refuse("the form does not say where it was sent from", "", "a browser's form")
