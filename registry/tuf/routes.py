"""`/tuf/`: the repository's files as they are. Nothing here can sign or change anything."""

from __future__ import annotations

import re
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, request, send_file
from werkzeug.exceptions import HTTPException, NotFound

from registry.tuf.store import METADATA_NAME

blueprint = Blueprint("tuf", __name__, url_prefix="/tuf")

IMMUTABLE = "public, max-age=31536000, immutable"
FOLDER = "sealgate.tuf"
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.!+-]*")


def install(app: Flask, folder: Path | None) -> None:
    """Serve the repository in `folder`; without one, nothing is there."""
    app.extensions[FOLDER] = folder.resolve() if folder else None
    app.register_blueprint(blueprint)


def _folder() -> Path:
    found: Path | None = current_app.extensions[FOLDER]
    if found is None:
        raise NotFound
    return found


@blueprint.errorhandler(404)
def _absent(_: HTTPException) -> Response:
    """Answer shortly: a client asks for the next root at each refresh, and there mostly is none."""
    return Response("not found\n", status=404, mimetype="text/plain")


def _send(path: Path, mimetype: str, *, immutable: bool) -> Response:
    if not path.is_file() or path.is_symlink():
        raise NotFound
    response = send_file(path, mimetype=mimetype, conditional=True)
    response.headers["Cache-Control"] = IMMUTABLE if immutable else "public, no-cache"
    response.make_conditional(request)
    return response


@blueprint.get("/metadata/<name>")
def metadata(name: str) -> Response:
    """Hand out one metadata file. Only `timestamp.json` ever changes."""
    if not METADATA_NAME.fullmatch(name):
        raise NotFound
    path = _folder() / "metadata" / name
    return _send(path, "application/json", immutable=name != "timestamp.json")


@blueprint.get("/targets/<path:path>")
def target(path: str) -> Response:
    """Hand out one target under the name with its digest."""
    parts = path.split("/")
    if len(parts) > 8 or not all(_PART.fullmatch(part) for part in parts):
        raise NotFound
    return _send(_folder().joinpath("targets", *parts), "application/octet-stream", immutable=True)
