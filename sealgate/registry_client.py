"""The registry as commands see it: bounded requests, digests checked, refusals kept whole.

Nothing that the registry says is believed where it can be checked: what is addressed by digest is
hashed, file names are not paths, and redirects are not followed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import quote

import requests

from registry import replies
from trust import strictjson
from trust.errors import Problem, SealgateError, problem
from trust.evidence.bundles import MAX_BUNDLE_BYTES
from trust.evidence.predicates import STEPS
from trust.wheel import Plugin, read_wheel
from trust.wheel.bounds import MAX_WHEEL_BYTES

TIMEOUT = (5.0, 120.0)
"""Seconds to connect, and to wait for an answer."""
MAX_JSON = 8 << 20
MAX_REPORT = 64 << 20
POLL_SECONDS = 0.5


class RegistryRefused(SealgateError):
    """The registry does not answer, refuses, or says something that does not hold."""


@dataclass(frozen=True, slots=True)
class Release:
    """A plugin's name and version, as in `NAME==VERSION`."""

    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> Release:
        """Read `NAME==VERSION`.

        Raises:
            RegistryRefused: it has another form.
        """
        name, separator, version = text.partition("==")
        if not separator or not name or not version:
            _refuse("client.release", "this names no release", text, "NAME==VERSION")
        return cls(name.strip(), version.strip())

    @property
    def path(self) -> str:
        """The release's path in the API."""
        return f"/api/v1/plugins/{quote(self.name, safe='')}/{quote(self.version, safe='')}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """One downloaded bundle with its digest checked; the step is only the registry's word."""

    step: str
    sha256: str
    data: bytes


def _refuse(code: str, what: str, value: object, expected: str, advice: str = "") -> NoReturn:
    raise RegistryRefused(
        problem(
            code,
            what,
            value=value,
            expected=expected,
            advice=advice or "check the command and the registry's address",
        )
    )


