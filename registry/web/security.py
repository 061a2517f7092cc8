"""The refusal of forms that other sites send.

A write that bears trust counts only by the signature in it. The check of the form's origin keeps
another site from making a visitor's browser upload on its behalf anyway, and from using what their
session opens (`registry.accounts.authorization` asks for it there).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Request

from registry.errors import Forbidden
from trust.errors import problem


def require_same_origin(request: Request) -> None:
    """Refuse a form that was not sent from our own page.

    `Sec-Fetch-Site` (Fetch Metadata) decides where a browser sends it, else `Origin`; a request
    with neither is refused as well: what is not a browser has the JSON API.

    Raises:
        Forbidden: the form came from elsewhere, or does not say where from.
    """
    site = request.headers.get("Sec-Fetch-Site", "")
    origin = request.headers.get("Origin", "")
    if site and site not in ("same-origin", "none"):
        raise _refused(f"Sec-Fetch-Site: {site}")
    if origin and urlsplit(origin).netloc != request.host:
        raise _refused(f"Origin: {origin}")
    if not site and not origin:
        raise _refused("neither Sec-Fetch-Site nor Origin")


def _refused(value: str) -> Forbidden:
    return Forbidden(
        problem(
            "web.cross-site",
            "the form was not sent from this registry's own page",
            value=value,
            expected="a form that this registry's page sent",
            advice="open the page here and send the form from it, or use the JSON API",
        )
    )
