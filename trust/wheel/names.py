"""The paths in an archive: relative, portable, and each one different on every file system.

A path that one system reads as `a/b` and another as a drive, a stream or a parent folder, and two
paths that one system keeps apart and another takes for one, are refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from trust.errors import Problem, problem
from trust.wheel import bounds

_DRIVE = re.compile(r"[A-Za-z]:")
_NOT_PORTABLE = frozenset('<>:"|?*')
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"]
)
_ADVICE = "rename the file in the plugin's source and build the wheel again"


def _bad(code: str, what: str, value: object, expected: str, where: str) -> Problem:
    return problem(
        f"wheel.{code}", what, value=value, expected=expected, advice=_ADVICE, where=where
    )


def check_names(paths: Sequence[str]) -> list[Problem]:
    """Return what is wrong with the paths, each alone and all together.

    Args:
        paths: in the archive's order; a folder's ends in `/`.
    """
    found = [bad for path in dict.fromkeys(paths) for bad in check_name(path)]
    return found + _check_collisions(paths)


def check_name(path: str) -> list[Problem]:
    """Return what is wrong with one path."""
    found: list[Problem] = []

    def bad(code: str, what: str, expected: str) -> None:
        found.append(_bad(code, what, path, expected, path))

    if not path:
        bad("name-empty", "a file has no name", "a relative path")
        return found
    if path.startswith("/"):
        bad("name-absolute", "a path is absolute", "a relative path")
    if "\\" in path:
        bad("name-backslash", "a path has a backslash", "parts separated by /")
    if _DRIVE.match(path):
        bad("name-drive", "a path starts with a drive letter", "a relative path")
    if any(not c.isprintable() for c in path):
        bad("name-control", "a path has an invisible or control character", "visible characters")
    elif _NOT_PORTABLE & set(path) and not _DRIVE.match(path):
        bad(
            "name-character",
            "a path has a character that not every system allows",
            'none of <>:"|?*',
        )
    if unicodedata.normalize("NFC", path) != path:
        bad("name-unicode", "a path is not in Unicode normal form C", "NFC")
    if len(path.encode("utf-8", "replace")) > bounds.MAX_PATH_BYTES:
        bad("name-too-long", "a path is too long", f"at most {bounds.MAX_PATH_BYTES} bytes")
    parts = path.removesuffix("/").lstrip("/").split("/")
    if len(parts) > bounds.MAX_DEPTH:
        bad("name-too-deep", "a path has too many parts", f"at most {bounds.MAX_DEPTH}")
    if ".." in parts:
        bad("name-traversal", "a path climbs to a parent folder", "no part that is ..")
    if "." in parts or "" in parts:
        bad("name-part", "a path has an empty part or a dot", "named parts only")
    for part in parts:
        if part not in (".", "..") and part != part.strip(" ").rstrip("."):
            bad(
                "name-trailing",
                "a part of a path starts or ends in a space, or ends in a dot",
                "neither",
            )
            break
    if any(part.split(".")[0].rstrip(" ").casefold() in _DEVICES for part in parts):
        bad("name-device", "a part of a path is the name of a device on Windows", "another name")
    return found


def _fold(path: str) -> str:
    """Return what case-insensitive, normalising file systems may take the path for."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def _check_collisions(paths: Sequence[str]) -> list[Problem]:
    found: list[Problem] = []
    seen: set[str] = set()
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        if path in seen:
            what = "the archive has two members of the same name"
            found.append(_bad("duplicate-member", what, path, "each name once", path))
            continue
        seen.add(path)
        parts = path.removesuffix("/").split("/")
        depth = len(parts) if path.endswith("/") else len(parts) - 1
        for end in range(1, min(depth, 4 * bounds.MAX_DEPTH) + 1):
            folder = "/".join(parts[:end])
            other = folders.setdefault(_fold(folder), folder)
            if other != folder:
                found.append(_collision(folder, other, path))
                break
        if not path.endswith("/"):
            other = files.setdefault(_fold(path), path)
            if other != path:
                found.append(_collision(path, other, path))
    for folded in files.keys() & folders.keys():
        what = "a name is a file and a folder at once"
        path = files[folded]
        found.append(_bad("file-and-folder", what, path, "one of them", path))
    return found


def _collision(path: str, other: str, where: str) -> Problem:
    what = "two paths differ only in case or in Unicode form"
    return _bad("colliding-members", what, f"{path} and {other}", "paths that differ", where)
