"""Medium findings, from the scan to the gate: named, acknowledged one by one, offered again."""

from __future__ import annotations

from typing import Any

import pytest

from registry import evidence as intake_evidence
from registry import reviews
from registry.lookup import find
from sealgate.acknowledging import NotAcknowledged, answer, read_options
from sealgate.registry_client import Release
from sealgate.reviewing import gather
from tests.registry.test_lying_registry import serving
from tests.registry.test_reviews import refused
from tests.support.evidence import REVIEWERS, TrustFixture, answers
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel
from trust import strictjson
from trust.errors import SealgateError
from trust.gate import Admitted, Refused

BOB, CAROL, DAVE = REVIEWERS
HEAD = "import tempfile\n\n\n"
BODY = (
    "def greet(a):\n    return {'greeting': tempfile.mktemp()}\n\n\n"
    "def echo(a):\n    return {'value': a}\n"
)


def warned(version: str = "1.0.0", head: str = HEAD, body: str = BODY) -> tuple[str, bytes]:
    """Return a wheel with one Medium finding: a temporary file whose name can be guessed."""
    return make_wheel(version=version, source=head + body)


def materials(registry: RegistryFixture, version: str = "1.0.0") -> Any:
    return registry.client.get(
        f"/api/v1/plugins/example-plugin/{version}/review-materials"
    ).get_json()


@pytest.fixture
def waiting(registry: RegistryFixture) -> RegistryFixture:
    registry.submit(*warned())
    registry.worker.run_once()
    assert registry.view()["state"] == "in_review"
    return registry


def publish(registry: RegistryFixture, version: str, reason: str) -> None:
    registry.submit(*warned(version))
    registry.worker.run_once()
    named = materials(registry, version)["acknowledge"]
    for reviewer in (BOB, CAROL):
        bundle = registry.review_bundle(
            reviewer, version=version, acknowledged=answers(named, f"{reviewer}: {reason}")
        )
        assert registry.post_review(bundle, version=version).status_code == 201
    registry.worker.run_once()
    assert registry.view(version=version)["state"] == "published"


def test_the_scan_statement_names_what_the_materials_name(waiting: RegistryFixture) -> None:
    (named,) = materials(waiting)["acknowledge"]
    assert (named["rule"], named["line"], named["earlier"]) == ("B306", 5, None)
    with waiting.services.database.read() as session:
        row = next(e for e in find(session, "example-plugin", "1.0.0").evidence if e.step == "scan")
        statement = waiting.services.trust.verifier().verify(
            waiting.services.blobs.read(row.sha256)
        )
    expected = f"{named['fingerprint']} B306 {named['path']}"
    assert statement.predicate["warnedTests"] == [expected]


def test_an_approval_in_silence_is_not_taken(waiting: RegistryFixture) -> None:
    answer = waiting.post_review(waiting.review_bundle(BOB, acknowledged=()))
    (problem,) = refused(answer, 422, "gate.not-acknowledged")
    assert "B306" in problem["value"]
    assert "--acknowledge" in problem["advice"]
    assert waiting.view()["reviews"] == []
    assert waiting.post_review(waiting.review_bundle(BOB)).status_code == 201


def test_a_rejection_needs_no_acknowledgement(waiting: RegistryFixture) -> None:
    bundle = waiting.review_bundle(BOB, decision="reject", comment="No.", acknowledged=())
    assert waiting.post_review(bundle).status_code == 201
    assert waiting.view()["state"] == "rejected"


