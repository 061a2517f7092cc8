"""Files that a form sent, or the refusal that names every missing one."""

from __future__ import annotations

from flask import Request

from registry.errors import BadRequest
from trust.errors import problem

WORDS = {
    "wheel": ("no wheel was chosen", "a file *-py3-none-any.whl"),
    "bundle": ("no signature bundle was chosen", "a file *.sigstore.json"),
}


def files(request: Request, *fields: str) -> list[tuple[str, bytes]]:
    """Return the name and the bytes of the file in each of `fields`.

    The body is bounded by the application (`MAX_CONTENT_LENGTH`) and kept in memory.

    Raises:
        BadRequest: a field has no file; every such field is named.
    """
    found, problems = [], []
    for field in fields:
        upload = request.files.get(field)
        if upload is None or not upload.filename:
            what, expected = WORDS[field]
            problems.append(
                problem(
                    f"web.no-{field}",
                    what,
                    expected=expected,
                    advice="choose the file in the form and send it again",
                    where=field,
                )
            )
        else:
            found.append((upload.filename, upload.stream.read()))
    if problems:
        raise BadRequest(problems)
    return found
