"""Style sheet, icon and scripts, read once, served under an address that has their digest in it.

The address changes with the content, so a browser may keep what it got for a year. All scripts
share one digest, that of all of them together: ES modules import each other by relative address,
and so a page never runs modules of two releases.
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
        "review.css": "text/css; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }
)
_SCRIPT = "text/javascript; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file: bytes, media type, and the start of a SHA-256 (hex) for its address."""

    data: bytes
    media_type: str
    digest: str


def _load() -> Mapping[str, Asset]:
    folder = resources.files("registry.web") / "static"
    found = {}
    for name, media_type in _TYPES.items():
        data = (folder / name).read_bytes()
        found[name] = Asset(data, media_type, hashlib.sha256(data).hexdigest()[:16])
    scripts = {
        item.name: item.read_bytes()
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".js")
    }
    together = hashlib.sha256()
    for name, data in scripts.items():
        together.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    digest = together.hexdigest()[:16]
    found |= {name: Asset(data, _SCRIPT, digest) for name, data in scripts.items()}
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