def test_silent_approvals_that_got_in_publish_nothing(
    waiting: RegistryFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intake is taken away; the worker's gate, which is the runner's too, still refuses."""
    with monkeypatch.context() as patch:
        patch.setattr(reviews, "review_problems", lambda *_: ())
        for reviewer in (BOB, CAROL):
            bundle = waiting.review_bundle(reviewer, acknowledged=())
            assert waiting.post_review(bundle).status_code == 201
    waiting.worker.run_once()
    view = waiting.view()
    assert view["state"] == "in_review"
    assert {p["code"] for p in view["problems"]} == {"gate.not-acknowledged"}


def decide(registry: RegistryFixture, trust: TrustFixture) -> Admitted | Refused:
    """Ask the gate with what the runner would fetch."""
    with registry.services.database.read() as session:
        version = find(session, "example-plugin", "1.0.0")
        stored = [registry.services.blobs.read(row.sha256) for row in version.evidence]
    return trust.decide(warned()[1], warned()[0], stored)


def test_what_was_acknowledged_passes_the_gate_of_the_runner(
    registry: RegistryFixture, trust: TrustFixture
) -> None:
    publish(registry, "1.0.0", "nobody else writes there")
    assert isinstance(decide(registry, trust), Admitted)


def test_a_finding_whose_lines_stay_is_offered_with_its_earlier_reason(
    registry: RegistryFixture,
) -> None:
    publish(registry, "1.0.0", "nobody else writes there")
    registry.submit(*warned("1.1.0", head=HEAD + "# moved\n# down\n"))
    registry.worker.run_once()
    (named,) = materials(registry, "1.1.0")["acknowledge"]
    assert named["line"] == 7
    earlier = named["earlier"]
    assert earlier["reason"] == f"{CAROL}: nobody else writes there"
    assert earlier["reviewer"]["subject"] == CAROL
    assert earlier["version"] == "1.0.0"
    reply = registry.client.get(
        f"/api/v1/plugins/example-plugin/1.0.0/evidence/{earlier['evidence_sha256']}"
    )
    payload = registry.services.trust.verifier().verify(reply.data).predicate
    assert payload["acknowledged"][0]["reason"] == earlier["reason"]
    # It is an offer: an approval that does not say it again is refused.
    silent = registry.review_bundle(BOB, version="1.1.0", acknowledged=())
    refused(registry.post_review(silent, version="1.1.0"), 422, "gate.not-acknowledged")


def test_another_line_is_another_finding(registry: RegistryFixture) -> None:
    publish(registry, "1.0.0", "nobody else writes there")
    other = BODY.replace("tempfile.mktemp()", "tempfile.mktemp('.sh')")
    registry.submit(*warned("1.1.0", body=other))
    registry.worker.run_once()
    (named,) = materials(registry, "1.1.0")["acknowledge"]
    assert named["earlier"] is None


def test_reasons_of_a_version_that_was_not_published_are_not_offered(
    registry: RegistryFixture,
) -> None:
    registry.submit(*warned("1.0.0"))
    registry.worker.run_once()
    assert registry.post_review(registry.review_bundle(BOB)).status_code == 201
    registry.submit(*warned("1.1.0", head=HEAD + "# moved\n"))
    registry.worker.run_once()
    (named,) = materials(registry, "1.1.0")["acknowledge"]
    assert named["earlier"] is None


# The command


def test_the_command_asks_and_offers_only_what_was_signed(registry: RegistryFixture) -> None:
    publish(registry, "1.0.0", "nobody else writes there")
    registry.submit(*warned("1.1.0", head=HEAD + "# moved\n"))
    registry.worker.run_once()
    with serving(registry, lambda _, body: body) as client:
        dossier = gather(
            client, Release("example-plugin", "1.1.0"), registry.trust.sigstore.client_trust_config
        )
    (item,) = dossier.acknowledge
    assert item.earlier is not None
    assert item.earlier.reviewer.subject == CAROL
    with pytest.raises(NotAcknowledged) as caught:
        answer(dossier.acknowledge, {}, None)
    assert "--acknowledge" in caught.value.problem.advice
    given = read_options([f"{item.named.fingerprint[:12]}=still nobody"])
    for answered in (
        answer(dossier.acknowledge, given, None),
        answer(dossier.acknowledge, {}, lambda _: "still nobody"),
    ):
        statement = dossier.statement("approve", "", answered)
        bundle = registry.trust.sigstore.sign(BOB, statement)
        predicate = strictjson.loads(statement)["predicate"]
        assert predicate["acknowledged"][0]["reason"] == "still nobody"
        assert registry.post_review(bundle, version="1.1.0").status_code in (200, 201, 409)
    assert len(registry.view(version="1.1.0")["reviews"]) == 1
    for wrong in ({"f" * 12: "no such"}, {item.named.fingerprint: " "}):
        with pytest.raises(NotAcknowledged):
            answer(dossier.acknowledge, wrong, lambda _: "x")


@pytest.mark.parametrize("value", ["abcdef12", "abc=too short", "=no fingerprint"])
def test_an_option_without_fingerprint_and_reason_is_refused(value: str) -> None:
    with pytest.raises(NotAcknowledged):
        read_options([value])


def test_a_scanner_that_names_less_than_its_report_is_found_out(
    waiting: RegistryFixture, trust: TrustFixture
) -> None:
    """Scan statement and report disagree: the reviewer's command refuses to sign."""
    view = waiting.view()
    filename, wheel = warned()
    lie = trust.scan(
        filename,
        wheel,
        policy_sha256=view["scan"]["policy_sha256"],
        report_sha256=view["scan"]["report_sha256"],
    )
    with waiting.services.recording() as (session, batch):
        version = find(session, "example-plugin", "1.0.0")
        row = next(e for e in version.evidence if e.step == "scan")
        session.delete(row)
        verified = intake_evidence.verify(
            waiting.services.trust.verifier(),
            lie,
            step="scan",
            filename=filename,
            sha256=version.sha256,
        )
        session.add(intake_evidence.row(verified, "scan", version.id, verified.signed_at))
        batch.put(lie)
    with (
        serving(waiting, lambda _, body: body) as client,
        pytest.raises(SealgateError) as caught,
    ):
        gather(
            client, Release("example-plugin", "1.0.0"), waiting.trust.sigstore.client_trust_config
        )
    assert caught.value.problem.code == "review.warnings"
