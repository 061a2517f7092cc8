"""Roles and target paths.

    root ----------> the keys of all four, offline, k of n
    targets          offline, k of n: trust/layout.json, trust/layout_owners.json,
      |              trust/trusted_root.json
      published      online: names the bins
        published-00 .. published-ff    online: the plugins whose name hashes there
    snapshot, timestamp                 online

A plugin's bin is the first byte of the SHA-256 of its name, and stands in its paths, so that one
bin holds everything of one plugin:

    plugins/BB/NAME/index.json              its published versions
    plugins/BB/NAME/VERSION/FILENAME.whl    the wheel
    plugins/BB/NAME/VERSION/evidence.json   its bundles
    plugins/BB/NAME/VERSION/SHA256.locked   a wheel that it locks

A delegation's path patterns (TUF specification 4.5) keep every role to its place: whoever holds
an online key can name no target under `trust/`, and a bin none of another bin.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from packaging.version import InvalidVersion, Version

from trust.errors import SealgateError, problem

PUBLISHED: Final = "published"
ONLINE: Final = ("snapshot", "timestamp", PUBLISHED)
"""Roles whose keys the registry's worker holds; the bins have the key of `published`."""
OFFLINE: Final = ("root", "targets")

LAYOUT: Final = "trust/layout.json"
LAYOUT_OWNERS: Final = "trust/layout_owners.json"
TRUSTED_ROOT: Final = "trust/trusted_root.json"
TRUST_TARGETS: Final = (LAYOUT, LAYOUT_OWNERS, TRUSTED_ROOT)

PUBLISHED_PATHS: Final = ("plugins/*/*/*", "plugins/*/*/*/*")

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FILENAME = re.compile(r"[A-Za-z0-9_.!+-]+\.whl")


class NameRefused(SealgateError):
    """No target can have this name."""


def _refused(value: object, expected: str) -> NameRefused:
    return NameRefused(
        problem("tuf.name", "a target cannot have this name", value=value, expected=expected)
    )


def bin_of(name: str) -> str:
    """Return a plugin's bin, two lower-case hexadecimal digits.

    Raises:
        NameRefused: the name is not normalised (PEP 503).
    """
    if not _NAME.fullmatch(name):
        raise _refused(name, "a normalised project name (PEP 503)")
    return hashlib.sha256(name.encode()).hexdigest()[:2]


def bin_role(which: str) -> str:
    """Return the role of a bin."""
    return f"{PUBLISHED}-{which}"


def bin_paths(which: str) -> list[str]:
    """Return the path patterns that a bin may name."""
    return [f"plugins/{which}/*/*", f"plugins/{which}/*/*/*"]


def plugin_path(name: str) -> str:
    """Return the folder of a plugin's targets."""
    return f"plugins/{bin_of(name)}/{name}"


def index_path(name: str) -> str:
    """Return the target that lists a plugin's versions."""
    return f"{plugin_path(name)}/index.json"


def _version_path(name: str, version: str) -> str:
    try:
        canonical = str(Version(version))
    except InvalidVersion as error:
        raise _refused(version, "a PEP 440 version") from error
    return f"{plugin_path(name)}/{canonical}"


def wheel_path(name: str, version: str, filename: str) -> str:
    """Return a wheel's target.

    Raises:
        NameRefused: a part cannot stand in a path.
    """
    if not _FILENAME.fullmatch(filename):
        raise _refused(filename, "a wheel's file name")
    return f"{_version_path(name, version)}/{filename}"


def dependency_path(name: str, version: str, sha256: str) -> str:
    """Return the target of a wheel that a version locks.

    Raises:
        NameRefused: a part cannot stand in a path.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise _refused(sha256, "a SHA-256 in lower-case hexadecimal")
    return f"{_version_path(name, version)}/{sha256}.locked"


def evidence_path(name: str, version: str) -> str:
    """Return the target with a version's bundles.

    Raises:
        NameRefused: a part cannot stand in a path.
    """
    return f"{_version_path(name, version)}/evidence.json"
