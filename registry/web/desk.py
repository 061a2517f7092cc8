"""An author's own pages: their plugins, answers to rejections, names handed over."""

from __future__ import annotations

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from registry.accounts import authorization
from registry.accounts.actors import current_actor
from registry.author_desk import answers, desk, transfers
from registry.author_desk.views import Notes
from registry.errors import Forbidden
from registry.services import current
from registry.web.browse import page_number
from registry.web.security import require_same_origin
from trust.errors import problem
from trust.identity import Identity


def person() -> Identity | None:
    """Return who is signed in, or whose token is presented; None for nobody."""
    return current_actor().person


def signed_in() -> Identity:
    """Return who is signed in.

    Raises:
        Forbidden: nobody is.
    """
    found = person()
    if found is None:
        raise Forbidden(
            problem(
                "desk.sign-in",
                "this is for people who are signed in",
                expected="a session of this registry",
                advice="sign in and send it again",
            )
        )
    return found


def i_administer() -> bool:
    """Tell whether who is signed in administers the registry."""
    who = person()
    return who is not None and authorization.is_admin(who)


def notes_on(name: str, version: str) -> Notes:
    """Return what the desk tells beside a version, for whoever looks at it."""
    return desk.notes(current(), name, version, person())


def mine() -> str:
    """The plugins of who is signed in, and the names that are offered to them."""
    services, who = current(), signed_in()
    return render_template(
        "mine.html",
        page=desk.own_plugins(services, who, page_number()),
        offers=desk.offers_to(services, who),
        person=who,
    )


def answer(name: str, version: str) -> Response:
    """Take an author's answer."""
    require_same_origin(request)
    answers.give(current(), name, version, signed_in(), request.form.get("text", ""))
    return redirect(url_for("web.version", name=name, version=version) + "#answers-head", 303)


def offer(name: str) -> Response:
    """Offer a name to somebody who signs in at the same issuer."""
    require_same_origin(request)
    who = signed_in()
    taker = Identity(who.issuer, request.form.get("to", "").strip())
    transfers.offer(current(), name, who, taker)
    return redirect(url_for("web.mine"), 303)


def decide(number: int, action: str) -> Response:
    """Accept, decline, withdraw or cancel an offer."""
    require_same_origin(request)
    if action not in transfers.STATES:
        abort(404)
    who = signed_in()

    def may_cancel() -> None:
        if not authorization.is_admin(who):
            raise Forbidden(
                problem(
                    "desk.not-an-operator",
                    "only an operator cancels an offer between others",
                    value=str(who),
                    expected="an admin of this registry",
                    advice="ask an operator",
                )
            )

    transfers.decide(current(), number, action, who, may_cancel=may_cancel)
    return redirect(url_for("web.operate" if action == "cancel" else "web.mine"), 303)
