"""The submit form and the check before it: the same reader and intake as the JSON API's.

The check stores nothing and asks for no signature: it says all at once what a submission of the
file would be refused for. With JavaScript it is asked as soon as a file is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response as FlaskResponse
from flask import jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from registry import intake
from registry.accounts import authorization
from registry.dependencies import sent
from registry.httperrors import status_of
from registry.services import current
from registry.signin import sessions
from registry.web import signing
from registry.web.formats import size, visible
from registry.web.security import require_same_origin
from trust.errors import Problem, SealgateError
from trust.outcomes import Failed
from trust.wheel import Plugin
from trust.wheel.bounds import MAX_DEPENDENCIES

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found; exactly one of `plugin` and `problems` says something.

    `contents` says whether the locked wheels were read, and not only their digests.
    """

    filename: str
    plugin: Plugin | None
    problems: tuple[Problem, ...]
    contents: bool = False

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What was read of an accepted wheel."""
        return facts(self.plugin, self.contents) if self.plugin else []

    def as_dict(self) -> dict[str, Any]:
        """Return it for the page's script: text to show, hidden characters spelled out."""
        found = self.plugin
        return {
            "filename": visible(self.filename),
            "accepted": found is not None,
            "problems": [
                {name: visible(text) for name, text in problem.as_dict().items()}
                for problem in self.problems
            ],
            "facts": [[name, visible(text)] for name, text in self.facts],
        }


def facts(plugin: Plugin, contents: bool) -> list[tuple[str, str]]:
    """Return what was read of an accepted wheel: (name, value) in the order of reading.

    Args:
        plugin: the wheel.
        contents: whether its locked wheels were read too.
    """
    found = [
        ("Plugin", f"{plugin.name} {plugin.version}"),
        ("Summary", plugin.summary),
        ("SHA-256", plugin.sha256),
        ("Size", f"{size(plugin.size)}, {len(plugin.members)} files"),
        ("Methods", ", ".join(plugin.manifest.methods)),
    ]
    if plugin.dependencies:
        locked = ", ".join(f"{item.name} {item.version}" for item in plugin.dependencies)
        unread = "" if contents else " (the digests; what is in them is read for people signed in)"
        found.append(("Locked wheels", f"{len(plugin.dependencies)}: {locked}{unread}"))
    return found


def form() -> FlaskResponse:
    """The empty form, with how to sign."""
    return _page(())


def check() -> FlaskResponse | tuple[FlaskResponse, int]:
    """Read a wheel, and its locked wheels, and say all that is wrong; nothing is stored."""
    require_same_origin(request)
    wants_json = JSON in request.headers.get("Accept", "")
    services = current()
    try:
        found, wheels = sent.read(services, request, ("wheel",), ignored=("bundle",))
    except SealgateError as refusal:
        if wants_json:
            return jsonify(Checked("", None, refusal.problems).as_dict()), status_of(refusal)
        return _page(refusal.problems), status_of(refusal)
    filename, data = found["wheel"]
    account = sessions.state()
    person = account.person if account else None
    outcome = intake.check(services, filename, data, person, wheels)
    if isinstance(outcome, Failed):
        checked = Checked(filename, None, outcome.problems)
    else:
        checked = Checked(filename, outcome.value, (), contents=person is not None)
    if wants_json:
        return jsonify(checked.as_dict())
    return _page((), checked), 200 if checked.plugin else 422


def send() -> Response | tuple[FlaskResponse, int]:
    """Take a wheel, its bundle and its locked wheels; show the version, or every refusal."""
    require_same_origin(request)
    services = current()
    try:
        accepted = intake.submit_form(services, request, authorization.check_token)
    except SealgateError as refusal:
        return _page(refusal.problems), status_of(refusal)
    return redirect(url_for("web.version", name=accepted.name, version=accepted.version), 303)


def _page(problems: tuple[Problem, ...], checked: Checked | None = None) -> FlaskResponse:
    offer = signing.offered()
    html = render_template(
        "submit.html",
        problems=problems,
        checked=checked,
        facts=checked.facts if checked else [],
        max_bytes=current().settings.max_upload_bytes,
        max_dependencies=MAX_DEPENDENCIES,
        max_dependency_bytes=current().settings.max_dependency_bytes,
        fetches=current().settings.dependency_index is not None,
        issuers=sorted(current().settings.trusted_issuers),
        signing=offer,
    )
    return signing.dressed(html, offer.origins if offer else ())
