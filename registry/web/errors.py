"""Error pages in the house's design: what went wrong, what to do, and the request's id."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from flask import render_template

from trust.errors import Problem

TEXTS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        400: ("The request could not be understood", "Go back and try again."),
        403: ("That is not allowed", "Open the page here and send the form from it."),
        404: ("There is nothing at this address", "Check the address, or search for the plugin."),
        405: ("This address does not take that method", "Follow a link or a form on the pages."),
        409: ("That contradicts what is already recorded", "Read why below."),
        413: ("What was sent is too large", "Send a smaller file."),
        415: ("What was sent is of a kind not taken here", "Use the form on the page."),
        422: ("What was sent is refused", "Read why below."),
        500: (
            "The registry made a mistake",
            "It is not your fault. Try again; if it stays, tell the operator the request id.",
        ),
        503: ("The registry cannot answer now", "Try again in a minute."),
        507: ("The registry has no space left", "Tell the operator; nothing was stored."),
    }
)
"""Status -> (what happened, what to do)."""

SAID_ALREADY = frozenset({"http.404", "http.405"})
"""Problems that say no more than the page's own title does."""


def error_page(
    status: int, title: str, problems: tuple[Problem, ...], request_id: str
) -> tuple[str, int]:
    """Return the page for an HTTP error and its status: a `registry.httperrors.ErrorPage`.

    Args:
        status: the HTTP status code.
        title: the status's phrase, used where this module has no text of its own.
        problems: why; never the text of an unexpected exception.
        request_id: what the operator finds the request by.
    """
    words, advice = TEXTS.get(status, (title, "Go back and try again."))
    page = render_template(
        "error.html",
        status=status,
        title=words,
        advice=advice,
        problems=[p for p in problems if p.code not in SAID_ALREADY],
        request_id=request_id,
    )
    return page, status
