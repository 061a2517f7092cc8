"""A plugin with locked dependencies on its way through the registry."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support import servers
from tests.support.dependencies import make_dependent, make_library
from tests.support.evidence import REVIEWERS, TrustFixture
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel
from trust.evidence.predicates import BILL_OF_MATERIALS
from trust.gate import Admitted

LIBRARY, DATA = make_library()
OTHER, _ = make_library("whispering")
FILENAME, WHEEL = make_dependent([LIBRARY], requires=["shouting"])
PLACE = "/api/v1/plugins/shouter/1.0.0"


def send(registry: RegistryFixture, *wheels: bytes) -> TestResponse:
    bundle = registry.trust.submit(FILENAME, WHEEL)
    return registry.client.post(
        "/api/v1/submissions",
        data={
            "wheel": (io.BytesIO(WHEEL), FILENAME),
            "bundle": (io.BytesIO(bundle), "bundle.json"),
            "dependency": [(io.BytesIO(data), f"{n}.whl") for n, data in enumerate(wheels)],
        },
    )


def publish(registry: RegistryFixture) -> Any:
    registry.worker.run_once()
    for reviewer in REVIEWERS[:2]:
        bundle = registry.review_bundle(reviewer, "shouter")
        assert registry.post_review(bundle, "shouter").status_code == 201
    registry.worker.run_once()
    return registry.view("shouter")


def codes(answer: TestResponse) -> list[str]:
    return [p["code"] for p in answer.get_json()["problems"]]


def test_it_is_published_with_its_dependencies_and_a_signed_bill(
    registry: RegistryFixture,
) -> None:
    answer = send(registry, DATA)
    assert answer.status_code == 201, answer.get_json()
    assert publish(registry)["state"] == "published"

    (line,) = registry.client.get(f"{PLACE}/dependencies").get_json()["dependencies"]
    assert (line["name"], line["sha256"], line["at_hand"]) == ("shouting", LIBRARY.sha256, True)
    fetched = registry.client.get(f"{PLACE}/dependencies/{LIBRARY.sha256}")
    assert fetched.data == DATA

    lines = registry.client.get(f"{PLACE}/evidence").get_json()["evidence"]
    bundles = {
        line["step"]: registry.client.get(f"{PLACE}/evidence/{line['sha256']}").data
        for line in lines
        if line["step"] != "review"
    }
    bill = registry.services.trust.verifier().verify(bundles["sbom"])
    assert bill.predicate_type == BILL_OF_MATERIALS
    assert bill.identity.subject == registry.trust.scanner
    (component,) = bill.predicate["components"]
    assert component["hashes"][0]["content"] == LIBRARY.sha256

    everything = [registry.client.get(f"{PLACE}/evidence/{line['sha256']}").data for line in lines]
    decision = registry.trust.gate.decide(
        WHEEL,
        FILENAME,
        everything,
        registry.trust.publishers,
        datetime.now(UTC),
        wheels=[fetched.data],
    )
    assert isinstance(decision, Admitted), decision


def test_reviewers_read_the_files_of_locked_wheels(registry: RegistryFixture) -> None:
    assert send(registry, DATA).status_code == 201
    registry.worker.run_once()
    address = "/review/shouter/1.0.0/files?show=source&path="
    page = registry.client.get(f"{address}{LIBRARY.filename}/shouting/__init__.py")
    assert page.status_code == 200
    assert "Say it louder." in page.text
    for absent in (f"{LIBRARY.filename}/nothing.py", f"{OTHER.filename}/whispering/__init__.py"):
        assert registry.client.get(address + absent).status_code == 404


def test_without_the_locked_wheel_it_is_refused_at_once(registry: RegistryFixture) -> None:
    answer = send(registry)
    assert answer.status_code == 422
    assert codes(answer) == ["registry.dependency-missing"]
    assert registry.client.get(PLACE).status_code == 404


def test_what_the_lock_does_not_name_is_refused(registry: RegistryFixture) -> None:
    for wheels in ((DATA, make_library("whispering")[1]), (DATA[:-1],)):
        answer = send(registry, *wheels)
        assert answer.status_code == 422
        assert "registry.dependency-not-locked" in codes(answer)
    filename, wheel = make_wheel()
    answer = registry.client.post(
        "/api/v1/submissions",
        data={
            "wheel": (io.BytesIO(wheel), filename),
            "bundle": (io.BytesIO(registry.trust.submit(filename, wheel)), "bundle.json"),
            "dependency": (io.BytesIO(DATA), "x.whl"),
        },
    )
    assert codes(answer) == ["registry.dependency-not-locked"]


def test_a_wheel_that_the_registry_has_need_not_be_sent_again(registry: RegistryFixture) -> None:
    assert send(registry, DATA).status_code == 201
    filename, wheel = make_dependent([LIBRARY], version="1.1.0")
    answer = registry.submit(filename, wheel)
    assert answer.status_code == 201, answer.get_json()


def test_other_versions_wheels_are_not_served_under_this_one(registry: RegistryFixture) -> None:
    assert send(registry, DATA).status_code == 201
    assert registry.submit(*make_wheel()).status_code == 201
    own = registry.view()["sha256"]
    assert registry.client.get(f"{PLACE}/dependencies/{own}").status_code == 404
    other = f"/api/v1/plugins/example-plugin/1.0.0/dependencies/{LIBRARY.sha256}"
    assert registry.client.get(other).status_code == 404


def test_a_lost_wheel_publishes_nothing(registry: RegistryFixture) -> None:
    assert send(registry, DATA).status_code == 201
    registry.worker.run_once()
    for reviewer in REVIEWERS[:2]:
        registry.post_review(registry.review_bundle(reviewer, "shouter"), "shouter")
    registry.services.blobs.path(LIBRARY.sha256).unlink()
    registry.worker.run_once()
    view = registry.view("shouter")
    assert view["state"] == "in_review"
    assert view["timeline"][-1]["problems"][0]["code"] == "dependency.missing"


@contextmanager
def index(files: dict[str, bytes]) -> Iterator[str]:
    """Serve a Simple API (PEP 691) with these files of the project `shouting`."""
    lines = [{"filename": name, "url": f"/files/{name}"} for name in files]
    answers: dict[str, bytes | int] = {f"/files/{name}": data for name, data in files.items()}
    answers["/simple/shouting/"] = json.dumps({"files": lines}).encode()
    with servers.pages(answers) as address:
        yield f"{address}/simple"


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({LIBRARY.filename: DATA}, "published"),
        ({LIBRARY.filename: DATA + b"\0"}, "received"),
        ({}, "scan_incomplete"),
    ],
    ids=["there", "other bytes", "absent"],
)
def test_missing_wheels_are_fetched_from_the_index_by_digest(
    trust: TrustFixture, tmp_path: Path, files: dict[str, bytes], state: str
) -> None:
    with index(files) as url:
        registry = RegistryFixture.make(trust, tmp_path, dependency_index=url)
        assert send(registry).status_code == 201
        if state == "published":
            assert publish(registry)["state"] == "published"
        else:
            registry.worker.run_once()
            assert registry.view("shouter")["state"] == state
