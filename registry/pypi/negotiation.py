"""Which form of a page a client gets (PEP 691), and that it need not fetch what it has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar

from flask import Request, Response

from registry.errors import RegistryError
from trust.errors import problem

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
LEGACY = "text/html"

OFFERED = {
    LEGACY: LEGACY,
    HTML: HTML,
    "application/vnd.pypi.simple.latest+html": HTML,
    JSON: JSON,
    "application/vnd.pypi.simple.latest+json": JSON,
}
"""What may be asked for -> what is answered. The first is for those who take anything."""


class NotAcceptable(RegistryError):
    """The client takes none of the forms that a page has."""

    status: ClassVar[HTTPStatus] = HTTPStatus.NOT_ACCEPTABLE


def choose(request: Request) -> str:
    """Return the media type of the answer.

    Raises:
        NotAcceptable: the client takes none of them.
    """
    if not request.accept_mimetypes:
        return LEGACY
    best = request.accept_mimetypes.best_match(OFFERED)
    if best is None:
        raise NotAcceptable(
            problem(
                "http.406",
                "the client takes none of the forms that this page has",
                value=request.headers.get("Accept", ""),
                expected=", ".join((JSON, HTML, LEGACY)),
                advice="ask for one of them in the Accept header (PEP 691)",
                where="Accept",
            )
        )
    return OFFERED[best]


def page(request: Request, as_json: Callable[[], bytes], as_html: Callable[[], bytes]) -> Response:
    """Return the page in the form that the client prefers, with `Vary` and `ETag`.

    Raises:
        NotAcceptable: the client takes none of them.
    """
    kind = choose(request)
    body = as_json() if kind == JSON else as_html()
    response = Response(body, content_type=kind if kind == JSON else f"{kind}; charset=utf-8")
    response.vary.add("Accept")
    # One digest for each form: the type is part of what is compared.
    response.set_etag(hashlib.sha256(kind.encode() + b"\0" + body).hexdigest())
    response.headers["Cache-Control"] = "public, no-cache"
    response.make_conditional(request)
    return response
