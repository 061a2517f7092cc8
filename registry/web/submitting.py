"""The submit form: the same intake as the JSON API's, its refusals shown on the page."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from registry import intake
from registry.httperrors import status_of
from registry.services import current
from registry.web import signing
from registry.web.security import require_same_origin
from trust.errors import Problem, SealgateError


def form() -> Response:
    """The empty form, with how to sign."""
    return _page(())


def send() -> Response | tuple[Response, int]:
    """Take a wheel and its bundle; go to the version's page, or show every refusal together."""
    require_same_origin(request)
    services = current()
    try:
        accepted = intake.submit_form(services, request)
    except SealgateError as refusal:
        return _page(refusal.problems), status_of(refusal)
    return redirect(url_for("web.version", name=accepted.name, version=accepted.version), 303)


def _page(problems: tuple[Problem, ...]) -> Response:
    offer = signing.offered()
    html = render_template(
        "submit.html",
        problems=problems,
        max_bytes=current().settings.max_upload_bytes,
        issuers=sorted(current().settings.trusted_issuers),
        signing=offer,
    )
    return signing.page(html, offer)
