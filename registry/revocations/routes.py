"""The HTTP routes: everybody may read, a signed bundle is taken from anybody."""

from __future__ import annotations

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from registry.errors import BadRequest, UnsupportedMedia
from registry.revocations import intake, page
from registry.services import current
from trust.errors import problem
from trust.revocation import MAX_BUNDLE_BYTES

blueprint = Blueprint("revocations", __name__)

JSON_TYPES = ("application/json", "application/vnd.dev.sigstore.bundle.v0.3+json")


@blueprint.get("/api/v1/revocations")
def entries() -> ResponseReturnValue:
    """Return a page of the log."""
    text = request.args.get("since", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(
            problem(
                "http.query",
                "a parameter of the query is not as it must be",
                value=text,
                expected="a number of entries",
                advice="correct it or leave it out",
                where="since",
            )
        )
    response = jsonify(page.page(current(), int(text)).as_dict())
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/api/v1/revocations")
def post() -> ResponseReturnValue:
    """Take a signed revocation."""
    if request.mimetype not in JSON_TYPES:
        raise UnsupportedMedia(
            problem(
                "http.content-type",
                "the request's content type is not taken here",
                value=request.content_type or "none",
                expected=JSON_TYPES[0],
                advice="send the bundle itself as the request's body",
            )
        )
    request.max_content_length = MAX_BUNDLE_BYTES + 1
    taken = intake.post(current(), request.get_data(cache=False))
    response = jsonify(taken.revocation.as_dict())
    response.status_code = 201 if taken.created else 200
    return response
