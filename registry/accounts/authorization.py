"""Who may call what: ONE table of every route, and its enforcement before every view.

A route that is not in the table is refused to everybody; `tests/registry/accounts/
test_authorization.py` walks every route with every role. In words:

- public: anybody.
- signed bundle: anybody may send it. Who acts is the verified signer of the evidence in the body,
  and the intake decides; a token, where one is presented, must have the line's scope.
- signed-in, author-of, reviewer, admin: a session of such a person, or a token of theirs with the
  line's scope. Author-of is the owner of the plugin in the address, or an admin. Writes by session
  come from our own pages only.

No line lets a session or a token do what a bundle must say: submit, approve, reject, publish.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flask import Flask, Response, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from registry import httperrors
from registry.accounts.actors import Actor, current_actor
from registry.accounts.errors import TooManyRequests, Unauthenticated
from registry.accounts.rates import Rate, Rates
from registry.accounts.tokens import Scope
from registry.errors import Forbidden
from registry.lookup import find_plugin
from registry.names import normalised
from registry.services import Services, current
from registry.web.security import require_same_origin
from trust.errors import Problem, problem
from trust.identity import Identity

log = logging.getLogger("registry.accounts")

RATES = "sealgate.rates"
"""Key of the application's `Rates` in `app.extensions`."""


class Access(StrEnum):
    """Who may call a route."""

    PUBLIC = "public"
    BUNDLE = "signed bundle"
    SIGNED_IN = "signed-in"
    AUTHOR = "author-of"
    REVIEWER = "reviewer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        access: who may call the route.
        scope: the scope of the tokens that open it; None: no token does.
        rate: what its calls are counted as; None: they are not counted.
        any_plugin: whether a token for some plugins only is taken though the address names none:
            the view holds it against the body, or tells nothing about a plugin.
    """

    access: Access
    scope: Scope | None = None
    rate: Rate | None = None
    any_plugin: bool = False


PUBLIC, BUNDLE, SIGNED_IN = Access.PUBLIC, Access.BUNDLE, Access.SIGNED_IN
AUTHOR, REVIEWER, ADMIN = Access.AUTHOR, Access.REVIEWER, Access.ADMIN

TABLE: Mapping[tuple[str, str], Line] = {
    # The pages.
    ("GET", "/"): Line(PUBLIC),
    ("GET", "/plugins/<name>"): Line(PUBLIC),
    ("GET", "/plugins/<name>/<version>"): Line(PUBLIC),
    ("GET", "/plugins/<name>/<version>/live"): Line(PUBLIC),
    ("GET", "/submit"): Line(PUBLIC),
    ("POST", "/submit/check"): Line(PUBLIC, rate=Rate.UPLOAD),
    ("POST", "/submit"): Line(BUNDLE, Scope.SUBMIT, Rate.UPLOAD, any_plugin=True),
    ("GET", "/mine"): Line(SIGNED_IN),
    ("POST", "/plugins/<name>/<version>/answers"): Line(SIGNED_IN),
    ("POST", "/plugins/<name>/transfer"): Line(AUTHOR),
    ("POST", "/transfers/<int:number>/<action>"): Line(SIGNED_IN),
    ("GET", "/operate"): Line(ADMIN),
    ("GET", "/journal"): Line(ADMIN),
    ("GET", "/plugins/<name>/stop"): Line(PUBLIC),
    ("POST", "/plugins/<name>/stop"): Line(BUNDLE, rate=Rate.UPLOAD),
    ("GET", "/review"): Line(PUBLIC),
    ("GET", "/review/<name>/<version>"): Line(PUBLIC),
    ("POST", "/review/<name>/<version>"): Line(BUNDLE, Scope.REVIEW, Rate.UPLOAD),
    ("GET", "/review/<name>/<version>/files"): Line(PUBLIC),
    ("GET", "/review/<name>/<version>/tree"): Line(PUBLIC),
    ("GET", "/review/<name>/<version>/locked/<filename>"): Line(PUBLIC),
    ("GET", "/review/<name>/<version>/search"): Line(PUBLIC),
    ("POST", "/review/<name>/<version>/comments"): Line(SIGNED_IN, Scope.COMMENT, Rate.UPLOAD),
    ("GET", "/assets/<digest>/<name>"): Line(PUBLIC),
    # Signing in and out.
    ("GET", "/signin"): Line(PUBLIC, rate=Rate.SIGN_IN),
    ("GET", "/signin/callback"): Line(PUBLIC, rate=Rate.SIGN_IN),
    ("POST", "/signout"): Line(PUBLIC),
    ("GET", "/signing/callback"): Line(PUBLIC),
    # One's own tokens and sessions, a plugin's trusted publishers, the admins' page.
    ("GET", "/account/tokens"): Line(SIGNED_IN),
    ("POST", "/account/tokens"): Line(SIGNED_IN, rate=Rate.TOKENS),
    ("POST", "/account/tokens/<int:number>/revoke"): Line(SIGNED_IN),
    ("GET", "/account/sessions"): Line(SIGNED_IN),
    ("POST", "/account/sessions/end"): Line(SIGNED_IN),
    ("GET", "/plugins/<name>/publishers"): Line(AUTHOR),
    ("POST", "/plugins/<name>/publishers"): Line(AUTHOR, rate=Rate.TOKENS),
    ("POST", "/plugins/<name>/publishers/<int:number>/remove"): Line(AUTHOR),
    ("GET", "/admin/tokens"): Line(ADMIN),
    ("POST", "/admin/tokens/<int:number>/revoke"): Line(ADMIN),
    ("GET", "/api/v1/account"): Line(SIGNED_IN, Scope.READ, any_plugin=True),
    ("GET", "/_/oidc/audience"): Line(PUBLIC),
    ("POST", "/_/oidc/mint-token"): Line(PUBLIC, rate=Rate.TOKENS),
    # The JSON API.
    ("POST", "/api/v1/submissions"): Line(BUNDLE, Scope.SUBMIT, Rate.UPLOAD, any_plugin=True),
    ("GET", "/api/v1/plugins"): Line(PUBLIC),
    ("GET", "/api/v1/plugins/<name>"): Line(PUBLIC),
    ("GET", "/api/v1/plugins/<name>/<version>"): Line(PUBLIC),
    ("GET", "/api/v1/plugins/<name>/<version>/wheel"): Line(PUBLIC),
    ("GET", "/api/v1/plugins/<name>/<version>/report"): Line(PUBLIC),
    ("GET", "/api/v1/plugins/<name>/<version>/evidence"): Line(PUBLIC),
    ("GET", "/api/v1/plugins/<name>/<version>/evidence/<sha256>"): Line(PUBLIC),
    ("GET", "/api/v1/plugins/<name>/<version>/dependencies"): Line(PUBLIC),
    ("GET", "/api/v1/plugins/<name>/<version>/dependencies/<sha256>"): Line(PUBLIC),
    ("GET", "/api/v1/plugins/<name>/<version>/review-materials"): Line(PUBLIC),
    ("POST", "/api/v1/plugins/<name>/<version>/reviews"): Line(BUNDLE, Scope.REVIEW, Rate.UPLOAD),
    ("POST", "/api/v1/signing/complete"): Line(BUNDLE, rate=Rate.UPLOAD),
    ("GET", "/api/v1/queue"): Line(PUBLIC),
    ("GET", "/api/v1/revocations"): Line(PUBLIC),
    ("POST", "/api/v1/revocations"): Line(BUNDLE, rate=Rate.UPLOAD),
    ("GET", "/openapi.json"): Line(PUBLIC),
    ("GET", "/healthz"): Line(PUBLIC),
    ("GET", "/readyz"): Line(PUBLIC),
    # The TUF repository's files.
    ("GET", "/tuf/metadata/<name>"): Line(PUBLIC),
    ("GET", "/tuf/targets/<path:path>"): Line(PUBLIC),
    # Packaging tools.
    ("POST", "/legacy/"): Line(BUNDLE, Scope.SUBMIT, Rate.UPLOAD, any_plugin=True),
    ("GET", "/simple/"): Line(PUBLIC),
    ("GET", "/simple/<name>/"): Line(PUBLIC),
    ("GET", "/files/<sha256>/<filename>"): Line(PUBLIC),
    ("GET", "/integrity/<name>/<version>/<filename>/provenance"): Line(PUBLIC),
}
"""(method, rule) -> who may call it. HEAD goes with GET; OPTIONS tells methods to anybody."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request goes on to its view, which may still refuse it."""


