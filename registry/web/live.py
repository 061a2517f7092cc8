"""Where a version stands, as JSON for the page's script, which follows it without reloading.

Everything in it is text that the page shows anyway; the script puts it in as text.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Response, request

from registry import queries
from registry.readmodel import VersionView
from registry.services import current
from registry.states import SETTLED
from registry.web import browse
from registry.web.formats import event_of, iso, moment, state_of, visible

REFRESH = (5, 60)
"""Seconds between two reloads that a page without script may ask for."""


def follows(view: VersionView) -> bool:
    """Say whether anything can still happen to the version by itself."""
    return view.state not in SETTLED


def status(name: str, version: str) -> Response:
    """Answer with the version's state, road and timeline, or 304 where nothing changed."""
    view = queries.version(current(), name, version)
    response = Response(_body(view), mimetype="application/json")
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(tag(view))
    response.make_conditional(request)
    return response


def tag(view: VersionView) -> str:
    """Return the entity tag of the version's status: a digest of all that it says."""
    return hashlib.sha256(_body(view)).hexdigest()[:32]


def refresh_seconds() -> int | None:
    """Return after how many seconds the request asks to be reloaded; None for never."""
    text = request.args.get("refresh", "")
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        return None
    return min(max(int(text), REFRESH[0]), REFRESH[1])


def _body(view: VersionView) -> bytes:
    return json.dumps(_content(view), ensure_ascii=False).encode()


def _content(view: VersionView) -> dict[str, Any]:
    label, tone = state_of(view.state)
    return {
        "state": {"label": label, "tone": tone},
        "steps": [
            {"name": name, "tone": tone, "word": visible(word)}
            for name, tone, word in browse.steps(view)
        ],
        "waits": "" if view.waits_for == "nothing" else visible(view.waits_for),
        "events": [
            {
                "label": event_of(event.event)[0],
                "tone": event_of(event.event)[1],
                "at": iso(event.at),
                "moment": moment(event.at),
                "actor": visible(event.actor.subject) if event.actor else "",
                "detail": visible(event.detail),
            }
            for event in view.timeline
        ],
        "follows": follows(view),
    }
