"""What an attack is called: python-tuf's exceptions as problems with stable codes.

| code | the attack (TUF specification 1.5.2) |
|---|---|
| `tuf.expired` | indefinite freeze: metadata that is past its time |
| `tuf.rollback` | rollback: a version lower than one that was seen, or an entry removed |
| `tuf.mix-and-match` | files of different states: another version, length or hash than was signed |
| `tuf.signature` | wrong or too few signatures, or keys that do not count |
| `tuf.root-chain` | a root that does not follow the one before it |
| `tuf.endless-data` | more bytes than the bound |
| `tuf.slow` | slow retrieval |
| `tuf.other-bytes` | arbitrary software: a target with other bytes than were signed |
| `tuf.malformed` | what is no metadata at all |
| `tuf.unreachable` | no answer: no attack that could be told from a broken network |
"""

from __future__ import annotations

import re
from typing import Final

from tuf.api import exceptions
from tuf.api.serialization import DeserializationError

from trust.errors import Problem, problem

UNDECIDED: Final = frozenset({"tuf.unreachable", "tuf.slow", "tuf.stale", "tuf.storage"})
"""Codes that say that nothing was learned; every other one says that something is wrong."""

_UNNAMED = re.compile("not part of snapshot|Snapshot does not contain")
_ADVICE = "nothing that was signed before is lost; ask the operator to look at the repository"


def _problem(code: str, what: str, value: object, expected: str, where: str) -> Problem:
    return problem(code, what, value=value, expected=expected, advice=_ADVICE, where=where)


def named(error: Exception, where: str) -> Problem:
    """Return the problem that names what python-tuf found.

    Args:
        error: what it raised.
        where: the address that was asked for last.
    """
    name = where.rpartition("/")[2]
    match error:
        case exceptions.ExpiredMetadataError():
            return _problem(
                "tuf.expired", "the repository's metadata has expired; it may be withheld (freeze)",
                error, "metadata that is renewed in time", where,
            )  # fmt: skip
        case exceptions.UnsignedMetadataError():
            return _problem(
                "tuf.signature", "metadata is not signed by enough of the keys that count",
                error, "the threshold of distinct keys", where,
            )  # fmt: skip
        case exceptions.BadVersionNumberError():
            return _version(str(error), name, where)
        case exceptions.LengthOrHashMismatchError() if "/targets/" in where:
            return other_bytes(str(error), where)
        case exceptions.LengthOrHashMismatchError():
            return _problem(
                "tuf.mix-and-match", "metadata has another length or hash than was signed for it",
                error, "files of one snapshot", where,
            )  # fmt: skip
        case DeserializationError():
            return _malformed(error, where)
        case exceptions.RepositoryError() if "missing info" in str(error):
            return _problem(
                "tuf.rollback", "a newer snapshot has lost an entry that an older one had",
                error, "every role that was ever named", where,
            )  # fmt: skip
        case exceptions.RepositoryError() if _UNNAMED.search(str(error)):
            return _problem(
                "tuf.mix-and-match", "a role is delegated to and the snapshot does not name it",
                error, "files of one snapshot", where,
            )  # fmt: skip
        case exceptions.RepositoryError():
            return _malformed(error, where)
        case exceptions.DownloadLengthMismatchError():
            return _problem(
                "tuf.endless-data", "the repository sends more bytes than it may",
                error, "at most what was signed, or the role's bound", where,
            )  # fmt: skip
        case exceptions.SlowRetrievalError():
            return _problem(
                "tuf.slow", "the repository is too slow", error, "an answer in time", where
            )
        case exceptions.DownloadError():
            return _problem(
                "tuf.unreachable", "the repository gave no usable answer",
                error, "the file, with status 200", where,
            )  # fmt: skip
        case OSError():
            return _problem(
                "tuf.storage", "the runner cannot keep the repository's metadata",
                error, "a folder that the runner may write", where,
            )  # fmt: skip
        case _:
            return _malformed(error, where)


def _version(text: str, name: str, where: str) -> Problem:
    """Name a wrong version number by the role that has it and by how it is wrong."""
    if name.endswith(".root.json"):
        return _problem(
            "tuf.root-chain", "a root does not follow the one before it",
            text, "the next version", where,
        )  # fmt: skip
    if name == "timestamp.json" or (text.startswith("Expected") and ".json version" in text):
        return _problem(
            "tuf.rollback", "the repository offers an older state than was seen before (rollback)",
            text, "versions that never go down", where,
        )  # fmt: skip
    return _problem(
        "tuf.mix-and-match", "metadata has another version than was signed for it",
        text, "files of one snapshot", where,
    )  # fmt: skip


def _malformed(error: Exception, where: str) -> Problem:
    value = f"{type(error).__name__}: {error}"
    return _problem(
        "tuf.malformed", "the repository's answer is no TUF metadata of this role",
        value, "TUF metadata (JSON)", where,
    )  # fmt: skip


def other_bytes(value: object, where: str) -> Problem:
    """Return the problem of a target whose bytes are not those that were signed."""
    return _problem(
        "tuf.other-bytes", "a file is not the one that was signed",
        value, "the signed length and hash", where,
    )  # fmt: skip


def no_target(path: str) -> Problem:
    """Return the problem of a target that no role names."""
    return problem(
        "tuf.no-target",
        "the repository does not name this plugin or version as published",
        value=path,
        expected="a published version",
        advice="name another version; a new one is there within seconds of its publication",
    )


def stale(seconds: float, bound: float, last: Problem | None) -> tuple[Problem, ...]:
    """Return the problem of metadata that could not be refreshed within the bound."""
    head = problem(
        "tuf.stale",
        "the repository could not be refreshed within the bound of the policy, or its metadata "
        "has ended; no new version is admitted",
        value=f"{seconds:.0f} s since the last refresh",
        expected=f"a refresh within {bound:.0f} s, and metadata that has not expired",
        advice="see what the repository or the mirror does; admissions resume by themselves",
    )
    return (head, *((last,) if last else ()))
