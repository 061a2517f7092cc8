"""The main road: received, scanned, reviewed, published, fetched, admitted."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.evidence import AUTHOR, REVIEWERS
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel
from trust.gate import Admitted


def test_a_plugin_goes_all_the_way(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()

    created = registry.submit(filename, wheel)
    assert created.status_code == 201
    body = created.get_json()
    assert (body["state"], body["waits_for"]) == ("received", "scan")
    assert body["author"] == {"issuer": registry.trust.issuer, "subject": AUTHOR}
    assert created.headers["Location"] == body["links"]["self"]

    assert registry.worker.run_once()
    scanned = registry.view()
    assert (scanned["state"], scanned["waits_for"]) == ("in_review", "0 of 2 approvals")
    assert scanned["scan"]["verdict"] == "passed"

    for count, reviewer in enumerate(REVIEWERS[:2], 1):
        answer = registry.post_review(registry.review_bundle(reviewer, comment="I read it."))
        assert answer.status_code == 201, answer.get_json()
        assert answer.get_json()["approvals"] == count
    assert registry.view()["waits_for"] == "publication"

    assert registry.worker.run_once()
    published = registry.view()
    assert (published["state"], published["waits_for"]) == ("published", "nothing")
    assert published["published_at"]
    assert [event["event"] for event in published["timeline"]] == [
        "submitted",
        "scan-started",
        "scan-passed",
        "approved",
        "approved",
        "published",
    ]
    assert not registry.worker.run_once()


def test_what_is_fetched_is_admitted_by_the_gate_alone(registry: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    registry.publish(filename, wheel)
    place = "/api/v1/plugins/example-plugin/1.0.0"

    fetched = registry.client.get(f"{place}/wheel")
    lines = registry.client.get(f"{place}/evidence").get_json()["evidence"]
    bundles = [registry.client.get(f"{place}/evidence/{line['sha256']}").data for line in lines]

    assert fetched.data == wheel
    assert [line["step"] for line in lines] == ["submit", "scan", "review", "review", "publish"]
    decision = registry.trust.gate.decide(
        fetched.data, filename, bundles, registry.trust.publishers, datetime.now(UTC)
    )
    assert isinstance(decision, Admitted)
