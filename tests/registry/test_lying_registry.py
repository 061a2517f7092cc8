"""A registry that lies to a reviewer or to `fetch`: what it hands over is checked, not believed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from registry.report import read_report
from sealgate.registry_client import RegistryClient, RegistryRefused, Release
from sealgate.reviewing import gather
from tests.support import servers
from tests.support.evidence import TrustFixture, sha256
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel
from trust.errors import SealgateError

RELEASE = Release("example-plugin", "1.1.0")
Alter = Callable[[str, bytes], bytes | Response]


@contextmanager
def serving(registry: RegistryFixture, alter: Alter) -> Iterator[RegistryClient]:
    """Serve the application over HTTP with its answers altered."""

    @Request.application
    def liar(request: Request) -> Response:
        answer = registry.client.get(request.path)
        if answer.status_code == 200:
            altered = alter(request.path, answer.data)
            if isinstance(altered, Response):
                return altered
            return Response(altered, mimetype=answer.mimetype)
        return Response(answer.data, answer.status_code, mimetype=answer.mimetype)

    with servers.application(liar) as address:
        client = RegistryClient(address)
        try:
            yield client
        finally:
            client.session.close()


@pytest.fixture(scope="module")
def in_review(
    trust: TrustFixture, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryFixture]:
    """1.0.0 published, 1.1.0 in review; no test here writes."""
    registry = RegistryFixture.make(trust, tmp_path_factory.mktemp("registry"))
    registry.publish(*make_wheel())
    registry.submit(*make_wheel(version="1.1.0"))
    registry.worker.run_once()
    yield registry
    registry.services.close()


def change(pattern: str, edit: Callable[[Any], Any]) -> Alter:
    """Alter the JSON of the paths that match."""

    def alter(path: str, body: bytes) -> bytes | Response:
        return json.dumps(edit(json.loads(body))).encode() if re.search(pattern, path) else body

    return alter


def flip(pattern: str) -> Alter:
    """Flip one byte in the middle of what the matching paths answer."""

    def alter(path: str, body: bytes) -> bytes | Response:
        if not re.search(pattern, path):
            return body
        middle = len(body) // 2
        return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]

    return alter


def test_an_honest_registry_gives_what_is_signed(in_review: RegistryFixture) -> None:
    _, wheel = make_wheel(version="1.1.0")
    _, before = make_wheel()
    with serving(in_review, lambda _, body: body) as client:
        dossier = gather(client, RELEASE, in_review.trust.sigstore.client_trust_config)
    assert dossier.plugin.sha256 == sha256(wheel)
    assert dossier.author.identity == in_review.trust.author
    assert dossier.previous is not None
    assert dossier.previous.sha256 == sha256(before)
    materials = in_review.client.get(
        "/api/v1/plugins/example-plugin/1.1.0/review-materials"
    ).get_json()
    predicate = json.loads(dossier.statement("approve", "fine"))["predicate"]
    assert predicate["report"]["digest"]["sha256"] == materials["report_sha256"]
    assert predicate["policy"]["digest"]["sha256"] == materials["policy_sha256"]
    assert predicate["previous"]["sha256"] == materials["previous_sha256"]


OTHER = "0" * 64

LIES: dict[str, Alter] = {
    "a flipped byte in the wheel": flip("1.1.0/wheel$"),
    "a flipped byte in the earlier wheel": flip("1.0.0/wheel$"),
    "a flipped byte in the report": flip("/report$"),
    "a flipped byte in a bundle": flip("/evidence/"),
    "another wheel's digest": change("review-materials$", lambda m: m | {"sha256": OTHER}),
    "another report's digest": change("review-materials$", lambda m: m | {"report_sha256": OTHER}),
    "an earlier version that is not there": change(
        "review-materials$", lambda m: m | {"previous_sha256": OTHER}
    ),
    "no evidence": change("evidence$", lambda _: {"evidence": []}),
    "no scan": change(
        "evidence$", lambda e: {"evidence": [x for x in e["evidence"] if x["step"] != "scan"]}
    ),
    "evidence that is no list": change("evidence$", lambda _: {"evidence": "all of it"}),
    "another name": change("1.1.0$", lambda v: v | {"name": "other-plugin"}),
    "no object": change("1.1.0$", lambda _: ["no"]),
    "a step that leads out of the folder": change(
        "evidence$", lambda e: {"evidence": [x | {"step": "../../x"} for x in e["evidence"]]}
    ),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_lie_is_found_before_anything_is_signed(in_review: RegistryFixture, lie: Alter) -> None:
    with serving(in_review, lie) as client, pytest.raises(SealgateError) as caught:
        gather(client, RELEASE, in_review.trust.sigstore.client_trust_config)
    assert caught.value.problem.what


def test_the_wheel_of_another_version_is_found(in_review: RegistryFixture) -> None:
    """Wheel, file name, digest and evidence of 1.0.0, told as 1.1.0."""

    def told_as(path: str, body: bytes) -> bytes:
        if "1.1.0" not in path:
            return body
        answer = in_review.app.test_client().get(path.replace("1.1.0", "1.0.0"))
        return answer.data.replace(b'"version":"1.0.0"', b'"version":"1.1.0"')

    with serving(in_review, told_as) as client, pytest.raises(RegistryRefused) as caught:
        gather(client, RELEASE, in_review.trust.sigstore.client_trust_config)
    assert caught.value.problem.code == "client.other-plugin"


def test_evidence_of_another_sigstore_instance_is_found(in_review: RegistryFixture) -> None:
    """The reviewer's own trusted root decides, not the registry."""
    stranger = TrustFixture().sigstore.client_trust_config
    with serving(in_review, lambda _, body: body) as client, pytest.raises(SealgateError) as caught:
        gather(client, RELEASE, stranger)
    assert caught.value.problem.code.startswith("bundle.")


def test_a_redirect_is_not_followed(in_review: RegistryFixture) -> None:
    place = f"/api/v1/plugins/{RELEASE.name}/{RELEASE.version}"
    away = Response(status=302, headers={"Location": f"{place}?again"})
    with serving(in_review, lambda *_: away) as client, pytest.raises(RegistryRefused) as caught:
        client.version(RELEASE)
    assert caught.value.problem.code == "client.refused"


def test_an_answer_without_an_end_is_cut_off(in_review: RegistryFixture) -> None:
    def flood(_: str, body: bytes) -> bytes:
        return body + b" " * (9 << 20)

    with serving(in_review, flood) as client, pytest.raises(RegistryRefused) as caught:
        client.version(RELEASE)
    assert caught.value.problem.code == "client.too-large"


def test_findings_are_read_from_the_very_report(in_review: RegistryFixture) -> None:
    report = in_review.client.get("/api/v1/plugins/example-plugin/1.1.0/report").data
    findings, coverage = read_report(report)
    assert findings == ()
    assert "example_plugin/__init__.py" in coverage.scanned
