"""The worker: leases, bounded attempts, signing trouble, and a gate that has the last word."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from registry import leases, scanning
from registry.accounts.settings import AccountSettings
from registry.errors import IllegalTransition
from registry.lookup import find
from registry.models import Evidence, Review, Version
from registry.publishing import Publishing
from registry.scanning import Scanning
from registry.settings import Settings
from registry.worker import Worker
from registry.workload import Workload
from scanner import ScanPolicy, ScanResult, scan
from tests.support.evidence import OUTSIDER, REVIEWERS, SCANNER, TrustFixture, sha256
from tests.support.registry import RegistryFixture, workload
from tests.support.wheels import make_wheel
from trust.errors import problem
from trust.layout import sign_layout
from trust.signing import SigningFailed

BOB, CAROL, DAVE = REVIEWERS


@dataclass
class Clock:
    """A clock that tests move."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


def events(registry: RegistryFixture) -> list[str]:
    return [event["event"] for event in registry.view()["timeline"]]


def with_scan(registry: RegistryFixture, run: Callable[[bytes, str], ScanResult]) -> Worker:
    assert registry.worker.scanning is not None
    return replace(registry.worker, scanning=replace(registry.worker.scanning, run=run))


def away(statement: bytes) -> bytes:
    raise SigningFailed(problem("signing.token", "no token", advice="start the authority"))


def approved(registry: RegistryFixture) -> RegistryFixture:
    """Bring example-plugin 1.0.0 to two approvals."""
    registry.submit(*make_wheel())
    registry.worker.run_once()
    for reviewer in (BOB, CAROL):
        assert registry.post_review(registry.review_bundle(reviewer)).status_code == 201
    return registry


# -- scanning --------------------------------------------------------------------------------


def test_a_scan_that_crashes_is_tried_three_times_and_never_passes(
    registry: RegistryFixture,
) -> None:
    def crash(wheel: bytes, filename: str) -> ScanResult:
        raise RuntimeError("out of luck")

    worker = with_scan(registry, crash)
    registry.submit(*make_wheel())
    for _ in range(5):
        worker.run_once()
    view = registry.view()
    assert view["state"] == "scan_incomplete"
    assert "the operator" in view["waits_for"]
    assert view["problems"][0]["code"] == "registry.scan-given-up"
    assert events(registry).count("scan-started") == 3
    assert [line["step"] for line in evidence(registry)] == ["submit"]


def evidence(registry: RegistryFixture) -> list[dict[str, str]]:
    place = "/api/v1/plugins/example-plugin/1.0.0/evidence"
    lines: list[dict[str, str]] = registry.client.get(place).get_json()["evidence"]
    return lines


def test_an_incomplete_scan_blocks_until_the_operator_has_it_done_again(
    registry: RegistryFixture,
) -> None:
    starved = ScanPolicy(wall_seconds=0.01)
    worker = with_scan(registry, lambda wheel, name: scan(wheel, name, starved))
    registry.submit(*make_wheel())
    worker.run_once()
    view = registry.view()
    assert (view["state"], view["scan"]["verdict"]) == ("scan_incomplete", "incomplete")
    assert view["problems"]
    assert [line["step"] for line in evidence(registry)] == ["submit"]
    assert not registry.worker.run_once()

    scanning.rescan(registry.services, "example-plugin", "1.0.0", None)
    registry.worker.run_once()
    assert registry.view()["state"] == "in_review"
    with pytest.raises(IllegalTransition):
        scanning.rescan(registry.services, "example-plugin", "1.0.0", None)


def test_a_signature_that_cannot_be_had_costs_no_attempt(registry: RegistryFixture) -> None:
    clock = Clock()
    registry.now = clock
    assert registry.worker.scanning is not None
    worker = replace(
        registry.worker,
        scanning=replace(registry.worker.scanning, workload=Workload(SCANNER, away)),
    )
    registry.submit(*make_wheel())
    for _ in range(6):
        assert worker.run_once()
        assert not worker.run_once(), "there is a pause between two tries"
        clock.forward(seconds=100)
    view = registry.view()
    assert (view["state"], view["waits_for"]) == ("received", "scan")
    assert view["problems"][0]["code"] == "signing.token"

    def crash(wheel: bytes, filename: str) -> ScanResult:
        raise RuntimeError("out of luck")

    with_scan(registry, crash).run_once()
    assert registry.view()["state"] == "received", "this was the first attempt that counts"
    assert registry.worker.run_once()
    assert registry.view()["state"] == "in_review"


