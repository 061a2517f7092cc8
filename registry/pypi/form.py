"""The form of the upload interface (`:action=file_upload`), and what it must agree with.

https://docs.pypi.org/api/upload/ . The form repeats what the wheel says of itself. Nothing of the
repetition is kept; where it differs from the wheel, somebody means another file, and the upload
is refused with both values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Request
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from packaging.version import Version as Pep440

from registry import coremetadata, forms
from registry.errors import BadRequest, Unprocessable
from registry.settings import MAX_BUNDLE
from trust.errors import Problem, problem

TEXT_BYTES = 1 << 20
"""Bytes of all text fields beside the attestations; a description may be long."""
MAX_PARTS = 2000

CONTENT = "content"
ATTESTATIONS = "attestations"


def _text(value: str) -> str:
    return " ".join(value.split())


def _version(value: str) -> str:
    try:
        return str(Pep440(value))
    except InvalidVersion:
        return value


def _specifiers(value: str) -> str:
    try:
        return ",".join(sorted(str(s) for s in SpecifierSet(value)))
    except InvalidSpecifier:
        return value


COMPARED: dict[str, Callable[[str], str]] = {
    "metadata_version": _text,
    "name": canonicalize_name,
    "version": _version,
    "summary": _text,
    "requires_python": _specifiers,
    "author": _text,
    "author_email": _text,
    "maintainer": _text,
    "maintainer_email": _text,
    "license": _text,
    "license_expression": _text,
    "home_page": _text,
    "download_url": _text,
    "description": _text,
    "description_content_type": _text,
}
"""Fields that stand once in form and METADATA, and the form in which both are compared."""

DIGESTS: dict[str, Callable[[bytes], str]] = {
    "sha256_digest": lambda data: hashlib.sha256(data).hexdigest(),
    "blake2_256_digest": lambda data: hashlib.blake2b(data, digest_size=32).hexdigest(),
    "md5_digest": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}

SINGLE = (":action", "protocol_version", "filetype", "pyversion", ATTESTATIONS, *COMPARED, *DIGESTS)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as it was sent.

    Attributes:
        filename: the file's name.
        content: its bytes.
        attestations: the JSON text of that field, None where it is not there.
        fields: every other text field's one value, by name.
    """

    filename: str
    content: bytes = field(repr=False)
    attestations: str | None = field(repr=False)
    fields: dict[str, str] = field(repr=False)


def read(request: Request) -> Upload:
    """Read the form, and check what needs no wheel: action, protocol, file type, digests.

    Raises:
        UnsupportedMedia: the body is no form.
        BadRequest: it is malformed, or another action's.
        Unprocessable: it is no wheel's, or a digest is another file's.
        RequestEntityTooLarge: it exceeds the bounds.
    """
    request.max_form_memory_size = MAX_BUNDLE + TEXT_BYTES
    request.max_form_parts = MAX_PARTS
    found = forms.files(request, (CONTENT,), ignored=_text_fields(request))
    filename, content = found[CONTENT]
    fields: dict[str, str] = {}
    problems: list[Problem] = []
    for name in SINGLE:
        values = request.form.getlist(name)
        if len(set(values)) > 1:
            problems.append(_different("http.field", name, values, "one value"))
        elif values:
            fields[name] = values[0]
    for name, expected in ((":action", "file_upload"), ("protocol_version", "1")):
        if fields.get(name) != expected:
            problems.append(_different("pypi.protocol", name, fields.get(name, "none"), expected))
    if problems:
        raise BadRequest(problems)
    _check_file_type(filename, fields)
    problems = [
        _different("pypi.digest", name, fields[name], digest(content))
        for name, digest in DIGESTS.items()
        if name in fields and fields[name].lower() != digest(content)
    ]
    if problems:
        raise Unprocessable(problems)
    return Upload(filename, content, fields.pop(ATTESTATIONS, None), fields)


def _text_fields(request: Request) -> list[str]:
    """Return the text fields' names: the interface has many, and tools add to them."""
    if request.mimetype != forms.MULTIPART:
        return []  # `forms.files` refuses it
    return [name for name in request.form if name not in request.files]


def _check_file_type(filename: str, fields: dict[str, str]) -> None:
    kind = fields.get("filetype", "bdist_wheel")
    if kind != "bdist_wheel" or filename.endswith((".tar.gz", ".zip")):
        raise Unprocessable(
            problem(
                "pypi.not-a-wheel",
                "this registry takes wheels only: building a source distribution runs its code",
                value=f"{filename} ({kind})",
                expected="a wheel, *-py3-none-any.whl (bdist_wheel)",
                advice="upload the wheel alone: name dist/*.whl, or build with --wheel",
                where="filetype",
            )
        )


def check(upload: Upload) -> None:
    """Compare the form with the wheel's METADATA.

    Args:
        upload: its wheel passed `trust.wheel.inspect_wheel`.

    Raises:
        Unprocessable: they disagree; every difference is named.
    """
    said = coremetadata.read(upload.content).raw
    problems = []
    for name, shape in COMPARED.items():
        if name not in upload.fields:
            continue
        found, expected = upload.fields[name], str(said.get(name, ""))
        if shape(found) != shape(expected):
            problems.append(
                _different("pypi.form-disagrees", name, found, expected or "nothing, as METADATA")
            )
    if upload.fields.get("pyversion", "py3") != "py3":
        problems.append(
            _different("pypi.form-disagrees", "pyversion", upload.fields["pyversion"], "py3")
        )
    if problems:
        raise Unprocessable(problems)


def _different(code: str, name: str, value: object, expected: str) -> Problem:
    return problem(
        code,
        f"the form's field {name} is not what it must be",
        value=value,
        expected=expected,
        advice="upload the file that was built, with an unchanged `uv publish` or `twine upload`",
        where=name,
    )
