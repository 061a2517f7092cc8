"""The authorization endpoint and its login page (OpenID Connect Core 3.1.2, RFC 6749 4.1).

There is no session here: every authorization asks for the password or a passkey again, so nothing
that a browser keeps can sign in or sign for somebody. The rules, in order:
 1. client and redirect URI are the registered ones, letter by letter; else an error page, and
    never a redirect;
 2. a code is asked for, with an S256 challenge (RFC 7636), a scope with `openid`, and state; a
    signing client names the resource `sigstore` (RFC 8707) and one statement (RFC 9396), a call
    client the resource `sealgate-runner` and no statement, a sign-in client neither;
 3. the form comes from our own page, and from the browser that got it;
 4. the account is a person's, and the password right; or the passkey's answer is good, given to the
    question of this very form.
The page holds no state on the server: the form carries the request again, under a MAC.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlencode

from flask import (
    Blueprint,
    Flask,
    Response,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from authority import statements
from authority.clients import Client, Clients
from authority.codes import CHALLENGE, Codes, Grant
from authority.core import Authority
from authority.errors import RequestRefused, TooManyAttempts, Unauthenticated
from authority.forms import (
    PAGE_POLICY,
    SCRIPT_POLICY,
    FormCookie,
    Seal,
    refuse,
    require_own_form,
    sealed,
)
from authority.oidc import RUNNER_AUDIENCE, SIGSTORE_AUDIENCE
from authority.ways import Ways
from trust.errors import Problem

COOKIE = "sealgate_authority_form"
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

_AUDIENCES = {"signing": SIGSTORE_AUDIENCE, "call": RUNNER_AUDIENCE}
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
        asked: the statement to be signed; None for a sign-in, and for calls.
    """

    client: Client
    values: dict[str, str]
    asked: statements.Asked | None


def _parameters() -> dict[str, str]:
    given = request.values if request.method == "GET" else request.form
    values = {}
    for name in PARAMETERS:
        found = given.getlist(name)
        if len(found) > 1:
            refuse("a parameter is given twice", name, "each parameter once (RFC 6749, 3.1)")
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
        refuse("no such client is registered", values["client_id"][:80], "a registered client_id")
    if values["redirect_uri"] != client.redirect_uri:
        refuse(
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
    audience = _AUDIENCES[client.kind]
    if values["resource"] != audience:
        wrong("invalid_target", f"resource must be {audience}")
    if not values["nonce"]:
        wrong("invalid_request", "nonce is missing")
    if client.kind == "call":
        if values["authorization_details"]:
            wrong("invalid_authorization_details", "a call client's tokens sign nothing")
        return Request(client, values, None)
    try:
        return Request(client, values, statements.read(values["authorization_details"]))
    except RequestRefused as error:
        wrong("invalid_authorization_details", error.problem.what)


def install(app: Flask, authority: Authority, ways: Ways, clients: Clients, codes: Codes) -> None:
    """Add `/auth`, its form's target, its style sheet and its script."""
    pages = Blueprint("authorize", __name__, template_folder="templates")
    seal = Seal()
    cookies = FormCookie(COOKIE, "/auth", secure=authority.base_url.startswith("https:"))

    def mac(cookie: str, values: dict[str, str]) -> str:
        return seal.mac(cookie, *(f"{name}={values[name]}" for name in PARAMETERS))

    def back(client: Client, **fields: str) -> AnyResponse:
        query = urlencode({**fields, "iss": authority.issuer})
        return sealed(redirect(f"{client.redirect_uri}?{query}", HTTPStatus.SEE_OTHER))

    def login(
        asked: Request, status: int = 200, problems: tuple[Problem, ...] = (), name: str = ""
    ) -> Response:
        cookie = cookies.value() or cookies.fresh()
        bound = mac(cookie, asked.values)
        question = ways.question(bound)
        page = make_response(
            render_template(
                "login.html",
                client=asked.client,
                origin=asked.client.origin,
                asked=asked.asked,
                values=asked.values,
                mac=bound,
                question=json.dumps(question) if question else "",
                challenge=question["challenge"] if question else "",
                problems=problems,
                name=name,
                issuer=authority.issuer,
                passkeys_page=url_for("account.page") if question else "",
            ),
            status,
        )
        cookies.give(page, cookie)
        sealed(page)
        # Chromium applies form-action to the redirect that answers the form, too.
        policy = [PAGE_POLICY, f"form-action 'self' {asked.client.origin}"]
        policy += [SCRIPT_POLICY] if question else []
        page.headers["Content-Security-Policy"] = "; ".join(policy)
        return page

    def refused(error: RequestRefused) -> Response:
        page = make_response(
            render_template("login_error.html", problems=error.problems), error.status
        )
        sealed(page)
        page.headers["Content-Security-Policy"] = PAGE_POLICY
        return page

    def answer() -> AnyResponse:
        if request.method == "POST":
            require_own_form(authority.base_url)
        asked = check(_parameters(), clients)
        if request.method == "GET":
            return login(asked)
        cookie = cookies.value()
        bound = mac(cookie, asked.values)
        if not cookie or not seal.same(request.form.get("form_mac", ""), bound):
            refuse("the form was not made for this browser", "", "the form that this page sent")
        if request.form.get("decision") == "cancel":
            raise _SendBack(asked.client, asked.values["state"], "access_denied", "cancelled")
        try:
            subject = ways.enter(request.form, bound)
        except (Unauthenticated, TooManyAttempts) as error:
            name = request.form.get("username", "").strip()
            page = login(asked, error.status, error.problems, name)
            if isinstance(error, TooManyAttempts):
                page.headers["Retry-After"] = str(error.retry_after)
            return page
        values = asked.values
        code = codes.issue(
            Grant(
                subject=subject,
                client_id=asked.client.client_id,
                redirect_uri=asked.client.redirect_uri,
                challenge=values["code_challenge"],
                nonce=values["nonce"],
                audience=_AUDIENCES.get(asked.client.kind, asked.client.client_id),
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

    @pages.get("/auth/passkey.js")
    def script() -> Response:
        reply = make_response((Path(__file__).parent / "templates" / "passkey.js").read_bytes())
        reply.content_type = "text/javascript; charset=utf-8"
        reply.headers["Cache-Control"] = "public, max-age=3600"
        return reply

    app.register_blueprint(pages)
