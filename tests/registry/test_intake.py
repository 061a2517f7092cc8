"""The intake: what is refused, with what words, and that nothing is stored of it."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from registry.models import Evidence, Plugin, TimelineRow, Version
from registry.names import confusable
from tests.support.evidence import AUTHOR, OUTSIDER, REVIEWERS, TrustFixture, sha256
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel


def stored(registry: RegistryFixture) -> tuple[int, ...]:
    """Return how much is stored: rows of every table, and blobs."""
    with registry.services.database.read() as session:
        rows = [
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Plugin, Version, Evidence, TimelineRow)
        ]
    files = [p for p in registry.settings.blob_dir.rglob("*") if p.is_file() and len(p.name) > 30]
    return (*rows, len(files))


def refused(registry: RegistryFixture, answer: TestResponse, status: int, code: str) -> Any:
    """Check a refusal whole: status, code, the four parts, and that nothing is stored."""
    body = answer.get_json()
    assert answer.status_code == status, body
    found = next((p for p in body["problems"] if p["code"] == code), None)
    assert found is not None, body
    assert found["what"]
    assert found["expected"]
    assert found["advice"]
    return found


def other_author(registry: RegistryFixture, filename: str, wheel: bytes) -> bytes:
    return registry.trust.submit(filename, wheel, by=OUTSIDER)


# -- the wheel and its bundle ----------------------------------------------------------------


def test_every_problem_of_a_wheel_is_reported_together(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel(
        files={
            "example_plugin/evil.pth": "import os",
            "example_plugin/fast.so": b"\x7fELF" + b"0" * 60,
        }
    )
    answer = registry.submit(filename, wheel)
    assert answer.status_code == 422
    assert len({p["where"] for p in answer.get_json()["problems"]}) >= 2
    assert stored(registry) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "filename",
    [
        "<script>alert(1)</script>-1.0.0-py3-none-any.whl",
        "../../example_plugin-1.0.0-py3-none-any.whl",
        "example_plugin-1.0.0-py3-none-any.whl\u202e",
        'example_plugin"onload="x-1.0.0-py3-none-any.whl',
        "example_plugin.zip",
    ],
)
def test_hostile_file_names_are_refused(registry: RegistryFixture, filename: str) -> None:
    _, wheel = make_wheel()
    answer = registry.submit(filename, wheel)
    assert answer.status_code == 422, answer.get_json()
    assert stored(registry) == (0, 0, 0, 0, 0)


def test_a_bundle_for_another_wheel_is_refused(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    _, other = make_wheel(source="def greet(a):\n    return {}\n\n\ndef echo(a):\n    return a\n")
    answer = registry.upload(filename, wheel, registry.trust.submit(filename, other))
    found = refused(registry, answer, 422, "registry.wrong-subject")
    assert (found["value"], found["expected"]) == (sha256(other), sha256(wheel))
    assert stored(registry) == (0, 0, 0, 0, 0)


def test_a_bundle_for_another_file_name_is_refused(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    bundle = registry.trust.submit("example_plugin-2.0.0-py3-none-any.whl", wheel)
    found = refused(
        registry, registry.upload(filename, wheel, bundle), 422, "registry.wrong-subject"
    )
    assert found["expected"] == filename
    assert stored(registry) == (0, 0, 0, 0, 0)


def test_a_review_is_not_a_submission(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    answer = registry.upload(filename, wheel, registry.trust.review(filename, wheel, AUTHOR))
    found = refused(registry, answer, 422, "registry.wrong-statement")
    assert found["value"] == "https://sealgate.dev/attestation/review/v1"
    assert stored(registry) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b"",
        lambda b: b"{}",
        lambda b: b"not json",
        lambda b: b[:-20],
        lambda b: b.replace(b'"sig"', b'"sgi"'),
        lambda b: b[:100] + bytes([b[100] ^ 1]) + b[101:],
    ],
)
def test_a_damaged_bundle_is_refused(
    registry: RegistryFixture, damage: Callable[[bytes], bytes]
) -> None:
    filename, wheel = make_wheel()
    answer = registry.upload(filename, wheel, damage(registry.trust.submit(filename, wheel)))
    assert answer.status_code == 422
    assert stored(registry) == (0, 0, 0, 0, 0)


def test_a_bundle_of_another_sigstore_instance_is_refused(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    answer = registry.upload(filename, wheel, TrustFixture().submit(filename, wheel))
    assert answer.status_code == 422
    assert stored(registry) == (0, 0, 0, 0, 0)


def test_an_issuer_that_is_not_trusted_is_refused(trust: TrustFixture, tmp_path: Path) -> None:
    made = RegistryFixture.make(
        trust, tmp_path, trusted_issuers=frozenset({"https://accounts.example.com"})
    )
    found = refused(made, made.submit(*make_wheel()), 403, "registry.issuer-not-trusted")
    assert trust.issuer in found["value"]
    assert "https://accounts.example.com" in found["expected"]
    assert stored(made) == (0, 0, 0, 0, 0)


# -- sizes and forms -------------------------------------------------------------------------


def test_a_wheel_over_the_bound_is_refused(trust: TrustFixture, tmp_path: Path) -> None:
    made = RegistryFixture.make(trust, tmp_path, max_upload_bytes=1024)
    filename, wheel = make_wheel()
    assert len(wheel) > 1024
    refused(made, made.submit(filename, wheel), 413, "registry.wheel-too-large")
    assert stored(made) == (0, 0, 0, 0, 0)


def test_a_large_wheel_within_the_bound_is_taken(registry: RegistryFixture) -> None:
    noise = random.Random(1).randbytes(4_000_000).hex()
    filename, wheel = make_wheel(files={"example_plugin/data.txt": noise})
    assert len(wheel) > 4_000_000
    assert registry.submit(filename, wheel).status_code == 201
    answer = registry.client.get("/api/v1/plugins/example-plugin/1.0.0/wheel")
    assert answer.data == wheel


def test_a_body_over_the_bound_is_refused_before_it_is_read(
    trust: TrustFixture, tmp_path: Path
) -> None:
    made = RegistryFixture.make(trust, tmp_path, max_upload_bytes=1024, max_dependency_bytes=0)
    answer = made.upload("a.whl", b"x" * 2_000_000, b"{}")
    found = refused(made, answer, 413, "http.413")
    assert "bytes" in found["expected"]


def test_a_bundle_over_the_bound_is_refused(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    refused(
        registry,
        registry.upload(filename, wheel, b" " * (256 * 1024 + 1)),
        413,
        "registry.bundle-too-large",
    )


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({}, {"wheel", "bundle"}),
        ({"wheel": (io.BytesIO(b"x"), "a.whl")}, {"bundle"}),
        ({"wheel": "text", "bundle": (io.BytesIO(b"x"), "b")}, {"wheel"}),
        (
            {
                "wheel": [(io.BytesIO(b"x"), "a.whl"), (io.BytesIO(b"y"), "b.whl")],
                "bundle": (io.BytesIO(b"x"), "b"),
            },
            {"wheel"},
        ),
        (
            {
                "wheel": (io.BytesIO(b"x"), "a.whl"),
                "bundle": (io.BytesIO(b"x"), "b"),
                "state": "published",
            },
            {"state"},
        ),
    ],
)
def test_a_form_with_other_fields_is_refused_by_field(
    registry: RegistryFixture, fields: dict[str, Any], where: set[str]
) -> None:
    answer = registry.client.post(
        "/api/v1/submissions", data=fields, content_type="multipart/form-data"
    )
    assert answer.status_code == 400
    assert {p["where"] for p in answer.get_json()["problems"]} == where


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("multipart/form-data", b"x", 400, "http.malformed-form"),
        ("multipart/form-data; boundary=b", b"--b\r\nnonsense", 400, "http.malformed-form"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="whe',
            400,
            "http.malformed-form",
        ),
        ("multipart/form-data; boundary=b", b"", 400, "http.field"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 400, "http.field"),
        ("application/json", b"{}", 415, "http.content-type"),
        ("application/x-www-form-urlencoded", b"wheel=1", 415, "http.content-type"),
        ("", b"x", 415, "http.content-type"),
    ],
)
def test_a_malformed_body_is_refused(
    registry: RegistryFixture, content_type: str, body: bytes, status: int, code: str
) -> None:
    answer = registry.client.post("/api/v1/submissions", data=body, content_type=content_type)
    refused(registry, answer, status, code)


# -- names and versions ----------------------------------------------------------------------


def test_a_name_belongs_to_who_came_first(registry: RegistryFixture) -> None:
    assert registry.submit(*make_wheel()).status_code == 201
    before = stored(registry)
    filename, wheel = make_wheel(version="1.1.0")
    answer = registry.upload(filename, wheel, other_author(registry, filename, wheel))
    found = refused(registry, answer, 403, "registry.name-taken")
    assert OUTSIDER in found["value"]
    assert AUTHOR in found["expected"]
    assert stored(registry) == before


def test_an_identity_that_differs_in_case_is_somebody_else(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    filename, wheel = make_wheel(version="1.1.0")
    answer = registry.submit(filename, wheel, by="Alice@example.com")
    refused(registry, answer, 403, "registry.name-taken")


@pytest.mark.parametrize("name", ["examp1e-plugin", "exampleplugin", "example-p1ug1n"])
def test_names_that_look_alike_collide(registry: RegistryFixture, name: str) -> None:
    registry.submit(*make_wheel())
    filename, wheel = make_wheel(name)
    answer = registry.upload(filename, wheel, other_author(registry, filename, wheel))
    found = refused(registry, answer, 409, "registry.name-confusable")
    assert "example-plugin" in found["expected"]


def test_confusable_keeps_different_names_apart() -> None:
    names = ["table", "cable", "tables", "markdown-render", "render-markdown"]
    assert len({confusable(name) for name in names}) == len(names)


def test_a_reserved_name_is_nobodys(registry: RegistryFixture) -> None:
    refused(registry, registry.submit(*make_wheel("sea1gate")), 403, "registry.name-reserved")
    assert stored(registry) == (0, 0, 0, 0, 0)


def test_the_identical_submission_changes_nothing(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    first = registry.submit(filename, wheel)
    before = stored(registry)
    again = registry.submit(filename, wheel)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.get_json() == first.get_json()
    assert stored(registry) == before


def test_a_version_never_means_another_file(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    registry.submit(filename, wheel)
    before = stored(registry)
    _, other = make_wheel(files={"example_plugin/more.py": "X = 1\n"})
    found = refused(registry, registry.submit(filename, other), 409, "registry.version-exists")
    assert sha256(other) in found["value"]
    assert sha256(wheel) in found["expected"]
    assert stored(registry) == before


def test_another_spelling_is_the_same_version(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel(version="1.0"))
    filename, wheel = make_wheel(version="1.0.0")
    # 1.0 and 1.0.0 are equal for PEP 440 but canonical forms differ: two files, two numbers
    assert registry.submit(filename, wheel).status_code in (201, 409)
    assert registry.client.get("/api/v1/plugins/Example_Plugin/v1.0").status_code == 200


def test_the_number_of_a_failed_version_is_not_free_again(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel(
        source="import subprocess\n\n\ndef greet(a):\n"
        "    return subprocess.call(a['name'], shell=True)\n\n\ndef echo(a):\n    return a\n"
    )
    registry.submit(filename, wheel)
    registry.worker.run_once()
    view = registry.view()
    assert (view["state"], view["waits_for"]) == ("scan_failed", "nothing")
    assert view["problems"][0]["where"].startswith("example_plugin/__init__.py:")

    _, clean = make_wheel()
    refused(registry, registry.submit(filename, clean), 409, "registry.version-exists")


def test_reviewers_who_submit_are_authors_like_others(registry: RegistryFixture) -> None:
    assert registry.submit(*make_wheel(), by=REVIEWERS[0]).status_code == 201


# -- at once ---------------------------------------------------------------------------------


def at_once(calls: list[Callable[[], TestResponse]]) -> list[int]:
    """Make all calls at the same time; return their statuses."""
    barrier = threading.Barrier(len(calls))
    statuses: list[int] = []

    def run(call: Callable[[], TestResponse]) -> None:
        barrier.wait()
        statuses.append(call().status_code)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return sorted(statuses)


def test_identical_submissions_at_once_make_one_version(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    bundle = registry.trust.submit(filename, wheel)
    statuses = at_once([lambda: registry.upload(filename, wheel, bundle)] * 6)
    assert statuses == [200] * 5 + [201]
    assert stored(registry) == (1, 1, 1, 1, 2)


def test_conflicting_submissions_at_once_make_one_version(registry: RegistryFixture) -> None:
    calls = []
    for number in range(4):
        filename, wheel = make_wheel(files={"example_plugin/n.py": f"N = {number}\n"})
        bundle = registry.trust.submit(filename, wheel)
        calls.append(lambda f=filename, w=wheel, b=bundle: registry.upload(f, w, b))
    assert at_once(calls) == [201] + [409] * 3
    assert stored(registry) == (1, 1, 1, 1, 2)


def test_two_authors_at_once_claim_a_name_once(registry: RegistryFixture) -> None:
    calls = []
    for number, author in enumerate((AUTHOR, OUTSIDER)):
        filename, wheel = make_wheel(version=f"1.{number}.0")
        bundle = registry.trust.submit(filename, wheel, by=author)
        calls.append(lambda f=filename, w=wheel, b=bundle: registry.upload(f, w, b))
    assert at_once(calls) == [201, 403]
    assert stored(registry)[:2] == (1, 1)
