"""What is sent as a form: files by name, each exactly once, and nothing else."""

from __future__ import annotations

from collections.abc import Collection

from flask import Request
from werkzeug.datastructures import FileStorage

from registry.errors import BadRequest, UnsupportedMedia
from trust.errors import Problem, problem

MULTIPART = "multipart/form-data"


def files(
    request: Request,
    names: Collection[str],
    ignored: Collection[str] = (),
    several: Collection[str] = (),
) -> dict[str, tuple[str, bytes]]:
    """Return (file name, contents) of each file of a multipart/form-data body (RFC 7578).

    Args:
        request: the request.
        names: the fields that must be there, each as one file.
        ignored: text fields that may be there too.
        several: fields that may be there any number of times, as files: see `many`.

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
        if name in request.form:
            problems.append(_bad(name, "text", "is text instead of a file"))
        elif not parts:
            problems.append(_bad(name, "no file", "is missing"))
        elif len(parts) > 1:
            problems.append(_bad(name, f"{len(parts)} files", "is there more than once"))
        elif not parts[0].filename:
            problems.append(_bad(name, "no file name", "has no file name"))
        else:
            found[name] = (parts[0].filename, parts[0].stream.read())
    problems += [
        _bad(name, "text", "is text instead of a file") for name in several if name in request.form
    ]
    known = {*names, *ignored, *several}
    problems += [
        problem(
            "http.field",
            "the form has a field that is unknown here",
            value=name,
            expected="only " + ", ".join(names),
            advice="leave it out",
            where=name,
        )
        for name in dict.fromkeys([*request.files, *request.form])
        if name not in known
    ]
    if problems:
        raise BadRequest(problems)
    return found


def many(request: Request, name: str) -> list[tuple[str, bytes]]:
    """Return (file name, contents) of every file of a field that may be there several times."""
    return [(part.filename or "", part.stream.read()) for part in request.files.getlist(name)]


def _bad(name: str, value: str, what: str) -> Problem:
    return problem(
        "http.field",
        f"the form's field {name} {what}",
        value=value,
        expected="exactly one file with its file name",
        advice=f"send the field {name} as one file",
        where=name,
    )
