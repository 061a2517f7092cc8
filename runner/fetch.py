"""What the runner asks of a registry, and how little it believes.

A registry answers three things: which versions it offers, a wheel, and evidence. Every answer is
bounded in size and time, parsed strictly, and only a proposal: the wheel must have the digest that
was asked for, and the gate decides about both. URLs are made here from checked parts; a URL that
the registry sends is never followed. So a registry taken over whole can withhold versions, old or
new, and nothing more.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from packaging.utils import (
    InvalidWheelFilename,
    canonicalize_name,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from runner.http_get import Bounds, FetchFailed, get
from trust import strictjson
from trust.errors import SealgateError, problem

MAX_WHEEL_BYTES = 64 << 20
MAX_BUNDLE_BYTES = 1 << 20
MAX_BUNDLES = 64
MAX_JSON_BYTES = 4 << 20
SECONDS = 10.0
"""The longest that one request to the registry may take."""
WHEEL_SECONDS = 30.0

_SHA256 = re.compile(r"[0-9a-f]{64}")


class RegistryUnavailable(SealgateError):
    """The registry did not answer, or not within the bounds. Nothing was decided."""


class RegistryRefused(SealgateError):
    """The registry's answer cannot be used: not offered, malformed, or not what it was to be."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A version that the registry says is published. All of it is hearsay."""

    name: str
    version: str
    filename: str
    sha256: str


class Registry(Protocol):
    """What admission asks of a registry."""

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the versions that are offered as published."""

    def offer(self, name: str, version: str) -> Offer:
        """Return what is offered as `name`==`version`."""

    def wheel(self, offer: Offer) -> bytes:
        """Return the wheel's bytes; their digest is that of the offer."""

    def dependency(self, offer: Offer, sha256: str) -> bytes:
        """Return the bytes of a wheel that the offered one locks; they have that digest."""

    def evidence(self, offer: Offer) -> tuple[bytes, ...]:
        """Return the bundles that are offered as evidence."""


def _malformed(where: str, value: object, expected: str) -> RegistryRefused:
    return RegistryRefused(
        problem(
            "registry.malformed",
            "the registry's answer cannot be used",
            value=value,
            expected=expected,
            advice="ask the operator to look at the registry",
            where=where,
        )
    )


def _absent(name: str, version: str, state: object) -> RegistryRefused:
    return RegistryRefused(
        problem(
            "registry.not-published",
            "the registry does not offer this version as published",
            value=f"{name} {version}: {state}",
            expected="a published version",
            advice="name another version, or see in the registry what this one waits for",
        )
    )


