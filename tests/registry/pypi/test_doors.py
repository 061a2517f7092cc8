"""One intake behind three doors: the same bad submission is refused for the same reasons."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from registry.models import Version
from registry.pypi import attestations
from tests.registry.pypi.tools import form, metadata, post
from tests.support import hostile_zips
from tests.support.evidence import OUTSIDER, TrustFixture
from tests.support.rawzip import RawEntry
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel

NAME, WHEEL = make_wheel()


@dataclass
class Case:
    """A bad submission.

    Attributes:
        code: a problem that every door names.
        status: the HTTP status of all of them.
        filename: the wheel's file name.
        wheel: its bytes.
        bundle: makes the author's bundle; None: nothing is signed.
        attestation: makes the attestation, where it is not that of the bundle.
        before: what is there already, with its author.
        settings: the registry's settings that differ.
    """

    code: str
    status: int = 422
    filename: str = NAME
    wheel: bytes = WHEEL
    bundle: Callable[[TrustFixture, str, bytes], bytes] | None = lambda t, f, w: t.submit(f, w)
    attestation: Callable[[bytes], Any] = attestations.from_bundle
    before: tuple[tuple[str, bytes], str] | None = None
    settings: dict[str, Any] | None = None


def tampered(trust: TrustFixture, filename: str, wheel: bytes) -> bytes:
    """A bundle whose signature is another statement's."""
    bundle = json.loads(trust.submit(filename, wheel))
    other = json.loads(trust.submit(filename, wheel + b"!"))
    bundle["dsseEnvelope"]["signatures"] = other["dsseEnvelope"]["signatures"]
    return json.dumps(bundle).encode()


def native() -> bytes:
    return make_wheel(files={"example_plugin/fast.so": b"\x7fELF" + bytes(60)})[1]


def changed_wheel() -> bytes:
    return make_wheel(files={"example_plugin/more.py": "X = 1\n"})[1]


def said(**changes: str) -> bytes:
    return make_wheel(metadata=metadata(**changes))[1]


CASES = {
    "unsigned": Case("http.field", 400, bundle=None),
    "wrong subject": Case("registry.wrong-subject", bundle=lambda t, f, w: t.submit(f, w + b"!")),
    "wrong file name in the statement": Case(
        "registry.wrong-subject",
        bundle=lambda t, f, w: t.submit("other_plugin-1.0.0-py3-none-any.whl", w),
    ),
    "another statement": Case("registry.wrong-statement", bundle=lambda t, f, w: t.review(f, w)),
    "an issuer that is not trusted": Case(
        "registry.issuer-not-trusted",
        403,
        settings={"trusted_issuers": frozenset({"https://accounts.example.com"})},
    ),
    "another Sigstore instance": Case(
        "bundle.format", bundle=lambda t, f, w: TrustFixture().submit(f, w)
    ),
    "a signature of something else": Case("bundle.unverified", bundle=tampered),
    "a malformed bundle": Case(
        "bundle.format", bundle=lambda t, f, w: b"{}", attestation=lambda bundle: {}
    ),
    "a bundle over the bound": Case(
        "registry.bundle-too-large",
        413,
        bundle=lambda t, f, w: b" " * (256 * 1024 + 1),
        attestation=lambda bundle: {"version": 1, "padding": " " * (256 * 1024 + 1)},
    ),
    "a path that climbs out": Case(
        "wheel.name-traversal", wheel=hostile_zips.added(RawEntry(b"../evil.py", b"X = 1\n"))
    ),
    "a name that METADATA does not have": Case(
        "metadata.name-mismatch", wheel=said(name="other-plugin")
    ),
    "a version that METADATA does not have": Case(
        "metadata.version-mismatch", wheel=said(version="2.0.0")
    ),
    "a file name that is another's": Case(
        "wheel.dist-info-name", filename="other_plugin-1.0.0-py3-none-any.whl"
    ),
    "a malformed bundle on a bad wheel": Case(
        "wheel.native-code",
        wheel=native(),
        bundle=lambda t, f, w: b"{}",
        attestation=lambda bundle: {},
    ),
    "a malformed bundle on a wheel over the bound": Case(
        "registry.wheel-too-large",
        413,
        bundle=lambda t, f, w: b"{}",
        attestation=lambda bundle: {},
        settings={"max_upload_bytes": 1024},
    ),
    "native code": Case("wheel.native-code", wheel=native()),
    "no archive": Case("wheel.not-a-zip", wheel=b"PK\x03\x04 but no archive"),
    "a wheel over the bound": Case(
        "registry.wheel-too-large", 413, settings={"max_upload_bytes": 1024}
    ),
    "a body over the bound": Case(
        "http.413",
        413,
        wheel=bytes(2_000_000),
        settings={"max_upload_bytes": 1024, "max_dependency_bytes": 0},
    ),
    "a version that is another file": Case(
        "registry.version-exists",
        409,
        wheel=changed_wheel(),
        before=((NAME, WHEEL), "alice@example.com"),
    ),
    "somebody else's name": Case(
        "registry.name-taken", 403, before=(make_wheel(version="0.9.0"), OUTSIDER)
    ),
    "a name that looks like another": Case(
        "registry.name-confusable", 409, before=(make_wheel("examp1e-plugin"), OUTSIDER)
    ),
    "a reserved name": Case(
        "registry.name-reserved", 403, settings={"reserved_names": frozenset({"example-plugin"})}
    ),
}


