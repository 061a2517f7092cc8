"""Pages for operators: the journal, open offers of names, and taking a plugin or version back.

Taking back is a signed statement: whoever may look at the page, its signer is who acts.
"""

from __future__ import annotations

from flask import Response as FlaskResponse
from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from registry import forms, listing, queries
from registry.author_desk import desk
from registry.httperrors import status_of
from registry.listing import PluginPage
from registry.operations import journal, stops
from registry.operations.stops import StopView
from registry.readmodel import SignerView, VersionLine
from registry.revocations import intake
from registry.services import current
from registry.settings import MAX_BUNDLE
from registry.web import signing
from registry.web.browse import MAX_QUERY
from registry.web.security import require_same_origin
from trust.errors import Problem, SealgateError
from trust.identity import Identity


def stops_on(
    name: str, version: str | None = None, author: SignerView | None = None
) -> tuple[StopView, ...]:
    """Return what holds against a plugin or a version, for whoever looks at it."""
    who = Identity(author.issuer, author.subject) if author else None
    return stops.concerning(current(), name, version, who)


def operate() -> str:
    """What an operator sees first: what is stopped, and names that are on offer."""
    services = current()
    return render_template(
        "operate.html", stops=stops.in_force(services), offers=desk.open_offers(services)
    )


def journal_page() -> str:
    """The journal, filtered."""
    texts = {
        name: request.args.get(name, "").replace("\0", "").strip()[:MAX_QUERY]
        for name in ("plugin", "person", "source")
    }
    if texts["source"] not in journal.SOURCES:
        texts["source"] = ""
    page = journal.read(current(), journal.Filter(**texts), request.args.get("after", "")[:80])
    return render_template(
        "journal.html", page=page, asked=texts, later=bool(request.args.get("after"))
    )


def stop(name: str) -> FlaskResponse:
    """The form that takes back a plugin or a version."""
    return _stop_page(name, ())


def send_stop(name: str) -> Response | tuple[FlaskResponse, int]:
    """Take a signed revocation, quarantine or lift, or show why it is refused."""
    require_same_origin(request)
    request.max_content_length = MAX_BUNDLE
    services = current()
    try:
        fields = ("action", "what", "reason")
        bundle = forms.files(request, ("bundle",), ignored=fields)["bundle"][1]
        taken = intake.post(services, bundle)
    except SealgateError as refusal:
        return _stop_page(name, refusal.problems), status_of(refusal)
    target = taken.revocation.target
    if target.plugin is not None and target.version is not None:
        return redirect(url_for("web.version", name=target.plugin, version=target.version), 303)
    return redirect(url_for("web.plugin", name=target.plugin or name), 303)


def _choices(view: PluginPage, number: str) -> list[VersionLine]:
    """Return the versions that the form offers: the highest, and the one that was asked for."""
    found = list(view.versions.items)
    if number and all(line.version != number for line in found):
        asked = queries.version(current(), view.name, number)
        found.insert(
            0,
            VersionLine(
                asked.version,
                asked.sha256,
                asked.state,
                asked.waits_for,
                asked.submitted_at,
                asked.published_at,
            ),
        )
    return found


def _stop_page(name: str, problems: tuple[Problem, ...]) -> FlaskResponse:
    services, offer = current(), signing.offered()
    view = listing.plugin(services, name)
    html = render_template(
        "stop.html",
        plugin=view,
        versions=_choices(view, request.args.get("version", "")),
        chosen=request.args.get("version", ""),
        lifts=[s for s in stops_on(view.name) if s.action == "quarantine"],
        problems=problems,
        kept=services.settings.revocations.log is not None,
        signing=offer,
    )
    return signing.page(html, offer)