class HttpRegistry:
    """A registry behind HTTP."""

    def __init__(
        self,
        base_url: str,
        *,
        seconds: float = SECONDS,
        wheel_seconds: float = WHEEL_SECONDS,
        fetch: Callable[[str, Bounds], bytes] = get,
    ) -> None:
        """Name the registry.

        Args:
            base_url: as in the policy, without a trailing slash.
            seconds: the bound on one request for JSON or a bundle.
            wheel_seconds: the bound on the download of a wheel, or of all evidence.
            fetch: does one bounded GET; raises `FetchFailed`.
        """
        self._base = base_url
        self._seconds = seconds
        self._wheel_seconds = wheel_seconds
        self._fetch = fetch

    def _get(self, path: str, bounds: Bounds) -> bytes:
        try:
            return self._fetch(self._base + path, bounds)
        except FetchFailed as error:
            if error.status is not None and 400 <= error.status < 500:
                raise RegistryRefused(error.problems) from error
            raise RegistryUnavailable(error.problems) from error

    def _json(self, path: str) -> Any:
        data = self._get(path, Bounds(self._seconds, MAX_JSON_BYTES))
        try:
            return strictjson.loads(data, max_bytes=MAX_JSON_BYTES)
        except strictjson.InvalidJSON as error:
            raise RegistryRefused(error.problems) from error

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the published versions in PEP 440 order, lowest first.

        Raises:
            RegistryUnavailable: no answer.
            RegistryRefused: the plugin is not offered, or the answer is malformed.
        """
        path = f"/api/v1/plugins/{_name(name)}"
        answer = self._json(path)
        lines = answer.get("versions") if isinstance(answer, dict) else None
        if not isinstance(lines, list):
            raise _malformed(path, answer, "an object with a list `versions`")
        found = set()
        for line in lines:
            if not isinstance(line, dict):
                raise _malformed(path, line, "an object for each version")
            if line.get("state") != "published":
                continue
            try:
                found.add(Version(str(line.get("version"))))
            except InvalidVersion as error:
                raise _malformed(path, line.get("version"), "a PEP 440 version") from error
        return tuple(str(version) for version in sorted(found))

    def offer(self, name: str, version: str) -> Offer:
        """Return what the registry offers as `name`==`version`.

        Raises:
            RegistryUnavailable: no answer.
            RegistryRefused: not offered as published, malformed, or for another version.
        """
        path = _path(name, version)
        answer = self._json(path)
        if not isinstance(answer, dict):
            raise _malformed(path, answer, "an object")
        if answer.get("state") != "published":
            raise _absent(name, version, answer.get("state"))
        digest, filename = answer.get("sha256"), answer.get("filename")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise _malformed(path, digest, "sha256 in lower-case hexadecimal")
        _check_filename(path, filename, name, version)
        return Offer(name, version, str(filename), digest)

    def wheel(self, offer: Offer) -> bytes:
        """Download the wheel.

        Raises:
            RegistryUnavailable: no answer within the bounds.
            RegistryRefused: the bytes have another digest than the offer said.
        """
        return self._file(_path(offer.name, offer.version) + "/wheel", offer.sha256)

    def dependency(self, offer: Offer, sha256: str) -> bytes:
        """Download a wheel that the offered one locks.

        Raises:
            RegistryUnavailable: no answer within the bounds.
            RegistryRefused: the bytes have another digest than the lock says.
        """
        return self._file(f"{_path(offer.name, offer.version)}/dependencies/{sha256}", sha256)

    def _file(self, path: str, sha256: str) -> bytes:
        data = self._get(path, Bounds(self._wheel_seconds, MAX_WHEEL_BYTES))
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise RegistryRefused(
                problem(
                    "registry.other-bytes",
                    "the registry sent other bytes than it offered",
                    value=f"sha256:{found}",
                    expected=f"sha256:{sha256}",
                    advice="ask the operator to look at the registry; nothing was run",
                    where=path,
                )
            )
        return data

    def evidence(self, offer: Offer) -> tuple[bytes, ...]:
        """Download every bundle.

        Raises:
            RegistryUnavailable: no answer within the bounds.
            RegistryRefused: too many bundles, or a malformed list, or other bytes.
        """
        path = _path(offer.name, offer.version) + "/evidence"
        answer = self._json(path)
        lines = answer.get("evidence") if isinstance(answer, Mapping) else answer
        if not isinstance(lines, list) or len(lines) > MAX_BUNDLES:
            raise _malformed(path, answer, f"a list of at most {MAX_BUNDLES} bundles")
        bundles = []
        end = time.monotonic() + self._wheel_seconds
        for line in lines:
            digest = line.get("sha256") if isinstance(line, dict) else None
            if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
                raise _malformed(path, line, "an object with sha256 in lower-case hexadecimal")
            place = f"{path}/{digest}"
            seconds = max(0.001, min(self._seconds, end - time.monotonic()))
            data = self._get(place, Bounds(seconds, MAX_BUNDLE_BYTES))
            if hashlib.sha256(data).hexdigest() != digest:
                raise _malformed(place, hashlib.sha256(data).hexdigest(), f"sha256 {digest}")
            bundles.append(data)
        return tuple(bundles)


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise _malformed("/plugin", name, "a normalised project name (PEP 503)")
    return name


def _path(name: str, version: str) -> str:
    try:
        canonical = str(Version(version))
    except InvalidVersion as error:
        raise _malformed("/version", version, "a PEP 440 version") from error
    return f"/api/v1/plugins/{_name(name)}/{canonical}"


def _check_filename(where: str, filename: object, name: str, version: str) -> None:
    try:
        found, found_version, _, _ = parse_wheel_filename(str(filename))
    except InvalidWheelFilename as error:
        raise _malformed(where, filename, "a wheel's file name") from error
    if found != canonicalize_name(name) or found_version != Version(version):
        raise _malformed(where, filename, f"a wheel of {name} {version}")