def test_two_workers_never_scan_the_same_version(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    other = registry.worker
    seen: list[bool] = []

    def during(wheel: bytes, filename: str) -> ScanResult:
        seen.append(other.run_once())
        return scan(wheel, filename)

    assert with_scan(registry, during).run_once()
    assert seen == [False]
    assert events(registry).count("scan-started") == 1


def test_a_worker_that_slept_too_long_stores_nothing(registry: RegistryFixture) -> None:
    """Its lease ran out, another worker has finished: the late result is thrown away."""
    clock = Clock()
    registry.now = clock
    registry.submit(*make_wheel())

    def sleepy(wheel: bytes, filename: str) -> ScanResult:
        clock.forward(seconds=31)
        registry.worker.run_once()
        assert registry.view()["state"] == "in_review"
        return replace(scan(wheel, filename), verdict="failed", result="FAILED")

    with_scan(registry, sleepy).run_once()
    view = registry.view()
    assert view["state"] == "in_review"
    assert [event["event"] for event in view["timeline"]] == [
        "submitted",
        "scan-started",
        "scan-retried",
        "scan-started",
        "scan-passed",
    ]
    assert len(evidence(registry)) == 2


def test_a_lease_is_kept_alive_while_the_work_goes_on(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    services = registry.services
    with services.database.write() as session:
        claim = leases.take(services, find(session, "example-plugin", "1.0.0"), 0.3)
    with services.database.read() as session:
        before = session.get_one(Version, claim.version_id).lease_until
    with leases.kept(services, claim, 0.3):
        time.sleep(0.5)
    with services.database.read() as session:
        after = session.get_one(Version, claim.version_id).lease_until
    assert before is not None
    assert after is not None
    assert after > before


def test_a_wheel_that_was_altered_in_the_store_is_never_scanned_as_good(
    registry: RegistryFixture,
) -> None:
    filename, wheel = make_wheel()
    registry.submit(filename, wheel)
    path = registry.services.blobs.path(sha256(wheel))
    _, other = make_wheel(files={"example_plugin/evil.py": "X = 1\n"})
    path.write_bytes(other)
    for _ in range(4):
        registry.worker.run_once()
    view = registry.view()
    assert view["state"] == "scan_incomplete"
    assert "registry.blob-damaged" in {p["code"] for p in view["problems"]}


def test_medium_findings_are_shown_to_reviewers(registry: RegistryFixture) -> None:
    source = (
        "import tempfile\n\n\ndef greet(a):\n    return {'greeting': tempfile.mktemp()}\n\n\n"
        "def echo(a):\n    return {'value': a}\n"
    )
    registry.submit(*make_wheel(source=source))
    registry.worker.run_once()
    view = registry.view()
    assert (view["state"], view["scan"]["result"]) == ("in_review", "WARNED")
    assert view["scan"]["counts"]["medium"] >= 1


# -- publishing ------------------------------------------------------------------------------


def test_one_approval_of_two_publishes_nothing(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    registry.worker.run_once()
    registry.post_review(registry.review_bundle(BOB))
    assert not registry.worker.run_once()
    assert registry.view()["state"] == "in_review"


def test_evidence_that_was_altered_in_the_store_publishes_nothing(
    registry: RegistryFixture,
) -> None:
    approved(registry)
    digest = next(line["sha256"] for line in evidence(registry) if line["step"] == "scan")
    path = registry.services.blobs.path(digest)
    path.write_bytes(path.read_bytes().replace(b'"PASSED"', b'"WARNED"') + b" ")
    registry.worker.run_once()
    view = registry.view()
    assert view["state"] == "in_review"
    assert view["problems"][0]["code"] == "registry.blob-damaged"


def test_rows_that_claim_approvals_publish_nothing(registry: RegistryFixture) -> None:
    """A database that was written to by somebody else: the rows say enough, the evidence not."""
    registry.submit(*make_wheel())
    registry.worker.run_once()
    registry.post_review(registry.review_bundle(BOB))
    claim_approval(registry, CAROL)
    assert registry.view()["waits_for"] == "publication"
    registry.worker.run_once()
    view = registry.view()
    assert (view["state"], view["published_at"]) == ("in_review", None)
    assert events(registry)[-1] == "publish-refused"
    assert view["problems"][0]["code"] == "gate.threshold"
    assert "publish" not in [line["step"] for line in evidence(registry)]


def claim_approval(registry: RegistryFixture, subject: str) -> None:
    """Write a row that no evidence stands behind."""
    with registry.services.database.write() as session:
        version = find(session, "example-plugin", "1.0.0")
        session.add(
            Review(
                version_id=version.id,
                evidence_sha256="0" * 64,
                issuer=registry.trust.issuer,
                subject=subject,
                decision="approve",
                comment="",
                at=datetime.now(UTC),
            )
        )


def test_a_row_of_the_author_counts_nothing(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel(), by=BOB)
    registry.worker.run_once()
    registry.post_review(registry.review_bundle(CAROL))
    claim_approval(registry, BOB)
    assert registry.view()["waits_for"] == "1 of 2 approvals"


def test_a_refusal_is_told_once_and_judged_anew_when_something_changes(
    registry: RegistryFixture,
) -> None:
    clock = Clock()
    registry.now = clock
    approved(registry)
    with registry.services.database.write() as session:
        session.execute(update(Evidence).where(Evidence.step == "scan").values(step="scan"))
        hidden = next(
            item
            for item in find(session, "example-plugin", "1.0.0").evidence
            if item.step == "scan"
        )
        kept = {c.name: getattr(hidden, c.name) for c in Evidence.__table__.columns}
        session.delete(hidden)
    for _ in range(3):
        registry.worker.run_once()
        clock.forward(hours=2)
    assert events(registry).count("publish-refused") == 1
    assert registry.view()["problems"][0]["code"] == "gate.threshold"

    registry.worker.run_once()
    with registry.services.database.write() as session:
        session.add(Evidence(**kept))
    assert registry.worker.run_once(), "the evidence has changed: there is no pause"
    assert registry.view()["state"] == "published"


def test_a_layout_that_expired_publishes_nothing(registry: RegistryFixture) -> None:
    approved(registry)
    later = datetime.now(UTC) + timedelta(days=31)
    registry.now = lambda: later
    registry.worker.run_once()
    view = registry.view()
    assert view["state"] == "in_review"
    assert view["problems"][0]["code"] == "layout.expired"
    registry.now = lambda: datetime.now(UTC)
    model = registry.trust.make_layout(expires=datetime.now(UTC) + timedelta(days=60))
    registry.settings.layout.write_bytes(sign_layout(model, registry.trust.owner_signers))
    registry.worker.run_once()
    assert registry.view()["state"] == "published"


@pytest.mark.parametrize("signer", [OUTSIDER, SCANNER, BOB])
def test_a_publication_signed_by_somebody_else_is_refused_by_the_second_gate(
    registry: RegistryFixture, signer: str
) -> None:
    approved(registry)
    stranger = Publishing(registry.services, workload(registry.trust, signer), 30.0)
    replace(registry.worker, publishing=stranger).run_once()
    view = registry.view()
    assert (view["state"], view["published_at"]) == ("in_review", None)
    assert events(registry)[-1] == "publish-refused"
    assert "publish" not in [line["step"] for line in evidence(registry)]
    registry.services.blobs.collect(registry.services.referenced)


def test_a_publication_that_cannot_be_signed_waits(registry: RegistryFixture) -> None:
    clock = Clock()
    registry.now = clock
    approved(registry)
    lost = Publishing(registry.services, Workload(registry.trust.registry, away), 30.0)
    worker = replace(registry.worker, publishing=lost)
    for _ in range(3):
        assert worker.run_once()
        assert not worker.run_once(), "there is a pause between two tries"
        clock.forward(seconds=11)
    assert events(registry).count("publish-delayed") == 1
    assert registry.view()["problems"][0]["code"] == "signing.token"
    assert registry.worker.run_once()
    assert registry.view()["state"] == "published"


def test_a_rejection_that_comes_during_publication_wins(registry: RegistryFixture) -> None:
    approved(registry)
    sign = workload(registry.trust, registry.trust.registry).sign

    def slow(statement: bytes) -> bytes:
        bundle = registry.review_bundle(DAVE, decision="reject", comment="Stop.")
        assert registry.post_review(bundle).status_code == 201
        return sign(statement)

    late = Publishing(registry.services, Workload(registry.trust.registry, slow), 30.0)
    replace(registry.worker, publishing=late).run_once()
    view = registry.view()
    assert (view["state"], view["published_at"]) == ("rejected", None)
    assert not registry.worker.run_once()


def test_the_web_process_knows_no_secret() -> None:
    for kind in (Settings, AccountSettings):
        names = [field.name for field in fields(kind) if "SigningAccount" in str(field.type)]
        assert not [*names, *(name for name in kind.__slots__ if "secret" in name)]


def test_a_worker_may_have_one_task_only(trust: TrustFixture, tmp_path: Path) -> None:
    made = RegistryFixture.make(trust, tmp_path)
    assert made.worker.scanning is not None
    made.submit(*make_wheel())
    idle = replace(made.worker, scanning=None)
    assert not idle.run_once()
    only = Worker(
        made.services, Scanning(made.services, made.worker.scanning.workload, 30, 3), None
    )
    assert only.run_once()
    assert made.view()["state"] == "in_review"
