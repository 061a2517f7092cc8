"""The JSON API: every resource of /api/v1, each a few lines around one function.

Downloads are named by their digest: `ETag` is the SHA-256, and what is addressed by digest is
immutable for caches (RFC 8246).
"""

from __future__ import annotations

import io
from typing import Any

from flask import Blueprint, Response, jsonify, request, send_file
from flask.typing import ResponseReturnValue

from registry import intake, jsonviews, queries, reviews
from registry.accounts.authorization import check_token
from registry.dependencies import store as locked
from registry.errors import BadRequest, Conflict, NotFound, UnsupportedMedia
from registry.openapi import document
from registry.services import current
from registry.settings import MAX_BUNDLE
from registry.signin import completion
from trust.errors import Problem, problem

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")

IMMUTABLE = "public, max-age=31536000, immutable"
JSON_TYPES = ("application/json", "application/vnd.dev.sigstore.bundle.v0.3+json")
SARIF = "application/sarif+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_PAGE = 1_000_000


def _base() -> str:
    return current().settings.base_url


def _number(name: str, default: int, most: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise BadRequest(
            problem(
                "http.query",
                "a parameter of the query is not as it must be",
                value=text,
                expected=f"a whole number from 1 to {most}",
                advice="correct it or leave it out",
                where=name,
            )
        )
    return int(text)


def _paging() -> tuple[int, int]:
    return (
        _number("page", 1, MAX_PAGE),
        _number("per_page", queries.PER_PAGE, queries.MAX_PER_PAGE),
    )


def _download(data: bytes, sha256: str, mimetype: str, filename: str, caching: str) -> Response:
    response = send_file(
        io.BytesIO(data),
        mimetype=mimetype,
        as_attachment=True,
        download_name=filename,
        etag=sha256,
        conditional=True,
    )
    response.headers["Cache-Control"] = caching
    return response


@blueprint.post("/submissions")
def submit() -> ResponseReturnValue:
    """Take a wheel and its author's bundle."""
    services = current()
    result = intake.submit_form(services, request, check_token)
    view = jsonviews.version(queries.version(services, result.name, result.version), _base())
    response = jsonify(view)
    response.status_code = 201 if result.created else 200
    response.headers["Location"] = view["links"]["self"]
    return response


@blueprint.get("/plugins")
def plugins() -> ResponseReturnValue:
    """List plugins, or search them."""
    text = request.args.get("q", "")
    if len(text) > 200 or "\0" in text:
        raise BadRequest(
            problem(
                "http.query",
                "a parameter of the query is not as it must be",
                value=text,
                expected="at most 200 characters",
                advice="search for less",
                where="q",
            )
        )
    page = queries.search_plugins(current(), text.strip(), *_paging())
    return jsonify(jsonviews.page(page, jsonviews.plugin, _base(), "/api/v1/plugins"))


@blueprint.get("/plugins/<name>")
def plugin(name: str) -> ResponseReturnValue:
    """Show a plugin with its versions."""
    return jsonify(jsonviews.plugin(queries.plugin(current(), name), _base()))


@blueprint.get("/plugins/<name>/<version>")
def version(name: str, version: str) -> ResponseReturnValue:
    """Show a version: state, timeline, scan, reviews."""
    return jsonify(jsonviews.version(queries.version(current(), name, version), _base()))


@blueprint.get("/plugins/<name>/<version>/wheel")
def wheel(name: str, version: str) -> ResponseReturnValue:
    """Download the wheel, in whatever state the version is: reviewers read what is not published.

    A version never means another file, so the address is as immutable as the digest.
    """
    filename, sha256, data = queries.wheel(current(), name, version)
    return _download(data, sha256, "application/zip", filename, IMMUTABLE)


@blueprint.get("/plugins/<name>/<version>/report")
def report(name: str, version: str) -> ResponseReturnValue:
    """Download the scan report."""
    found = queries.report(current(), name, version)
    if found is None:
        raise _not_scanned(name, version)
    sha256, data = found
    return _download(data, sha256, SARIF, f"{name}-{version}.sarif", "no-cache")


def _not_scanned(name: str, version: str) -> NotFound:
    return NotFound(
        problem(
            "registry.not-scanned",
            "this version has no scan yet",
            value=f"{name} {version}",
            expected="a version whose scan has ended",
            advice="ask again when its state is in_review",
        )
    )


@blueprint.get("/plugins/<name>/<version>/evidence")
def evidence(name: str, version: str) -> ResponseReturnValue:
    """List the stored bundles: who signed which step."""
    view = queries.version(current(), name, version)
    return jsonify({"evidence": [jsonviews.evidence(item, _base()) for item in view.evidence]})


@blueprint.get("/plugins/<name>/<version>/evidence/<sha256>")
def bundle(name: str, version: str, sha256: str) -> ResponseReturnValue:
    """Download one bundle."""
    found = queries.bundle(current(), name, version, sha256)
    if found is None:
        raise NotFound(
            problem(
                "registry.no-such-evidence",
                "this version has no such bundle",
                value=sha256,
                expected="a digest from the version's list of evidence",
                advice="see the list at the same address without the digest",
            )
        )
    filename, data = found
    return _download(data, sha256, BUNDLE, filename, IMMUTABLE)


@blueprint.get("/plugins/<name>/<version>/dependencies")
def dependencies(name: str, version: str) -> ResponseReturnValue:
    """List the wheels that the version's lock names."""
    services = current()
    return jsonify({"dependencies": locked.listing(services, name, version)})


@blueprint.get("/plugins/<name>/<version>/dependencies/<sha256>")
def dependency(name: str, version: str, sha256: str) -> ResponseReturnValue:
    """Download one of them."""
    filename, data = locked.download(current(), name, version, sha256)
    return _download(data, sha256, "application/zip", filename, IMMUTABLE)


@blueprint.get("/plugins/<name>/<version>/review-materials")
def review_materials(name: str, version: str) -> ResponseReturnValue:
    """Show what a signed review must name."""
    view = queries.materials(current(), name, version)
    if view is None:
        raise Conflict(_not_scanned(name, version).problems)
    return jsonify(jsonviews.materials(view))


def _json_wanted() -> Problem:
    return problem(
        "http.content-type",
        "the request's content type is not taken here",
        value=request.content_type or "none",
        expected=JSON_TYPES[0],
        advice="send the JSON itself as the request's body",
    )


@blueprint.post("/plugins/<name>/<version>/reviews")
def review(name: str, version: str) -> ResponseReturnValue:
    """Take a signed review."""
    if request.mimetype not in JSON_TYPES:
        raise UnsupportedMedia(_json_wanted())
    request.max_content_length = MAX_BUNDLE
    created = reviews.post(current(), name, version, request.get_data(cache=False))
    view = jsonviews.version(queries.version(current(), name, version), _base())
    response = jsonify(view)
    response.status_code = 201 if created else 200
    return response


@blueprint.post("/signing/complete")
def complete_signature() -> ResponseReturnValue:
    """Add log entry and timestamp to a signature that a page made."""
    if request.mimetype != JSON_TYPES[0]:
        raise UnsupportedMedia(_json_wanted())
    request.max_content_length = MAX_BUNDLE
    data = completion.complete(current(), request.get_data(cache=False))
    return Response(data, mimetype=BUNDLE)


@blueprint.get("/queue")
def queue() -> ResponseReturnValue:
    """List the versions in review, longest waiting first."""
    page = queries.queue(current(), *_paging())
    return jsonify(jsonviews.page(page, jsonviews.queue_item, _base(), "/api/v1/queue"))


def openapi() -> ResponseReturnValue:
    """Show the OpenAPI 3.1 document."""
    services = current()
    body: dict[str, Any] = document(services.settings.base_url, services.settings.max_upload_bytes)
    return jsonify(body)