@dataclass(frozen=True, slots=True)
class SignInFirst:
    """Nobody is signed in, and the line asks for somebody."""


@dataclass(frozen=True, slots=True)
class Denied:
    """This actor may not do this."""

    why: Problem


Verdict = Allowed | SignInFirst | Denied


def decide(
    line: Line, actor: Actor, plugin: str | None, holds: Callable[[Access, Identity], bool]
) -> Verdict:
    """Decide on a request.

    Args:
        line: the route's.
        actor: who asks.
        plugin: the normalised plugin name in the address; None where it has none.
        holds: tells whether a person is the plugin's author, a reviewer, an admin.
    """
    if line.access is PUBLIC:
        return Allowed()
    token = actor.token
    if token is not None:
        if line.scope is None or line.scope not in token.scopes:
            return _denied(
                "accounts.scope",
                "the API token is not good for this",
                f"scopes {', '.join(sorted(token.scopes))}",
                f"the scope {line.scope}" if line.scope else "a person who is signed in",
            )
        if not line.any_plugin and not token.covers(plugin or ""):
            return token_for_other(plugin or "any plugin")
    if line.access is BUNDLE:
        return Allowed()
    if actor.person is None:
        return SignInFirst()
    if line.access is SIGNED_IN or holds(line.access, actor.person):
        return Allowed()
    return _denied(
        "accounts.role",
        f"this is for: {line.access}",
        str(actor.person),
        {
            AUTHOR: "the owner of this plugin",
            REVIEWER: "a reviewer of the layout",
            ADMIN: "an admin of this registry",
        }[line.access],
    )


