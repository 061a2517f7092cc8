"""The addresses of the packaging tools' interfaces, each a few lines around one function."""

from __future__ import annotations

import json

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from registry import coremetadata
from registry.names import normalised
from registry.pypi import attestations, index, negotiation, published, refusals
from registry.pypi.upload import upload
from registry.services import current
from trust.errors import SealgateError

blueprint = Blueprint("pypi", __name__)
blueprint.register_error_handler(SealgateError, refusals.on_refusal)
blueprint.register_error_handler(HTTPException, refusals.on_http)
blueprint.add_url_rule("/legacy/", "upload", upload, methods=["POST"])

IMMUTABLE = "public, max-age=31536000, immutable"
INTEGRITY = "application/vnd.pypi.integrity.v1+json"
METADATA_SUFFIX = ".metadata"


@blueprint.get("/simple/")
def names() -> ResponseReturnValue:
    """List every project with a published version."""
    found = published.names(current())
    return negotiation.page(
        request, lambda: index.names_json(found), lambda: index.names_html(found)
    )


@blueprint.get("/simple/<name>/")
def project(name: str) -> ResponseReturnValue:
    """List the published files of one project, at the address of its normalised name."""
    normal = normalised(name)
    if normal is not None and normal != name:
        return redirect(url_for("pypi.project", name=normal), 301)
    services = current()
    files = published.project(services, name)
    base = services.settings.base_url
    return negotiation.page(
        request,
        lambda: index.project_json(files, base),
        lambda: index.project_html(files, base),
    )


@blueprint.get("/files/<sha256>/<filename>")
def file(sha256: str, filename: str) -> ResponseReturnValue:
    """Download a published wheel, or its METADATA under the name with `.metadata` (PEP 658)."""
    services = current()
    name = filename.removesuffix(METADATA_SUFFIX)
    found = published.file(services, sha256, name)
    data = services.blobs.read(found.sha256)
    if name == filename:
        return _immutable(data, found.sha256, "application/zip")
    core = coremetadata.read(data)
    return _immutable(core.data, core.sha256, "text/plain")


def _immutable(data: bytes, sha256: str, mimetype: str) -> Response:
    response = Response(data, mimetype=mimetype)
    response.headers["Cache-Control"] = IMMUTABLE
    response.set_etag(sha256)
    response.make_conditional(request)
    return response


@blueprint.get("/integrity/<name>/<version>/<filename>/provenance")
def provenance(name: str, version: str, filename: str) -> ResponseReturnValue:
    """Show who signed a published file, with the attestation (PEP 740)."""
    signer, bundle = published.evidence(current(), name, version, filename)
    body = json.dumps(attestations.provenance(signer, bundle))
    response = Response(body, mimetype=INTEGRITY)
    response.headers["Cache-Control"] = "public, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
