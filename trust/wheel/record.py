"""RECORD: every file of the wheel with its digest and size, and nothing else (PEP 376, PEP 427)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Mapping, Set

from trust.errors import Problem, problem
from trust.wheel import bounds

_ADVICE = "build the wheel with an unmodified PEP 517 backend and do not edit it afterwards"
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")


def _bad(code: str, what: str, value: object, expected: str, where: str) -> Problem:
    return problem(
        f"wheel.{code}", what, value=value, expected=expected, advice=_ADVICE, where=where
    )


def digest_of(body: bytes) -> str:
    """Return RECORD's digest of a content: `sha256=` and unpadded URL-safe base64."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest())
    return "sha256=" + digest.rstrip(b"=").decode("ascii")


def check_record(contents: Mapping[str, bytes], paths: Set[str], dist_info: str) -> list[Problem]:
    """Compare RECORD with the archive, in both directions.

    Args:
        contents: path -> content of the files that could be read.
        paths: every file of the archive, readable or not.
        dist_info: the name of the `.dist-info` folder.
    """
    found = [
        _bad("record-signature", "the wheel has an obsolete signature", path, "no such file", path)
        for path in (f"{dist_info}/{name}" for name in _SIGNATURES)
        if path in paths
    ]
    where = f"{dist_info}/RECORD"
    if where not in contents:
        if where not in paths:
            found.append(_bad("record-missing", "the wheel has no RECORD", where, where, where))
        return found
    rows = _rows(contents[where], where, found)
    listed: set[str] = set()
    for path, digest, size in rows:
        if path in listed:
            what = "RECORD lists a file twice"
            found.append(_bad("record-duplicate", what, path, "each file once", where))
        listed.add(path)
        if path == where:
            if digest or size:
                what, value = "RECORD has a digest of itself", f"{digest},{size}"
                found.append(_bad("record-self", what, value, "empty fields", where))
        elif path not in paths:
            what = "RECORD lists a file that the wheel does not have"
            found.append(_bad("record-extra", what, path, "files of the wheel", where))
        elif path in contents:
            found += _compare(path, digest, size, contents[path])
    for path in sorted(paths - listed):
        what = "a file of the wheel is not listed in RECORD"
        found.append(_bad("record-unlisted", what, path, "a line with digest and size", path))
    return found


def _compare(path: str, digest: str, size: str, body: bytes) -> list[Problem]:
    right = digest_of(body)
    if digest != right:
        what = "RECORD has no SHA-256, or another one, for a file"
        return [_bad("record-digest", what, digest or "no digest", right, path)]
    if size != str(len(body)):
        what = "RECORD has no size, or another one, for a file"
        return [_bad("record-size", what, size or "no size", str(len(body)), path)]
    return []


def _rows(body: bytes, where: str, found: list[Problem]) -> list[tuple[str, str, str]]:
    if len(body) > bounds.MAX_METADATA_BYTES:
        most = f"at most {bounds.MAX_METADATA_BYTES} bytes"
        value = f"{len(body)} bytes"
        found.append(_bad("record-broken", "RECORD is too large", value, most, where))
        return []
    rows: list[tuple[str, str, str]] = []
    try:
        text = body.decode("utf-8")
        for row in csv.reader(io.StringIO(text, newline=""), strict=True):
            if len(row) != 3:
                what, value = "a line of RECORD is broken", ",".join(row)
                found.append(_bad("record-broken", what, value, "path,digest,size", where))
            else:
                rows.append((row[0], row[1], row[2]))
    except (UnicodeDecodeError, csv.Error) as error:
        expected = "comma-separated values in UTF-8"
        found.append(_bad("record-broken", "RECORD cannot be read", error, expected, where))
    return rows
