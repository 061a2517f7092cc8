"""A mirror: what `sealgate export` wrote, behind any static file server or in a folder.

    NAME/index.json                        which versions there are, and their files' digests
    NAME/VERSION/FILE.whl                  the wheel
    NAME/VERSION/FILE.STEP.….sigstore.json the bundles
    NAME/VERSION/dependencies/FILE.whl     the wheels that it locks

A mirror is believed as little as a registry: the gate decides about every byte of it. What it
lacks is what only the registry can tell, that a version was withdrawn: bound that by the runner's
policy (revocations, the layout's expiry).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from runner.fetch import (
    MAX_BUNDLE_BYTES,
    MAX_BUNDLES,
    MAX_JSON_BYTES,
    MAX_WHEEL_BYTES,
    SECONDS,
    WHEEL_SECONDS,
    Offer,
    RegistryRefused,
    RegistryUnavailable,
)
from runner.http_get import Bounds, FetchFailed, get
from trust import strictjson
from trust.errors import problem

PREFIX = "mirror+"
"""What a mirror's address begins with in the policy."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.!+-]{0,299}")


def read_file(address: str, bounds: Bounds) -> bytes:
    """Return the bytes of a `file:` address, at most `bounds.max_bytes`.

    Raises:
        FetchFailed: it cannot be read, or is larger.
    """
    path = Path(unquote(urlsplit(address).path))
    try:
        with path.open("rb") as file:
            data = file.read(bounds.max_bytes + 1)
    except OSError as error:
        failed = FetchFailed(
            problem(
                "mirror.file",
                "a file of the mirror cannot be read",
                value=error.strerror or type(error).__name__,
                expected="a file that the runner may read",
                advice="export the version into the mirror, and check its permissions",
                where=str(path),
            )
        )
        failed.status = 404 if isinstance(error, FileNotFoundError) else None
        raise failed from error
    if len(data) > bounds.max_bytes:
        raise FetchFailed(
            problem(
                "mirror.too-large",
                "a file of the mirror is too large",
                value=f"more than {bounds.max_bytes} bytes",
                expected=f"at most {bounds.max_bytes} bytes",
                advice="export the version again",
                where=str(path),
            )
        )
    return data


def _malformed(where: str, value: object, expected: str) -> RegistryRefused:
    return RegistryRefused(
        problem(
            "mirror.malformed",
            "the mirror's index cannot be used",
            value=value,
            expected=expected,
            advice="export the version again with `sealgate export`",
            where=where,
        )
    )


