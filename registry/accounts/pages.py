"""The pages of one's own tokens and sessions, of a plugin's trusted publishers, and of admins.

Who may call them is decided before they are called (`registry.accounts.authorization`).
"""

from __future__ import annotations

from flask import (
    Blueprint,
    Flask,
    Response,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as AnyResponse

from registry import queries
from registry.accounts import authorization, publishers, tokens
from registry.accounts.actors import current_actor
from registry.accounts.errors import Unauthenticated
from registry.accounts.issuers import KINDS
from registry.accounts.tokens import MAX_DAYS, SCOPE_WORDS
from registry.errors import BadRequest, Conflict
from registry.services import current
from registry.signin import sessions
from trust import strictjson
from trust.errors import Problem, problem
from trust.identity import Identity

MAX_EXCHANGE = 32 * 1024

pages = Blueprint("accounts", __name__, template_folder="templates")
machine = Blueprint("account_api", __name__)


def _person() -> Identity:
    person = current_actor().person
    if person is None:
        raise Unauthenticated(
            problem("accounts.sign-in", "nobody is signed in", advice="sign in first")
        )
    return person


def _private(html: str, status: int = 200) -> Response:
    """Return a page that nobody keeps: it is about one person."""
    page = make_response(html, status)
    page.headers["Cache-Control"] = "no-store"
    return page


# -- tokens ------------------------------------------------------------------------------------


def _tokens(status: int = 200, problems: tuple[Problem, ...] = (), made: str = "") -> Response:
    form = request.form
    html = render_template(
        "account_tokens.html",
        tokens=tokens.listed(current(), _person()),
        made=made,
        problems=problems,
        scopes=SCOPE_WORDS,
        form=form,
        chosen=form.getlist("scope"),
        most_days=MAX_DAYS,
    )
    return _private(html, status)


@pages.get("/account/tokens")
def token_list() -> ResponseReturnValue:
    """List one's tokens, with a form that makes another."""
    return _tokens()


@pages.post("/account/tokens")
def token_create() -> ResponseReturnValue:
    """Make a token, and show it this once."""
    form = request.form
    days = form.get("days", "")
    try:
        made = tokens.create(
            current(),
            _person(),
            form.get("name", ""),
            form.getlist("scope"),
            form.get("plugins", "").split(),
            int(days) if days.isascii() and days.isdigit() and len(days) < 5 else 0,
        )
    except BadRequest as error:
        return _tokens(error.status, error.problems)
    return _tokens(made=made)


@pages.post("/account/tokens/<int:number>/revoke")
def token_revoke(number: int) -> AnyResponse:
    """Revoke a token of one's own."""
    tokens.revoke(current(), number, _person())
    return redirect(url_for("accounts.token_list"), 303)


# -- sessions ----------------------------------------------------------------------------------


@pages.get("/account/sessions")
def session_list() -> ResponseReturnValue:
    """List where one is signed in."""
    found = sessions.listed(current(), _person())
    return _private(render_template("account_sessions.html", sessions=found))


@pages.post("/account/sessions/end")
def session_end() -> AnyResponse:
    """Sign out everywhere."""
    person = _person()
    sessions.end_everywhere(current(), person)
    sessions.end()
    return redirect(url_for("web.home"), 303)


# -- trusted publishers ------------------------------------------------------------------------


def _publishers(name: str, status: int = 200, problems: tuple[Problem, ...] = ()) -> Response:
    services = current()
    html = render_template(
        "plugin_publishers.html",
        plugin=queries.plugin(services, name).name,
        publishers=publishers.listed(services, name),
        issuers=publishers.known_issuers(services),
        kinds=KINDS,
        problems=problems,
        form=request.form,
    )
    return _private(html, status)


@pages.get("/plugins/<name>/publishers")
def publisher_list(name: str) -> ResponseReturnValue:
    """List a plugin's trusted publishers, with a form for each CI service."""
    return _publishers(name)


@pages.post("/plugins/<name>/publishers")
def publisher_add(name: str) -> ResponseReturnValue:
    """Register a trusted publisher."""
    try:
        publishers.add(current(), name, _person(), request.form)
    except (BadRequest, Conflict) as error:
        return _publishers(name, error.status, error.problems)
    return redirect(url_for("accounts.publisher_list", name=name), 303)


@pages.post("/plugins/<name>/publishers/<int:number>/remove")
def publisher_remove(name: str, number: int) -> AnyResponse:
    """Remove a trusted publisher."""
    publishers.remove(current(), name, number)
    return redirect(url_for("accounts.publisher_list", name=name), 303)


# -- admins ------------------------------------------------------------------------------------


@pages.get("/admin/tokens")
def admin_tokens() -> ResponseReturnValue:
    """List everybody's tokens."""
    return _private(render_template("admin_tokens.html", tokens=tokens.listed(current(), None)))


@pages.post("/admin/tokens/<int:number>/revoke")
def admin_revoke(number: int) -> AnyResponse:
    """Revoke anybody's token."""
    tokens.revoke(current(), number, None)
    return redirect(url_for("accounts.admin_tokens"), 303)


# -- for machines ------------------------------------------------------------------------------


@machine.get("/api/v1/account")
def account() -> ResponseReturnValue:
    """Tell who asks, and what they may."""
    actor, person = current_actor(), _person()
    token = actor.token
    holds = authorization.holds(current(), None)
    return jsonify(
        issuer=person.issuer,
        subject=person.subject,
        roles=[
            str(role)
            for role in (authorization.REVIEWER, authorization.ADMIN)
            if holds(role, person)
        ],
        token=None
        if token is None
        else {
            "name": token.name,
            "scopes": sorted(token.scopes),
            "plugins": sorted(token.plugins),
        },
    )


@machine.get("/_/oidc/audience")
def oidc_audience() -> ResponseReturnValue:
    """Tell for whom a CI job's identity token must be (https://docs.pypi.org/api)."""
    return jsonify(audience=publishers.audience(current()))


@machine.post("/_/oidc/mint-token")
def oidc_mint() -> ResponseReturnValue:
    """Exchange a CI job's identity token for an upload token."""
    request.max_content_length = MAX_EXCHANGE
    try:
        body = strictjson.loads(request.get_data(cache=False), max_depth=4)
        minted = publishers.mint(current(), str(body["token"]))
    except (KeyError, TypeError) as error:
        raise BadRequest(
            problem(
                "publishing.request",
                "the request has no token",
                expected='{"token": "..."}',
                advice="send what `uv publish --trusted-publishing` sends",
            )
        ) from error
    except Unauthenticated as error:
        # The members that PyPI's clients read, beside ours.
        reply = jsonify(
            message=error.problem.what,
            errors=[{"code": p.code, "description": p.lines()} for p in error.problems],
            problems=[p.as_dict() for p in error.problems],
        )
        reply.status_code = 422
        return reply
    reply = jsonify(success=True, token=minted.text, plugins=minted.plugins)
    reply.headers["Cache-Control"] = "no-store"
    return reply


def install(app: Flask) -> None:
    """Add what machines call, and the pages where there are pages."""
    app.register_blueprint(machine)


def install_pages(app: Flask) -> None:
    """Add the pages."""
    app.register_blueprint(pages)