def by_api(registry: RegistryFixture, case: Case, bundle: bytes | None) -> TestResponse:
    data: dict[str, Any] = {"wheel": (io.BytesIO(case.wheel), case.filename)}
    if bundle is not None:
        data["bundle"] = (io.BytesIO(bundle), "b.json")
    return registry.client.post("/api/v1/submissions", data=data)


def by_page(registry: RegistryFixture, case: Case, bundle: bytes | None) -> TestResponse:
    # A browser sends a file field that nobody filled as a file without a name.
    data = {
        "wheel": (io.BytesIO(case.wheel), case.filename),
        "bundle": (io.BytesIO(bundle or b""), "" if bundle is None else "b.json"),
    }
    headers = {"Sec-Fetch-Site": "same-origin"}
    return registry.client.post("/submit", data=data, headers=headers)


def by_legacy(registry: RegistryFixture, case: Case, bundle: bytes | None) -> TestResponse:
    attestation = None if bundle is None else case.attestation(bundle)
    return post(registry, form(case.filename, case.wheel, attestation))


def codes_of(answer: TestResponse) -> list[str]:
    """Return the problem codes of an answer, of JSON or of a page."""
    if answer.is_json:
        return sorted(p["code"] for p in answer.get_json()["problems"])
    return sorted(re.findall(r'<code class="slug">([^<]+)</code>', answer.text))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_door_refuses_the_same(trust: TrustFixture, tmp_path: Path, case: Case) -> None:
    registry = RegistryFixture.make(trust, tmp_path, **(case.settings or {}))
    stored = 0
    if case.before is not None:
        assert registry.submit(*case.before[0], by=case.before[1]).status_code == 201
        stored = 1
    bundle = case.bundle(trust, case.filename, case.wheel) if case.bundle else None
    said = {
        door.__name__: (answer.status_code, codes_of(answer))
        for door in (by_api, by_page, by_legacy)
        for answer in (door(registry, case, bundle),)
    }
    assert said["by_api"] == said["by_page"] == said["by_legacy"]
    assert said["by_api"][0] == case.status
    assert case.code in said["by_api"][1]
    with registry.services.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Version)) == stored
    registry.services.close()


def test_every_door_takes_the_same(trust: TrustFixture, tmp_path: Path) -> None:
    """The control of the test above: a good submission passes each door, whoever was first."""
    doors = (by_api, by_page, by_legacy)
    for first in range(3):
        folder = tmp_path / str(first)
        folder.mkdir()
        registry = RegistryFixture.make(trust, folder)
        case = Case("none")
        bundle = trust.submit(case.filename, case.wheel)
        for door in (*doors[first:], *doors[:first]):
            assert door(registry, case, bundle).status_code in (200, 201, 303)
        with registry.services.database.read() as session:
            assert session.scalar(select(func.count()).select_from(Version)) == 1
        registry.services.close()


@pytest.mark.parametrize("door", [by_api, by_page])
def test_the_other_doors_take_an_attestation_for_its_bundle(
    trust: TrustFixture, tmp_path: Path, door: Callable[..., TestResponse]
) -> None:
    registry = RegistryFixture.make(trust, tmp_path)
    case = Case("none")
    attestation = attestations.from_bundle(trust.submit(case.filename, case.wheel))
    for damaged in ({**attestation, "version": 2}, {"verification_material": {}}):
        answer = door(registry, case, json.dumps(damaged).encode())
        assert (answer.status_code, codes_of(answer)) == (422, ["bundle.format"])
    answer = door(registry, case, json.dumps(attestation).encode())
    assert answer.status_code in (201, 303)
    assert registry.view()["author"]["subject"] == "alice@example.com"
    registry.services.close()
