"""The pages of the Simple API, in JSON and in HTML, from the same files.

PEP 503 (HTML), 592 (yanked: what was taken back, with the reason), 658 and 714 (core metadata),
691 (JSON), 700 (versions, size, upload time), 740 (provenance). A file's address is relative, so
that the index works at whatever address a proxy gives it; the provenance's is absolute, as PEP 740
demands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from registry.pypi.published import File

API_VERSION = "1.3"
"""1.3 is PEP 740's; https://packaging.python.org/en/latest/specifications/simple-repository-api/"""

_HEAD = Markup(
    "<!DOCTYPE html>\n<html>\n<head>\n"
    '<meta name="pypi:repository-version" content="{version}">\n'
    "<title>{title}</title>\n</head>\n<body>\n"
)
_FOOT = Markup("</body>\n</html>\n")


def file_path(file: File) -> str:
    """Return the path of a file's download, relative to the registry's address."""
    return f"/files/{file.sha256}/{quote(file.filename)}"


def provenance_url(file: File, base_url: str) -> str:
    """Return the absolute URL of a file's provenance."""
    return (
        f"{base_url}/integrity/{quote(file.name)}/{quote(file.version)}/"
        f"{quote(file.filename)}/provenance"
    )


def _html(title: str, lines: Iterable[Markup]) -> bytes:
    head = _HEAD.format(version=API_VERSION, title=title)
    return f"{head}{Markup().join(lines)}{_FOOT}".encode()


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps({"meta": {"api-version": API_VERSION}} | body).encode()


def names_json(names: Sequence[str]) -> bytes:
    """Return the list of projects as JSON."""
    return _json({"projects": [{"name": name} for name in names]})


def names_html(names: Sequence[str]) -> bytes:
    """Return the list of projects as HTML."""
    line = Markup('<a href="{name}/">{name}</a><br>\n')
    return _html("Simple index", (line.format(name=name) for name in names))


def project_json(files: Sequence[File], base_url: str) -> bytes:
    """Return the files of one project as JSON.

    Args:
        files: at least one, lowest version first.
        base_url: the registry's address, without a trailing slash.
    """
    return _json(
        {
            "name": files[0].name,
            "versions": [file.version for file in files],
            "files": [_entry(file, base_url) for file in files],
        }
    )


def _entry(file: File, base_url: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "filename": file.filename,
        "url": f"../..{file_path(file)}",
        "hashes": {"sha256": file.sha256},
        "size": file.size,
        "upload-time": f"{file.published_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "core-metadata": {"sha256": file.metadata_sha256},
        "yanked": file.yanked if file.yanked is not None else False,
        "provenance": provenance_url(file, base_url),
    }
    if file.requires_python:
        entry["requires-python"] = file.requires_python
    return entry


def project_html(files: Sequence[File], base_url: str) -> bytes:
    """Return the files of one project as HTML; the arguments are those of `project_json`."""
    line = Markup(
        '<a href="../..{path}#sha256={sha256}"{python} data-core-metadata="sha256={metadata}"'
        ' data-provenance="{provenance}"{yanked}>{filename}</a><br>\n'
    )
    yanked = Markup(' data-yanked="{}"')
    python = Markup(' data-requires-python="{}"')
    return _html(
        f"Links for {files[0].name}",
        (
            line.format(
                path=file_path(file),
                sha256=file.sha256,
                python=python.format(file.requires_python) if file.requires_python else "",
                metadata=file.metadata_sha256,
                provenance=provenance_url(file, base_url),
                yanked=yanked.format(file.yanked) if file.yanked is not None else "",
                filename=file.filename,
            )
            for file in files
        ),
    )
