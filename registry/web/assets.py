"""Style sheet, icon and scripts, read once, served under an address that has their digest in it.

The address changes with the content, so a browser may keep what it got for a year.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from flask import Response, abort, url_for

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "sealgate.css": "text/css; charset=utf-8",
        "icon.svg": "image/svg+xml",
        "signing.js": "text/javascript; charset=utf-8",
        "callback.js": "text/javascript; charset=utf-8",
    }
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file: its bytes, media type, and the start of its SHA-256 in hexadecimal."""

    data: bytes
    media_type: str
    digest: str


def _load() -> Mapping[str, Asset]:
    folder = resources.files("registry.web") / "static"
    found = {}
    for name, media_type in _TYPES.items():
        data = (folder / name).read_bytes()
        found[name] = Asset(data, media_type, hashlib.sha256(data).hexdigest()[:16])
    return MappingProxyType(found)


ASSETS: Mapping[str, Asset] = _load()


def asset_url(name: str) -> str:
    """Return the address of the asset `name`, with its digest.

    Raises:
        KeyError: there is no such asset.
    """
    return url_for("web.asset", digest=ASSETS[name].digest, name=name)


def asset(digest: str, name: str) -> Response:
    """Answer with an asset. An address with another digest is not found: it is another file."""
    found = ASSETS.get(name)
    if found is None or found.digest != digest:
        abort(404)
    response = Response(found.data, content_type=found.media_type)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    response.set_etag(found.digest)
    return response
