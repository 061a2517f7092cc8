"""The two files that are targets beside the wheels: a plugin's index, and a version's evidence.

Both are strict JSON. Evidence holds each bundle's exact text as a JSON string, so that what comes
out has the digests of what went in, however a bundle was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from trust import strictjson
from trust.errors import SealgateError, problem

MAX_BUNDLES: Final = 64
MAX_VERSIONS: Final = 100_000
MAX_BYTES: Final = 32 << 20
_SCHEMA = 1


class RecordRefused(SealgateError):
    """An index or an evidence file cannot be read."""


def _refused(value: object, expected: str) -> RecordRefused:
    return RecordRefused(
        problem(
            "tuf.record",
            "a file that the repository signed cannot be read",
            value=value,
            expected=expected,
            advice="ask the operator to look at the registry; nothing was run",
        )
    )


def write_index(name: str, filenames: Mapping[str, str]) -> bytes:
    """Return a plugin's index.

    Args:
        name: the plugin's normalised name.
        filenames: version -> the wheel's file name.
    """
    versions = [
        {"version": version, "filename": filenames[version]}
        for version in sorted(filenames, key=Version)
    ]
    return strictjson.dumps({"schema_version": _SCHEMA, "name": name, "versions": versions})


def read_index(data: bytes, name: str) -> dict[str, str]:
    """Read a plugin's index: version -> file name, lowest version first.

    Raises:
        RecordRefused: it is malformed, or another plugin's.
    """
    document = _document(data, {"schema_version", "name", "versions"})
    if document["name"] != name:
        raise _refused(document["name"], name)
    found: dict[Version, str] = {}
    lines = document["versions"]
    if not isinstance(lines, list) or len(lines) > MAX_VERSIONS:
        raise _refused(lines, f"a list of at most {MAX_VERSIONS} versions")
    for line in lines:
        if not isinstance(line, dict) or set(line) != {"version", "filename"}:
            raise _refused(line, "version and filename")
        try:
            version = Version(line["version"])
        except (InvalidVersion, TypeError) as error:
            raise _refused(line["version"], "a PEP 440 version") from error
        if version in found or not isinstance(line["filename"], str):
            raise _refused(line, "each version once, with its file name")
        found[version] = line["filename"]
    return {str(version): found[version] for version in sorted(found)}


def write_evidence(bundles: Iterable[bytes]) -> bytes:
    """Return the file that holds a version's bundles.

    Args:
        bundles: Sigstore bundles (JSON in UTF-8).

    Raises:
        UnicodeDecodeError: one is no text.
    """
    texts = [bundle.decode("utf-8") for bundle in bundles]
    return strictjson.dumps({"schema_version": _SCHEMA, "bundles": texts})


def read_evidence(data: bytes) -> tuple[bytes, ...]:
    """Return the bundles, byte for byte as they were.

    Raises:
        RecordRefused: it is malformed, or has more than `MAX_BUNDLES`.
    """
    bundles: Sequence[Any] = _document(data, {"schema_version", "bundles"})["bundles"]
    if (
        not isinstance(bundles, list)
        or len(bundles) > MAX_BUNDLES
        or not all(isinstance(text, str) for text in bundles)
    ):
        raise _refused(bundles, f"a list of at most {MAX_BUNDLES} bundles as text")
    return tuple(text.encode("utf-8") for text in bundles)


def _document(data: bytes, members: set[str]) -> dict[str, Any]:
    try:
        document = strictjson.loads(data, max_bytes=MAX_BYTES)
    except strictjson.InvalidJSON as error:
        raise RecordRefused(error.problems) from error
    if not isinstance(document, dict) or set(document) != members:
        raise _refused(document, ", ".join(sorted(members)))
    if document["schema_version"] != _SCHEMA:
        raise _refused(document["schema_version"], f"schema_version {_SCHEMA}")
    return document