@dataclass(frozen=True, slots=True)
class RegistryClient:
    """Speaks with one registry.

    Attributes:
        url: its base URL, without a trailing slash.
    """

    url: str
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    def _request(self, method: str, path: str, limit: int, **options: Any) -> tuple[int, bytes]:
        address = self.url + path
        try:
            with self.session.request(
                method, address, timeout=TIMEOUT, allow_redirects=False, stream=True, **options
            ) as reply:
                body = replies.read(reply, limit)
                status = reply.status_code
        except (requests.RequestException, OSError) as error:
            raise RegistryRefused(
                problem(
                    "client.unreachable",
                    f"the registry at {self.url} does not answer",
                    value=error,
                    expected="an answer",
                    advice="check the address and that the registry runs (`sealgate up`)",
                )
            ) from error
        if len(body) > limit:
            _refuse("client.too-large", "the answer is too large", path, f"at most {limit} bytes")
        if status not in (200, 201):
            raise RegistryRefused(_problems(status, body, address))
        return status, body

    def json(self, path: str) -> Any:
        """Return the JSON at `path`.

        Raises:
            RegistryRefused: there is none.
        """
        return strictjson.loads(self._request("GET", path, MAX_JSON)[1], max_bytes=MAX_JSON)

    def version(self, release: Release) -> dict[str, Any]:
        """Return what the registry says about a release.

        Raises:
            RegistryRefused: there is no such release, or the answer is malformed.
        """
        found = self.json(release.path)
        if not isinstance(found, dict) or not isinstance(found.get("state"), str):
            _refuse("client.malformed", "the registry's answer is malformed", found, "a version")
        return found

    def submit(
        self,
        filename: str,
        wheel: bytes,
        bundle: bytes | None,
        dependencies: Sequence[tuple[str, bytes]] = (),
    ) -> dict[str, Any]:
        """Send a wheel, its bundle and the wheels that it locks; return the version.

        Raises:
            RegistryRefused: with the registry's reasons.
        """
        files = [("wheel", (filename, wheel, "application/zip"))]
        if bundle is not None:
            files.append(("bundle", (f"{filename}.sigstore.json", bundle, "application/json")))
        files += [("dependency", (name, data, "application/zip")) for name, data in dependencies]
        _, body = self._request("POST", "/api/v1/submissions", MAX_JSON, files=files)
        return dict(strictjson.loads(body, max_bytes=MAX_JSON))

    def review(self, release: Release, bundle: bytes) -> dict[str, Any]:
        """Send a signed review; return the version.

        Raises:
            RegistryRefused: with the registry's reasons.
        """
        _, body = self._request(
            "POST",
            f"{release.path}/reviews",
            MAX_JSON,
            data=bundle,
            headers={"Content-Type": "application/json"},
        )
        return dict(strictjson.loads(body, max_bytes=MAX_JSON))

    def revoke(self, bundle: bytes) -> dict[str, Any]:
        """Send a signed revocation, quarantine or lift; return what it says.

        Raises:
            RegistryRefused: with the registry's reasons.
        """
        _, body = self._request(
            "POST",
            "/api/v1/revocations",
            MAX_JSON,
            data=bundle,
            headers={"Content-Type": "application/json"},
        )
        return dict(strictjson.loads(body, max_bytes=MAX_JSON))

    def revocations(self, since: int) -> bytes:
        """Return a page of the revocation log (JSON), for `trust.revocation.follow.Page`.

        Raises:
            RegistryRefused: there is none.
        """
        return self._request("GET", f"/api/v1/revocations?since={since}", MAX_JSON)[1]

    def wheel(self, release: Release, filename: str, sha256: str) -> tuple[Plugin, bytes]:
        """Download a wheel, check its digest, and read it as strictly as everywhere.

        Raises:
            RegistryRefused: it is another file, or another plugin's.
            WheelRejected: it is no plugin's wheel.
        """
        data = self._checked(f"{release.path}/wheel", sha256, MAX_WHEEL_BYTES)
        plugin = read_wheel(data, filename)
        if Release(plugin.name, plugin.version) != release:
            _refuse(
                "client.other-plugin",
                "the registry handed over another plugin's wheel",
                f"{plugin.name}=={plugin.version}",
                f"{release.name}=={release.version}",
                "do not use this registry before its operator has explained that",
            )
        return plugin, data

    def dependencies(self, release: Release, plugin: Plugin) -> list[bytes]:
        """Download every wheel that the plugin's lock names, and check their digests.

        Raises:
            RegistryRefused: one is not there, or is another file.
        """
        return [
            self._checked(
                f"{release.path}/dependencies/{item.sha256}", item.sha256, MAX_WHEEL_BYTES
            )
            for item in plugin.dependencies
        ]

    def report(self, release: Release, sha256: str) -> bytes:
        """Download the scan report and check its digest.

        Raises:
            RegistryRefused: there is none, or it is another file.
        """
        return self._checked(f"{release.path}/report", sha256, MAX_REPORT)

    def bundles(self, release: Release) -> tuple[Bundle, ...]:
        """Download every bundle of a release and check their digests. None is verified here.

        Raises:
            RegistryRefused: the list is malformed, or a bundle is another file.
        """
        path = f"{release.path}/evidence"
        answer = self.json(path)
        lines = answer.get("evidence") if isinstance(answer, dict) else None
        if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
            _refuse("client.malformed", "the list of evidence is malformed", answer, "a list")
        found = []
        for line in lines:
            step, sha256 = line.get("step"), line.get("sha256")
            if step not in (*STEPS, "sbom") or not isinstance(sha256, str):
                _refuse("client.malformed", "the list of evidence is malformed", line, "a step")
            data = self._checked(f"{path}/{quote(sha256, safe='')}", sha256, MAX_BUNDLE_BYTES)
            found.append(Bundle(step, sha256, data))
        return tuple(found)

    def _checked(self, path: str, sha256: str, limit: int) -> bytes:
        data = self._request("GET", path, limit)[1]
        actual = hashlib.sha256(data).hexdigest()
        if actual != sha256:
            _refuse(
                "client.digest",
                "what was downloaded is not what was asked for",
                f"{path}: sha256:{actual}",
                f"sha256:{sha256}",
                "do not use this file; ask the registry's operator",
            )
        return data

    def watch(
        self, release: Release, until: Callable[[dict[str, Any]], bool], seconds: float
    ) -> Iterator[dict[str, Any]]:
        """Yield the version whenever its timeline has grown, until `until` says enough.

        Raises:
            RegistryRefused: it takes longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        seen = -1
        while True:
            view = self.version(release)
            if len(view["timeline"]) != seen:
                seen = len(view["timeline"])
                yield view
            if until(view):
                return
            if time.monotonic() > deadline:
                _refuse(
                    "client.timeout",
                    f"{release.name} {release.version} still waits for {view['waits_for']}",
                    f"{seconds:.0f} s",
                    "an end of the wait",
                    "ask again with `sealgate status`; check that the worker runs",
                )
            time.sleep(POLL_SECONDS)


def _problems(status: int, body: bytes, address: str) -> list[Problem]:
    """Return the problems of an error reply, or one that says what came instead."""
    try:
        document = strictjson.loads(body, max_bytes=MAX_JSON)
        found = [Problem.from_dict(entry) for entry in document["problems"]]
    except (SealgateError, KeyError, TypeError, AttributeError):
        found = []
    return found or [
        problem(
            "client.refused",
            "the registry refused without saying why",
            value=f"{status} from {address}",
            expected="status 200 or 201",
            advice="check that this is a Sealgate registry's address",
        )
    ]
