"""Locked wheels that come with a form, beside the files that it must have.

The lock itself says which bytes they are (`registry.dependencies.store.check`); here only their
number and their size together are bounded, and their names are kept for what is said of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from registry import forms
from registry.errors import TooLarge
from registry.services import Services
from trust.errors import Problem, problem
from trust.wheel.bounds import MAX_DEPENDENCIES

FIELD: Final = "dependency"
"""The form's field for locked wheels; it may be there several times."""
OTHER_PARTS: Final = 16
"""Parts that a form may have beside them."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that was sent as a locked wheel.

    Attributes:
        filename: as the sender calls it; only shown, since the lock goes by digest.
        data: its bytes.
    """

    filename: str
    data: bytes = field(repr=False)


def read(
    services: Services, request: Request, names: Collection[str], ignored: Collection[str] = ()
) -> tuple[dict[str, tuple[str, bytes]], tuple[Sent, ...]]:
    """Return the files of a form (see `registry.forms.files`), and the locked wheels with them.

    A browser sends a file field in which nothing was chosen as one file without name and bytes:
    that is no wheel.

    Args:
        services: the registry's parts.
        request: the request.
        names: the fields that must be there, each as one file.
        ignored: fields that may be there too.

    Raises:
        BadRequest: the form is malformed.
        UnsupportedMedia: the body is no form.
        TooLarge: there are too many locked wheels, or they are too large together.
        RequestEntityTooLarge: the body exceeds the application's bound.
    """
    most = services.settings.max_dependency_bytes
    if request.max_content_length is not None:
        request.max_content_length += most
    request.max_form_parts = MAX_DEPENDENCIES + OTHER_PARTS
    try:
        found = forms.files(request, names, ignored, several=(FIELD,))
    except RequestEntityTooLarge as error:
        if (request.content_length or 0) > (request.max_content_length or 0):
            raise
        raise TooLarge(_too_many(f"more than {request.max_form_parts} parts")) from error
    wheels = tuple(
        Sent(filename, data) for filename, data in forms.many(request, FIELD) if filename or data
    )
    if len(wheels) > MAX_DEPENDENCIES:
        raise TooLarge(_too_many(f"{len(wheels)} files"))
    total = sum(len(wheel.data) for wheel in wheels)
    if total > most:
        raise TooLarge(
            problem(
                "registry.dependencies-too-large",
                "the locked wheels are too large together",
                value=f"{total} bytes",
                expected=f"at most {most} bytes",
                advice="lock fewer or smaller libraries; what the registry has need not be sent",
                where=FIELD,
            )
        )
    return found, wheels


def _too_many(value: str) -> Problem:
    return problem(
        "registry.dependencies-too-many",
        "more files were sent as locked wheels than a lock can name",
        value=value,
        expected=f"at most {MAX_DEPENDENCIES} wheels",
        advice="send only the wheels that pylock.toml names",
        where=FIELD,
    )