def token_for_other(plugin: str) -> Denied:
    """Return the refusal of a token that is good for other plugins than this."""
    return _denied(
        "accounts.token-plugin",
        "the API token is good for other plugins only",
        plugin,
        "a token for this plugin, or for any",
    )


def check_token(plugin: str) -> None:
    """Hold the current request's token, if it presents one, against the plugin that it is about.

    For views of lines with `any_plugin`, which learn the plugin from what was sent.

    Args:
        plugin: the normalised name, as the wheel's own METADATA has it.

    Raises:
        Forbidden: the token is good for other plugins only.
    """
    token = current_actor().token
    if token is None:
        return
    if not token.covers(plugin):
        raise Forbidden(token_for_other(plugin).why)
    log.info("upload of %s with the token %r of %s", plugin, token.name, token.owner)


def _denied(code: str, what: str, value: str, expected: str) -> Denied:
    return Denied(
        problem(
            code,
            what,
            value=value,
            expected=expected,
            advice="ask with an account or a token that may; see docs/registry.md#who-may-do-what",
        )
    )


def holds(services: Services, plugin: str | None) -> Callable[[Access, Identity], bool]:
    """Return the test of roles, about this plugin where there is one.

    A reviewer is who today's layout names for the step `review`.
    """

    def test(role: Access, person: Identity) -> bool:
        if role is REVIEWER:
            return person in services.trust.reviewing().reviewers
        sign_in = services.settings.sign_in
        if (
            sign_in is not None
            and person.issuer == sign_in.issuer
            and person.subject in services.settings.accounts.admins
        ):
            return role in (ADMIN, AUTHOR)
        if role is AUTHOR and plugin is not None:
            with services.database.read() as session:
                return find_plugin(session, plugin).owner == person
        return False

    return test


def is_admin(person: Identity) -> bool:
    """Tell whether somebody administers the registry."""
    return holds(current(), None)(ADMIN, person)


def enforce() -> AnyResponse | None:
    """Let the current request pass, or refuse it.

    Raises:
        Unauthenticated: the line asks for somebody, and nobody is signed in.
        Forbidden: this actor may not do this; or the route is not in the table.
        TooManyRequests: the client asks too often.
    """
    if request.url_rule is None or request.method == "OPTIONS":
        return None
    method = "GET" if request.method == "HEAD" else request.method
    line = TABLE.get((method, request.url_rule.rule))
    if line is None:
        raise Forbidden(
            problem(
                "accounts.no-line",
                "nobody may call this address: the table of routes does not have it",
                value=f"{method} {request.url_rule.rule}",
                expected="a line in registry/accounts/authorization.py",
                advice="tell the registry's operator: this is a defect of the registry",
            )
        )
    actor = current_actor()
    if line.rate is not None:
        rates: Rates = current_app.extensions[RATES]
        try:
            rates.spend(line.rate, actor.key)
        except TooManyRequests as error:
            g.retry_after = error.retry_after
            raise
    named = (request.view_args or {}).get("name")
    plugin = (normalised(named) or "") if named is not None else None
    verdict = decide(line, actor, plugin, holds(current(), plugin))
    if isinstance(verdict, Denied):
        raise Forbidden(verdict.why)
    if isinstance(verdict, SignInFirst):
        return _sign_in_first()
    if line.access not in (PUBLIC, BUNDLE) and actor.token is None and method != "GET":
        require_same_origin(request)
    return None


def _sign_in_first() -> AnyResponse:
    page = not request.path.startswith(httperrors.MACHINE_PATHS)
    if page and request.method == "GET" and current().settings.sign_in is not None:
        address = request.full_path if request.query_string else request.path
        return redirect(url_for("signin.begin", next=address), 303)
    raise Unauthenticated(
        problem(
            "accounts.sign-in",
            "nobody is signed in, and this is not for everybody",
            value=f"{request.method} {request.path}",
            expected="a session, or an API token with the right scope",
            advice="sign in, or send a token of yours as `Authorization: Bearer`",
        )
    )


def install(app: Flask, services: Services) -> None:
    """Judge every request of `app` before its view."""
    bounds = services.settings.accounts
    app.extensions[RATES] = Rates(
        services.clock,
        {
            Rate.SIGN_IN: bounds.sign_ins_per_minute,
            Rate.TOKENS: bounds.sign_ins_per_minute,
            Rate.UPLOAD: bounds.uploads_per_minute,
        },
    )
    app.before_request(enforce)
    app.after_request(_headers)


def _headers(response: Response) -> Response:
    if response.status_code == Unauthenticated.status:
        response.headers.setdefault("WWW-Authenticate", 'Bearer realm="sealgate"')
    if response.status_code == TooManyRequests.status:
        response.headers["Retry-After"] = str(g.get("retry_after", 60))
    return response


__all__ = ["TABLE", "Access", "Line", "check_token", "decide", "enforce", "install", "is_admin"]
