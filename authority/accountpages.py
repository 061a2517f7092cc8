"""The page on which people manage their passkeys.

There is no session here either. Signing in gives a page whose forms carry a ticket: account and
time under a MAC that is bound to the browser's cookie, good for ten minutes and for these forms
only. It signs nothing and opens no other page.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from flask import Blueprint, Flask, Response, make_response, render_template, request

from authority.errors import AuthorityError, RequestRefused, TooManyAttempts, Unauthenticated
from authority.forms import (
    PAGE_POLICY,
    SCRIPT_POLICY,
    FormCookie,
    Seal,
    refuse,
    require_own_form,
    sealed,
)
from authority.passkeys import Passkeys
from authority.ways import Ways
from trust.errors import Problem

COOKIE = "sealgate_authority_account"
TICKET_LIFETIME = timedelta(minutes=10)
_ENTER, _TICKET, _ADD = "enter", "ticket", "add"


def install(app: Flask, base_url: str, ways: Ways, passkeys: Passkeys) -> None:
    """Add `/account` and the target of its forms."""
    pages = Blueprint("account", __name__, template_folder="templates", url_prefix="/account")
    seal = Seal()
    cookies = FormCookie(COOKIE, "/account", secure=base_url.startswith("https:"))
    clock = passkeys.store.clock

    def dressed(html: str, cookie: str, status: int) -> Response:
        page = make_response(html, status)
        cookies.give(page, cookie)
        sealed(page)
        policy = f"{PAGE_POLICY}; form-action 'self'; {SCRIPT_POLICY}"
        page.headers["Content-Security-Policy"] = policy
        return page

    def enter(status: int = 200, problems: tuple[Problem, ...] = (), name: str = "") -> Response:
        cookie = cookies.value() or cookies.fresh()
        bound = seal.mac(_ENTER, cookie)
        question = ways.question(bound)
        html = render_template(
            "account_enter.html",
            mac=bound,
            question=app.json.dumps(question) if question else "",
            challenge=question["challenge"] if question else "",
            problems=problems,
            name=name,
            origin=passkeys.origin,
        )
        return dressed(html, cookie, status)

    def shown(
        account: str,
        cookie: str,
        ends: str,
        status: int = 200,
        problems: tuple[Problem, ...] = (),
        done: str = "",
    ) -> Response:
        challenge, options = passkeys.creation_options(account, seal.mac(_ADD, cookie, account))
        html = render_template(
            "account.html",
            account=account,
            passkeys=passkeys.store.of(account),
            only=passkeys.store.only(account),
            ends=ends,
            ticket=seal.mac(_TICKET, cookie, account, ends),
            challenge=challenge,
            options=options,
            problems=problems,
            done=done,
        )
        return dressed(html, cookie, status)

    def refused(error: AuthorityError) -> Response:
        page = make_response(
            render_template("login_error.html", problems=error.problems), error.status
        )
        sealed(page)
        page.headers["Content-Security-Policy"] = PAGE_POLICY
        return page

    @pages.get("")
    def page() -> Response:
        if passkeys.available:
            return enter()
        reply = make_response(render_template("account_none.html", host=passkeys.rp_id))
        reply.headers["Content-Security-Policy"] = PAGE_POLICY
        return reply

    @pages.post("")
    def signed_in() -> Response:
        try:
            require_own_form(base_url)
            cookie = cookies.value()
            bound = seal.mac(_ENTER, cookie)
            if not cookie or not seal.same(request.form.get("form_mac", ""), bound):
                refuse("the form was not made for this browser", "", "the form of this page")
        except RequestRefused as error:
            return refused(error)
        try:
            account = ways.enter(request.form, bound)
        except (Unauthenticated, TooManyAttempts) as error:
            name = request.form.get("username", "").strip()
            reply = enter(error.status, error.problems, name)
            if isinstance(error, TooManyAttempts):
                reply.headers["Retry-After"] = str(error.retry_after)
            return reply
        return shown(account, cookie, str(int((clock() + TICKET_LIFETIME).timestamp())))

    @pages.post("/passkeys")
    def change() -> Response:
        form = request.form
        account, ends = form.get("account", ""), form.get("ends", "")
        try:
            require_own_form(base_url)
            cookie = cookies.value()
            whole = seal.check(form.get("ticket", ""), _TICKET, cookie, account, ends)
            if not cookie or not whole:
                refuse("the form was not made for this browser", "", "the form of this page")
        except RequestRefused as error:
            return refused(error)
        if clock().timestamp() >= int(ends):
            return enter(HTTPStatus.UNAUTHORIZED, (), account)
        try:
            done = act(account, cookie)
        except (RequestRefused, Unauthenticated) as error:
            return shown(account, cookie, ends, error.status, error.problems)
        return shown(account, cookie, ends, done=done)

    def act(account: str, cookie: str) -> str:
        """Do what the form asks for; return what was done, in words."""
        form, store = request.form, passkeys.store
        action, which = form.get("action"), form.get("id", "")
        if action == "add":
            made = passkeys.register(
                account,
                form.get("name", ""),
                form.get("passkey", ""),
                form.get("challenge", ""),
                seal.mac(_ADD, cookie, account),
            )
            return f"{made.name} is added."
        if action == "rename":
            store.rename(account, which, form.get("name", ""))
            return "Renamed."
        if action == "remove":
            store.remove(account, which)
            return "Removed. Remove it from the device, too."
        if action in ("password-off", "password-on"):
            store.set_only(account, action == "password-off")
            return "The password is off." if action == "password-off" else "The password is on."
        return refuse("the form asks for something unknown", action, "a form of this page")

    app.register_blueprint(pages)
