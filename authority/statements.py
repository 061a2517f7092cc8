"""The one statement that an authorization request asks somebody to sign.

RFC 9396 carries it: `authorization_details` with one object of our type, whose `statement` is the
in-toto Statement in base64url. The authority reads these exact bytes, shows what they say, and
binds token and certificate to the digest of what will be signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from authority.errors import RequestRefused
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.evidence.bundles import Subject
from trust.evidence.predicates import REVIEW, STATEMENT_TYPE, SUBMIT, check_predicate
from trust.revocation import REVOCATION, check_parts

DETAILS_TYPE = "https://sealgate.dev/authorization/sign-statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_DETAILS = 48 * 1024
"""Bytes of `authorization_details`; a review's comment is most of it."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody is asked to sign.

    Attributes:
        action: `publish`, `approve`, `reject`, `revoke`, `quarantine` or `lift`.
        filename: the wheel's file name, or the name of what is taken back.
        sha256: the subject's digest, lowercase hexadecimal.
        comment: the reviewer's words or the reason, "" for none.
        acknowledged: rule, path and reason of each finding that an approval acknowledges.
        text: the whole statement, indented, in ASCII: nothing in it can hide.
        digest: SHA-256 of the DSSE pre-authentication encoding, lowercase hexadecimal.
    """

    action: str
    filename: str
    sha256: str
    comment: str
    acknowledged: tuple[tuple[str, str, str], ...]
    text: str
    digest: str


def pae(payload: bytes) -> bytes:
    """Return the DSSE v1 pre-authentication encoding of an in-toto payload."""
    return b"DSSEv1 %d %b %d %b" % (
        len(PAYLOAD_TYPE),
        PAYLOAD_TYPE.encode(),
        len(payload),
        payload,
    )


def _refuse(what: str, value: object, expected: str) -> NoReturn:
    raise RequestRefused(
        problem(
            "authority.statement",
            what,
            value=value,
            expected=expected,
            advice="start again from the page that asked for the signature",
        )
    )


def read(details: str) -> Asked:
    """Read an `authorization_details` parameter.

    Raises:
        RequestRefused: it does not have one statement of a kind that people sign in a browser.
    """
    if len(details) > MAX_DETAILS:
        _refuse("the statement is too long", len(details), f"at most {MAX_DETAILS} characters")
    try:
        value: Any = strictjson.loads(details.encode(), max_depth=16)
        encoded = value[0]["statement"]
        if len(value) != 1 or value[0] != {"type": DETAILS_TYPE, "statement": encoded}:
            _refuse("the details are not of one known type", sorted(value[0]), DETAILS_TYPE)
        payload = base64.b64decode(
            encoded.replace("-", "+").replace("_", "/") + "=" * (-len(encoded) % 4), validate=True
        )
        statement: Any = strictjson.loads(payload, max_bytes=MAX_DETAILS, max_depth=16)
        subject = statement["subject"][0]
        filename, sha256 = subject["name"], subject["digest"]["sha256"]
        kind, predicate = statement["predicateType"], statement.get("predicate")
        wanted = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": filename, "digest": {"sha256": sha256}}],
            "predicateType": kind,
            "predicate": predicate,
        }
    except SealgateError as error:
        raise RequestRefused(error.problems) from error
    except (KeyError, IndexError, TypeError, AttributeError, binascii.Error, UnicodeError) as error:
        _refuse("the statement cannot be read", f"{type(error).__name__}: {error}", "a statement")
    if statement != wanted or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        _refuse("the statement has another shape", sorted(statement), "one wheel, one predicate")
    blank = " " if kind == REVOCATION else ""
    if not isinstance(filename, str) or not re.fullmatch(rf"[{blank}!-~]{{1,255}}", filename):
        _refuse("the subject's name is unusable", filename, "printable ASCII")
    if kind == REVOCATION:
        action, comment = _revocation(predicate, Subject(filename, sha256))
    elif kind in (SUBMIT, REVIEW):
        wrong = check_predicate("submit" if kind == SUBMIT else "review", predicate)
        if wrong is not None:
            raise RequestRefused(wrong)
        action = "publish" if kind == SUBMIT else predicate["decision"]
        comment = "" if kind == SUBMIT else predicate.get("comment", "")
    else:
        expected = f"{SUBMIT}, {REVIEW} or {REVOCATION}"
        _refuse("this kind of statement is not signed by people", kind, expected)
    return Asked(
        action=action,
        filename=filename,
        sha256=sha256,
        comment=comment,
        acknowledged=tuple(
            (entry["rule"], entry["path"], entry["reason"])
            for entry in (predicate["acknowledged"] if _answers(kind, predicate) else ())
        ),
        text=json.dumps(statement, indent=2, ensure_ascii=True),
        digest=hashlib.sha256(pae(payload)).hexdigest(),
    )


def _answers(kind: str, predicate: Any) -> bool:
    return kind == REVIEW and "acknowledged" in predicate


def _revocation(predicate: Any, subject: Subject) -> tuple[str, str]:
    """Return what a revocation does and why; refuse one whose subject is not its target."""
    try:
        check_parts(predicate, (subject,))
    except SealgateError as error:
        raise RequestRefused(error.problems) from error
    return predicate["action"], predicate["reason"]
