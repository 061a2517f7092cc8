"""The upload's form: what it must say, what it may not contradict, and what it cannot grant."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from registry.models import Version
from registry.pypi import attestations
from tests.registry.pypi.tools import form, metadata, post
from tests.support.evidence import AUTHOR, OUTSIDER, TrustFixture
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel

FILENAME, WHEEL = make_wheel(metadata=metadata())


def attested(registry: RegistryFixture, by: str = AUTHOR) -> Any:
    return attestations.from_bundle(registry.trust.submit(FILENAME, WHEEL, by=by))


def stored(registry: RegistryFixture) -> int:
    with registry.services.database.read() as session:
        return session.scalar(select(func.count()).select_from(Version)) or 0


def refused(registry: RegistryFixture, answer: TestResponse, status: int, code: str) -> Any:
    """Check a refusal whole, and that nothing is stored; return its problem of that code."""
    body = answer.get_json()
    assert answer.status_code == status, body
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    found = next((p for p in body["problems"] if p["code"] == code), None)
    assert found is not None, body
    for part in ("what", "value", "expected", "advice"):
        assert found[part]
        assert found[part] in body["detail"]
    assert stored(registry) == 0
    return found


# -- what the form says ----------------------------------------------------------------------


FIELDS = {
    "name": ("other-plugin", "example-plugin"),
    "version": ("1.0.1", "1.0.0"),
    "metadata_version": ("2.1", "2.4"),
    "summary": ("Another plugin.", "A small plugin for tests."),
    "requires_python": (">=3.12", ">=3.11"),
    "author_email": ("eve@example.com", "Alice <alice@example.com>"),
    "license_expression": ("MIT", "Apache-2.0"),
    "description": ("Other words.", "# A plugin <b>With</b> a description."),
    "description_content_type": ("text/plain", "text/markdown"),
    "home_page": ("https://evil.example", "nothing, as METADATA"),
    "pyversion": ("cp311", "py3"),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_form_that_disagrees_with_the_wheel_is_refused(
    registry: RegistryFixture, field: str
) -> None:
    sent, right = FIELDS[field]
    answer = post(registry, form(FILENAME, WHEEL, attested(registry), **{field: sent}))
    found = refused(registry, answer, 422, "pypi.form-disagrees")
    assert found["where"] == field
    assert found["value"] == sent
    assert " ".join(found["expected"].replace("\\n", " ").split()) == right


def test_every_difference_is_named_together(registry: RegistryFixture) -> None:
    changes = {field: sent for field, (sent, _) in FIELDS.items()}
    answer = post(registry, form(FILENAME, WHEEL, attested(registry), **changes))
    assert {p["where"] for p in answer.get_json()["problems"]} == set(FIELDS)


def test_other_spellings_of_the_same_are_not_differences(registry: RegistryFixture) -> None:
    answer = post(
        registry,
        form(
            FILENAME,
            WHEEL,
            attested(registry),
            name="Example_Plugin",
            version="v1.0.0",
            requires_python=" >= 3.11",
            summary="A small plugin\r\n  for tests.",
            unheard_of="a field that a newer tool sends",
            sha256_digest=hashlib.sha256(WHEEL).hexdigest().upper(),
        ),
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("field", ["sha256_digest", "blake2_256_digest", "md5_digest"])
def test_a_digest_of_another_file_is_refused(registry: RegistryFixture, field: str) -> None:
    digests = {
        "sha256_digest": hashlib.sha256(WHEEL).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(WHEEL, digest_size=32).hexdigest(),
        "md5_digest": hashlib.md5(WHEEL).hexdigest(),
    }
    wrong = digests | {field: "0" * 64}
    answer = post(registry, form(FILENAME, WHEEL, attested(registry), **wrong))
    found = refused(registry, answer, 422, "pypi.digest")
    assert (found["where"], found["value"]) == (field, "0" * 64)
    assert found["expected"] == digests[field]
    assert post(registry, form(FILENAME, WHEEL, attested(registry), **digests)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "code", "where"),
    [
        ({"_action": "doc_upload"}, 400, "pypi.protocol", ":action"),
        ({"_action": None}, 400, "pypi.protocol", ":action"),
        ({"protocol_version": "2"}, 400, "pypi.protocol", "protocol_version"),
        ({"content": None}, 400, "http.field", "content"),
        ({"content": "text"}, 400, "http.field", "content"),
        ({"gpg_signature": (io.BytesIO(b"x"), "a.asc")}, 400, "http.field", "gpg_signature"),
        ({"filetype": "sdist"}, 422, "pypi.not-a-wheel", "filetype"),
        ({"filetype": "bdist_egg"}, 422, "pypi.not-a-wheel", "filetype"),
        ({"attestations": "[]"}, 422, "bundle.format", "attestations"),
        ({"attestations": "{}"}, 422, "bundle.format", "attestations"),
        ({"attestations": "[{}, {}]"}, 422, "bundle.format", "attestations"),
        ({"attestations": "[[]]"}, 422, "bundle.format", "attestations"),
        ({"attestations": "[" * 200}, 422, "json.invalid", ""),
        ({"attestations": "[NaN]"}, 422, "json.invalid", ""),
    ],
)
def test_a_malformed_form_is_refused(
    registry: RegistryFixture, changes: dict[str, Any], status: int, code: str, where: str
) -> None:
    answer = post(registry, form(FILENAME, WHEEL, attested(registry), **changes))
    assert refused(registry, answer, status, code)["where"] == where


def test_a_field_that_stands_twice_is_refused(registry: RegistryFixture) -> None:
    fields = form(FILENAME, WHEEL, attested(registry)) | {"version": ["1.0.0", "2.0.0"]}
    refused(registry, post(registry, fields), 400, "http.field")


def test_what_is_no_form_is_refused(registry: RegistryFixture) -> None:
    answer = registry.client.post(
        "/legacy/", data=b"{}", content_type="application/json", headers={"Accept": "text/plain"}
    )
    assert (answer.status_code, answer.mimetype) == (415, "text/plain")
    assert "[http.content-type]" in answer.text


def test_more_fields_than_anybody_needs_are_refused(registry: RegistryFixture) -> None:
    fields = form(FILENAME, WHEEL, attested(registry)) | {"classifiers": ["x"] * 2100}
    refused(registry, post(registry, fields), 413, "http.413")


def test_many_fields_and_a_long_description_are_taken(registry: RegistryFixture) -> None:
    noise = random.Random(1).randbytes(200_000).hex()
    long = "".join(f"{noise[i : i + 80]}\n" for i in range(0, len(noise), 80))
    filename, wheel = make_wheel(metadata=metadata() + long)
    bundle = registry.trust.submit(filename, wheel)
    fields = form(filename, wheel, attestations.from_bundle(bundle))
    fields["description"] = f"# A plugin\n\n<b>With</b> a description.\n{long}"
    fields |= {"classifiers": ["Topic :: Utilities"] * 300}
    assert post(registry, fields).status_code == 200


# -- who sends it ----------------------------------------------------------------------------


@pytest.mark.parametrize("credentials", [None, ("__token__", "pypi-abc"), (AUTHOR, "password")])
def test_a_password_grants_nothing(
    registry: RegistryFixture, credentials: tuple[str, str] | None
) -> None:
    """Whoever is logged in as whom: the owner is whom the attestation proves."""
    answer = registry.client.post(
        "/legacy/", data=form(FILENAME, WHEEL, attested(registry, OUTSIDER)), auth=credentials
    )
    assert answer.status_code == 200
    assert registry.view()["author"]["subject"] == OUTSIDER


# -- how a refusal is said -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("*/*", "text/plain"),
        ("text/html", "text/plain"),
        ("", "text/plain"),
    ],
)
def test_the_body_is_what_the_tool_can_show(
    registry: RegistryFixture, accept: str, mimetype: str
) -> None:
    answer = post(registry, form(FILENAME, WHEEL), Accept=accept)
    assert (answer.status_code, answer.mimetype) == (400, mimetype)
    assert "Accept" in answer.vary
    assert "sealgate attest" in answer.text


def test_hostile_text_reaches_neither_the_status_line_nor_a_browser(
    registry: RegistryFixture,
) -> None:
    evil = "<script>alert(1)</script>\r\nX-Evil: yes\u202e\u0100" + "x" * 5000
    fields = form(FILENAME, WHEEL, attested(registry), summary=evil, name=evil)
    answer = post(registry, fields, Accept="*/*")
    assert answer.status_code == 422
    assert "X-Evil" not in answer.headers
    assert answer.mimetype == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.status.isascii()
    assert answer.status.isprintable()
    assert len(answer.status) < 1600


def test_a_defect_is_told_as_one(trust: TrustFixture, tmp_path: Path) -> None:
    """A store that is gone is neither a yes nor a refusal of the file."""
    registry = RegistryFixture.make(trust, tmp_path)
    registry.settings.layout.unlink()
    registry.settings.trusted_root.unlink()
    answer = post(registry, form(FILENAME, WHEEL, attested(registry)))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert json.loads(answer.data)["problems"]
    assert stored(registry) == 0
    registry.services.close()