class MirrorRegistry:
    """Answers as `runner.fetch.Registry` from a mirror."""

    def __init__(
        self, address: str, *, fetch: Callable[[str, Bounds], bytes] | None = None
    ) -> None:
        """Name the mirror.

        Args:
            address: as in the policy, with `PREFIX`.
            fetch: does one bounded read; raises `FetchFailed`. By the address's scheme if None.
        """
        self._base = address.removeprefix(PREFIX).rstrip("/")
        self._fetch = fetch or (read_file if self._base.startswith("file:") else get)

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the mirrored versions in PEP 440 order, lowest first.

        Raises:
            RegistryUnavailable: no answer.
            RegistryRefused: the plugin is not mirrored, or the index is malformed.
        """
        return tuple(str(version) for version in sorted(self._index(name)))

    def offer(self, name: str, version: str) -> Offer:
        """Return what is mirrored as `name`==`version`.

        Raises:
            RegistryUnavailable: no answer.
            RegistryRefused: not mirrored, or malformed.
        """
        entry = self._entry(name, version)
        where = f"{name} {version}"
        filename = _checked(_FILE, entry.get("filename"), where, "a file name")
        return Offer(name, version, filename, _digest(entry, where))

    def wheel(self, offer: Offer) -> bytes:
        """Read the wheel.

        Raises:
            RegistryUnavailable: no answer within the bounds.
            RegistryRefused: the bytes have another digest than the index says.
        """
        bounds = Bounds(WHEEL_SECONDS, MAX_WHEEL_BYTES)
        return self._file(offer, offer.filename, offer.sha256, bounds)

    def dependency(self, offer: Offer, sha256: str) -> bytes:
        """Read a wheel that the offered one locks.

        Raises:
            RegistryUnavailable: no answer within the bounds.
            RegistryRefused: it is not mirrored, or has another digest.
        """
        for filename, digest in self._files(offer, "dependencies"):
            if digest == sha256:
                bounds = Bounds(WHEEL_SECONDS, MAX_WHEEL_BYTES)
                return self._file(offer, f"dependencies/{filename}", sha256, bounds)
        raise _malformed(f"{offer.name} {offer.version}", "no such file", f"sha256:{sha256}")

    def evidence(self, offer: Offer) -> tuple[bytes, ...]:
        """Read every bundle.

        Raises:
            RegistryUnavailable: no answer within the bounds.
            RegistryRefused: too many bundles, a malformed index, or other bytes.
        """
        files = self._files(offer, "bundles")
        if len(files) > MAX_BUNDLES:
            raise _malformed(offer.name, len(files), f"at most {MAX_BUNDLES} bundles")
        bounds = Bounds(SECONDS, MAX_BUNDLE_BYTES)
        return tuple(self._file(offer, name, digest, bounds) for name, digest in files)

    def _get(self, path: str, bounds: Bounds) -> bytes:
        try:
            return self._fetch(f"{self._base}/{path}", bounds)
        except FetchFailed as error:
            if error.status is not None and 400 <= error.status < 500:
                raise RegistryRefused(error.problems) from error
            raise RegistryUnavailable(error.problems) from error

    def _index(self, name: str) -> dict[Version, dict[str, Any]]:
        if canonicalize_name(name) != name:
            raise _malformed("/plugin", name, "a normalised project name (PEP 503)")
        path = f"{name}/index.json"
        try:
            data = self._get(path, Bounds(SECONDS, MAX_JSON_BYTES))
            document = strictjson.loads(data, max_bytes=MAX_JSON_BYTES)
        except strictjson.InvalidJSON as error:
            raise RegistryRefused(error.problems) from error
        if not isinstance(document, dict) or document.get("name") != name:
            raise _malformed(path, document, f"an index of {name}")
        found = {}
        for entry in document.get("versions") or ():
            try:
                found[Version(str(entry["version"]))] = dict(entry)
            except (InvalidVersion, KeyError, TypeError, ValueError) as error:
                raise _malformed(path, entry, "an object with a PEP 440 version") from error
        return found

    def _entry(self, name: str, version: str) -> dict[str, Any]:
        try:
            entry = self._index(name).get(Version(version))
        except InvalidVersion as error:
            raise _malformed("/version", version, "a PEP 440 version") from error
        if entry is None:
            raise RegistryRefused(
                problem(
                    "mirror.no-version",
                    "the mirror does not have this version",
                    value=f"{name} {version}",
                    expected="an exported version",
                    advice="export it into the mirror with `sealgate export`",
                )
            )
        return entry

    def _files(self, offer: Offer, member: str) -> list[tuple[str, str]]:
        where = f"{offer.name} {offer.version} {member}"
        lines = self._entry(offer.name, offer.version).get(member, [])
        if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
            raise _malformed(where, lines, "a list of files")
        return [
            (_checked(_FILE, line.get("filename"), where, "a file name"), _digest(line, where))
            for line in lines
        ]

    def _file(self, offer: Offer, filename: str, sha256: str, bounds: Bounds) -> bytes:
        path = f"{offer.name}/{offer.version}/{filename}"
        data = self._get(path, bounds)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise _malformed(path, f"sha256:{found}", f"sha256:{sha256}")
        return data


def _digest(entry: dict[str, Any], where: str) -> str:
    return _checked(_SHA256, entry.get("sha256"), where, "sha256 in lower-case hexadecimal")


def _checked(pattern: re.Pattern[str], value: object, where: str, expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _malformed(where, value, expected)
    return value
