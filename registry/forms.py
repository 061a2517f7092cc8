"""What is sent as a form: files by name, each exactly once, and nothing else."""

from __future__ import annotations

from collections.abc import Collection

from flask import Request
from werkzeug.datastructures import FileStorage

from registry.errors import BadRequest, UnsupportedMedia
from trust.errors import Problem, problem

MULTIPART = "multipart/form-data"


def files(
    request: Request, names: Collection[str], ignored: Collection[str] = ()
) -> dict[str, tuple[str, bytes]]:
    """Return (file name, contents) of each file of a multipart/form-data body (RFC 7578).

    Args:
        request: the request.
        names: the fields that must be there, each as one file.
        ignored: text fields that may be there too.

    Raises:
        UnsupportedMedia: the body is of another type.
        BadRequest: the body is malformed, a field is missing, given twice or unknown.
        RequestEntityTooLarge: the body exceeds the application's bound.
    """
    if request.mimetype != MULTIPART:
        raise UnsupportedMedia(
            problem(
                "http.content-type",
                "the request's content type is not taken here",
                value=request.content_type or "none",
                expected=MULTIPART,
                advice="send the files as a form, such as with curl -F",
            )
        )
    problems: list[Problem] = []
    found: dict[str, tuple[str, bytes]] = {}
    for name in names:
        parts: list[FileStorage] = request.files.getlist(name)
        if len(parts) == 1 and parts[0].filename:
            found[name] = (parts[0].filename, parts[0].stream.read())
            continue
        problems.append(
            _bad(name, f"{len(parts)} files", "exactly one file with a file name", "missing")
            if not parts or not parts[0].filename
            else _bad(name, f"{len(parts)} files", "exactly one file", "repeated")
        )
    unknown = [*request.files.keys(), *(k for k in request.form if k not in ignored)]
    problems += [
        _bad(name, name, "only " + ", ".join(names), "unknown")
        for name in dict.fromkeys(unknown)
        if name not in found and name not in names
    ]
    problems += [_bad(name, "text", "a file", "text") for name in names if name in request.form]
    if problems:
        raise BadRequest(problems)
    return found


def _bad(name: str, value: str, expected: str, kind: str) -> Problem:
    return problem(
        f"http.field-{kind}",
        "a field of the form is not as it must be",
        value=value,
        expected=expected,
        advice=f"send the field {name} as one file" if kind != "unknown" else "leave it out",
        where=name,
    )
