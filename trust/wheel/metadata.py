"""The wheel's file name and its `.dist-info` files: METADATA, WHEEL and entry_points.txt.

Follows the PyPA specifications *Binary distribution format*, *Core metadata* (read strictly by
`packaging.metadata`) and *Entry points*. What an installer would run or link, console scripts and
other groups of entry points, is refused: a plugin brings everything it needs in its own package,
or locks it by digest (`trust.wheel.lock`).
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import cast

from packaging.metadata import InvalidMetadata, Metadata, parse_email
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from trust.errors import Problem, problem
from trust.wheel import bounds

GROUP = "sealgate.plugins"
"""The entry-point group that names a plugin's package."""

_TAG = "py3-none-any"
_REBUILD = "build the wheel with an unmodified PEP 517 backend and do not edit it afterwards"
_WHEEL_KEYS = frozenset({"Wheel-Version", "Generator", "Root-Is-Purelib", "Tag"})
_DIST_INFO_FILES = frozenset(
    {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "zip-safe"}
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANK_LINE = re.compile(r"(?>\r\n|\r|\n){2}")
_LICENSE_NAMES = re.compile(r"(licen[cs]e|copying|notice|authors)[^/]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileName:
    """The parts of a wheel's file name.

    Attributes:
        name: normalised (PEP 503).
        version: canonical (PEP 440).
        stem: `name-version` exactly as the file name has it; the `.dist-info` folder repeats it.
    """

    name: str
    version: str
    stem: str


def _bad(
    code: str, what: str, value: object, expected: str, where: str, advice: str = _REBUILD
) -> Problem:
    return problem(code, what, value=value, expected=expected, advice=advice, where=where)


def parse_filename(filename: str, found: list[Problem]) -> FileName | None:
    """Read the file name; None if it is not one of a wheel."""
    if len(filename) > bounds.MAX_FILENAME:
        most = f"at most {bounds.MAX_FILENAME} characters"
        found.append(_bad("wheel.filename", "the file name is too long", filename, most, ""))
        return None
    try:
        name, version, build, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        expected = f"name-version-{_TAG}.whl"
        what = "the file name is not one of a wheel"
        found.append(_bad("wheel.filename", what, f"{filename}: {error}", expected, ""))
        return None
    stem = "-".join(filename.split("-")[:2])
    if build:
        what = "the file name has a build number"
        found.append(_bad("wheel.build-number", what, filename, "a new version instead", ""))
    if {str(tag) for tag in tags} != {_TAG}:
        what = "the file name has other tags than those of a pure-Python wheel"
        found.append(_bad("wheel.tag", what, filename, _TAG, ""))
    written_name, written_version = stem.split("-")
    if written_name != name.replace("-", "_"):
        what = "the name in the file name is not normalised"
        expected = name.replace("-", "_")
        found.append(_bad("wheel.name-not-normalised", what, written_name, expected, ""))
    if written_version != str(version):
        what = "the version in the file name is not in canonical form"
        found.append(_bad("wheel.version-not-canonical", what, written_version, str(version), ""))
    if version.local is not None:
        what = "the version is a local one"
        found.append(_bad("wheel.version-local", what, version, version.public, ""))
    return FileName(name, str(version), stem)


def check_dist_info(paths: Set[str], folder: str) -> list[Problem]:
    """Return the files of the `.dist-info` folder that a plugin does not need."""
    found = []
    for path in sorted(paths):
        top, _, rest = path.partition("/")
        if top != folder:
            continue
        first = rest.split("/")[0]
        if (
            rest in _DIST_INFO_FILES
            or first in ("licenses", "sboms")
            or (_LICENSE_NAMES.fullmatch(rest) and not rest.casefold().endswith(".py"))
        ):
            continue
        if rest in ("RECORD.jws", "RECORD.p7s"):
            continue
        what = "the .dist-info folder has a file that is not accepted"
        expected = "METADATA, WHEEL, RECORD, entry_points.txt and license files"
        found.append(_bad("wheel.dist-info-file", what, rest, expected, path))
    return found


def check_wheel_file(contents: Mapping[str, bytes], folder: str) -> list[Problem]:
    """Read WHEEL: version 1.x, pure Python, one tag, no build number."""
    where = f"{folder}/WHEEL"
    text = _text(contents, where)
    if isinstance(text, Problem):
        return [text]
    found: list[Problem] = []
    values: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        key, colon, value = line.partition(":")
        if not colon or key != key.strip() or key in values or key not in _WHEEL_KEYS:
            what = "a line of WHEEL is not accepted"
            expected = f"each of {', '.join(sorted(_WHEEL_KEYS))} once"
            found.append(_bad("wheel.wheel-file", what, line, expected, where))
        values.setdefault(key, value.strip())
    for key, pattern, code in (
        ("Wheel-Version", r"1\.\d+", "wheel.wheel-version"),
        ("Root-Is-Purelib", "(?i:true)", "wheel.not-pure"),
        ("Tag", re.escape(_TAG), "wheel.tag"),
    ):
        if not re.fullmatch(pattern, values.get(key, "")):
            what = f"WHEEL has another {key} than a plugin's"
            expected = {"Wheel-Version": "1.x", "Root-Is-Purelib": "true", "Tag": _TAG}[key]
            found.append(_bad(code, what, values.get(key, "none"), expected, where))
    return found


def check_metadata(
    contents: Mapping[str, bytes], folder: str, name: FileName, found: list[Problem]
) -> Metadata | None:
    """Read METADATA strictly and compare its name and version with the file name's."""
    where = f"{folder}/METADATA"
    text = _text(contents, where)
    if isinstance(text, Problem):
        found.append(text)
        return None
    lines = len(_LINE_END.findall(_BLANK_LINE.split(text, maxsplit=1)[0]))
    if lines > bounds.MAX_METADATA_LINES:
        most = f"at most {bounds.MAX_METADATA_LINES} lines before the description"
        what = "METADATA has too many header lines"
        found.append(_bad("metadata.too-long", what, f"{lines} lines", most, where))
        return None
    try:
        raw, unparsed = parse_email(text)
    except Exception as error:  # noqa: BLE001 - hostile headers; whatever fails is a refusal
        found.append(
            _bad("metadata.invalid", "METADATA cannot be read", error, "core metadata", where)
        )
        return None
    for key, value in sorted(unparsed.items()):
        what = "METADATA has a field that is unknown, stands twice or cannot be read"
        found.append(
            _bad("metadata.unknown-field", what, f"{key}: {value}", "core metadata", where)
        )
    if raw.get("metadata_version", "") in ("2.1", "2.2", "2.3"):
        raw.pop("license_files", None)  # older backends write it before 2.4 defines it
    try:
        metadata = Metadata.from_raw(raw)
    except ExceptionGroup as group:
        for inner in group.exceptions:
            field = inner.field if isinstance(inner, InvalidMetadata) else ""
            what = f"METADATA has an invalid field {field}".rstrip()
            found.append(_bad("metadata.invalid", what, inner, "valid core metadata", where))
        return None
    if canonicalize_name(metadata.name) != name.name:
        what = "METADATA and the file name disagree on the name"
        expected = f"{name.name}, as in the file name"
        found.append(_bad("metadata.name-mismatch", what, metadata.name, expected, where))
    if metadata.version != Version(name.version):
        what = "METADATA and the file name disagree on the version"
        expected = f"{name.version}, as in the file name"
        found.append(_bad("metadata.version-mismatch", what, metadata.version, expected, where))
    elif raw.get("version") != name.version:
        what = "the version in METADATA is not in canonical form"
        found.append(
            _bad("metadata.version-not-canonical", what, raw.get("version"), name.version, where)
        )
    fields = cast(Mapping[str, object], raw)
    for field in ("requires_external", "requires", "provides_dist", "provides"):
        names = fields.get(field)
        if isinstance(names, list) and names:
            what = "the plugin depends on other distributions, or stands for one"
            label = field.replace("_", "-").title()
            advice = "vendor pure-Python dependencies into the plugin's package"
            listed = f"{label}: {', '.join(map(str, names))}"
            code = "metadata.dependencies"
            found.append(_bad(code, what, listed, f"no {label}", where, advice))
    return metadata


def check_entry_points(
    contents: Mapping[str, bytes], folder: str, name: FileName, found: list[Problem]
) -> str | None:
    """Return the package that the one plugin entry point names, or None."""
    where = f"{folder}/entry_points.txt"
    text = _text(contents, where)
    if isinstance(text, Problem):
        found.append(text)
        return None
    parser = configparser.ConfigParser(
        delimiters=("=",), comment_prefixes=("#",), interpolation=None, default_section="\0"
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    try:
        parser.read_string(text)
    except configparser.Error as error:
        what = "entry_points.txt cannot be read"
        expected = "the PyPA entry points format"
        found.append(_bad("metadata.entry-points", what, error, expected, where))
        return None
    for group in parser.sections():
        if group != GROUP:
            what = "the wheel has entry points that an installer or another program would use"
            value = f"[{group}] {', '.join(parser[group])}"
            advice = "a plugin's code runs in the sandbox only; take the other groups away"
            code = "metadata.entry-point-group"
            found.append(_bad(code, what, value, f"[{GROUP}] only", where, advice))
    points = dict(parser[GROUP]) if parser.has_section(GROUP) else {}
    expected = f"{name.name} = its import package, in [{GROUP}]"
    if len(points) != 1:
        what = "the wheel does not have exactly one plugin entry point"
        value = ", ".join(points) or "none"
        found.append(_bad("metadata.entry-point", what, value, expected, where))
        return None
    label, package = next(iter(points.items()))
    if label != name.name:
        what = "the entry point has another name than the plugin"
        found.append(_bad("metadata.entry-point", what, label, expected, where))
    if not package.isidentifier() or not package.isascii():
        what = "the entry point does not name a top-level import package"
        found.append(_bad("metadata.entry-point", what, package, expected, where))
        return None
    return package


def _text(contents: Mapping[str, bytes], where: str) -> str | Problem:
    body = contents.get(where)
    if body is None:
        return _bad("wheel.file-missing", "a file of the wheel is missing", where, where, where)
    if len(body) > bounds.MAX_METADATA_BYTES:
        most = f"at most {bounds.MAX_METADATA_BYTES} bytes"
        return _bad(
            "wheel.file-too-large", "a file is too large", f"{len(body)} bytes", most, where
        )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        return _bad("wheel.file-encoding", "a file is not UTF-8", error, "UTF-8", where)
    if "\0" in text:
        return _bad("wheel.file-encoding", "a file has a null character", "\\0", "text", where)
    return text
