"""What a revocation does in the registry: off the shelf, judged anew, or scanned again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry.lookup import find
from registry.publishing import ask
from registry.revocations.effects import Effects
from registry.revocations.settings import RevocationSettings
from scanner import ScanPolicy, ScanResult, scan
from tests.registry.revocations.conftest import ADMIN
from tests.registry.revocations.test_log import send, signed
from tests.support.evidence import REVIEWERS, TrustFixture
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel
from trust.gate import Refused
from trust.revocation import Target, lift_statement, revocation_statement, verify_revocation

NAME = "example-plugin"
BOB, CAROL, DAVE = REVIEWERS
OLD = ScanPolicy(wall_seconds=119.0)


@pytest.fixture
def registry(trust: TrustFixture, tmp_path: Path) -> Iterator[RegistryFixture]:
    """A registry whose worker acts on revocations."""
    settings = RevocationSettings(tmp_path / "log.sqlite", frozenset({trust.identity(ADMIN)}))
    made = RegistryFixture.make(trust, tmp_path, revocations=settings)
    made.worker = replace(made.worker, effects=Effects(made.services, made.worker.scanning))
    yield made
    made.services.close()


def revoke(registry: RegistryFixture, target: Target, action: Any = "revoke") -> bytes:
    bundle = signed(registry, target, action=action)
    assert send(registry, bundle).status_code == 201
    work(registry)
    return bundle


def lift(registry: RegistryFixture, quarantine: bytes) -> None:
    now = datetime.now(UTC)
    found = verify_revocation(registry.services.trust.verifier(), quarantine, now)
    statement = lift_statement(found, reason="a mistake", effective=now)
    assert send(registry, registry.trust.sigstore.sign(ADMIN, statement)).status_code == 201
    work(registry)


def work(registry: RegistryFixture) -> None:
    for _ in range(6):
        if not registry.worker.run_once():
            return
    raise AssertionError("the worker finds no rest")


def state(registry: RegistryFixture, version: str = "1.0.0") -> str:
    return str(registry.view(NAME, version)["state"])


def index(registry: RegistryFixture) -> dict[str, Any]:
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    answer = registry.client.get(f"/simple/{NAME}/", headers=accept).get_json()
    return {file["filename"].split("-")[1]: file["yanked"] for file in answer["files"]}


def approve(registry: RegistryFixture, by: str, version: str = "1.0.0") -> int:
    bundle = registry.review_bundle(by, NAME, version)
    return registry.post_review(bundle, NAME, version).status_code


@pytest.mark.parametrize("kind", ["version", "wheel", "plugin", "publisher"])
def test_what_was_revoked_is_gone_for_good(registry: RegistryFixture, kind: str) -> None:
    filename, wheel = make_wheel()
    registry.publish(filename, wheel)
    digest = registry.view()["sha256"]
    target = {
        "version": Target.of_version(NAME, "1.0.0"),
        "wheel": Target.of_version("other", "9.9", digest),
        "plugin": Target.of_plugin(NAME),
        "publisher": Target.of_publisher(registry.trust.author),
    }[kind]
    revoke(registry, target)
    view = registry.view()
    assert view["state"] == "revoked"
    last = view["timeline"][-1]
    assert (last["event"], last["actor"]["subject"]) == ("revoked", ADMIN)
    assert "it steals" in last["detail"]
    assert view["problems"][0]["code"] == f"revocation.{target.kind}"
    assert "it steals" in index(registry)["1.0.0"]
    page = registry.client.get(f"/simple/{NAME}/", headers={"Accept": "text/html"}).text
    assert 'data-yanked="' in page
    assert registry.client.get(f"/files/{digest}/{filename}").status_code == 404
    approvals = [approve(registry, by) for by in REVIEWERS]
    assert approvals == [409, 409, 409]
    assert registry.submit(filename, wheel).status_code == 200, "and never comes back"
    work(registry)
    assert state(registry) == "revoked"


def test_who_was_revoked_submits_nothing_more(registry: RegistryFixture) -> None:
    revoke(registry, Target.of_publisher(registry.trust.author))
    answer = registry.submit(*make_wheel())
    assert answer.status_code == 403
    assert [p["code"] for p in answer.get_json()["problems"]] == ["revocation.publisher"]


def test_other_versions_stay(registry: RegistryFixture) -> None:
    registry.publish(*make_wheel())
    registry.publish(*make_wheel(version="1.1.0"))
    revoke(registry, Target.of_version(NAME, "1.1.0"))
    assert (state(registry), state(registry, "1.1.0")) == ("published", "revoked")
    assert index(registry)["1.0.0"] is False


def test_a_quarantine_comes_and_goes(registry: RegistryFixture) -> None:
    registry.publish(*make_wheel())
    quarantine = revoke(registry, Target.of_plugin(NAME), "quarantine")
    assert state(registry) == "quarantined"
    assert "it steals" in index(registry)["1.0.0"]
    # In quarantine nothing of the plugin is published, whatever was approved.
    registry.submit(*make_wheel(version="1.1.0"))
    work(registry)
    assert [approve(registry, by, "1.1.0") for by in (BOB, CAROL)] == [201, 201]
    work(registry)
    assert state(registry, "1.1.0") == "in_review"
    lift(registry, quarantine)
    assert (state(registry), state(registry, "1.1.0")) == ("published", "published")
    assert index(registry) == {"1.0.0": False, "1.1.0": False}
    revoke(registry, Target.of_version(NAME, "1.1.0"))
    assert state(registry, "1.1.0") == "revoked"


def test_what_rested_on_a_revoked_reviewer_needs_another(registry: RegistryFixture) -> None:
    registry.publish(*make_wheel())
    revoke(registry, Target.of_reviewer(registry.trust.identity(BOB)))
    view = registry.view()
    assert (view["state"], view["approvals"]) == ("in_review", 1)
    reopened = next(e for e in view["timeline"] if e["event"] == "review-reopened")
    assert BOB in reopened["detail"]
    assert reopened["problems"][0]["code"] == "gate.threshold"
    assert BOB in index(registry)["1.0.0"]
    registry.submit(*make_wheel(version="1.1.0"))
    work(registry)
    assert approve(registry, BOB, "1.1.0") == 403, "nor do new approvals of theirs count"
    assert approve(registry, DAVE) == 201
    work(registry)
    assert state(registry) == "published"
    assert index(registry) == {"1.0.0": False}


def test_one_approval_too_many_keeps_a_version_published(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    work(registry)
    assert [approve(registry, by) for by in REVIEWERS] == [201, 201, 201]
    work(registry)
    revoke(registry, Target.of_reviewer(registry.trust.identity(DAVE)))
    assert state(registry) == "published"


# -- rule sets ---------------------------------------------------------------------------------


def under(registry: RegistryFixture, run: Any) -> None:
    """Have the worker scan as `run` says."""
    scanning = registry.worker.scanning
    assert scanning is not None
    scanning = replace(scanning, run=run)
    effects = Effects(registry.services, scanning)
    registry.worker = replace(registry.worker, scanning=scanning, effects=effects)


def lenient(wheel: bytes, filename: str) -> ScanResult:
    """Scan with the rules of yesterday, which see nothing but a harmless plugin."""
    harmless = make_wheel(version=filename.split("-")[1])[1]
    return scan(harmless, filename, OLD)


HARMFUL = """\
import subprocess


def greet(arguments):
    return {"x": subprocess.call(arguments["name"], shell=True)}
"""


def test_a_revoked_rule_set_has_everything_scanned_again(registry: RegistryFixture) -> None:
    under(registry, lenient)
    registry.publish(*make_wheel())
    registry.publish(*make_wheel(version="1.1.0", source=HARMFUL))
    assert (state(registry), state(registry, "1.1.0")) == ("published", "published")
    under(registry, scan)
    revoke(registry, Target.of_rule_set(OLD.sha256))
    good, bad = registry.view(), registry.view(NAME, "1.1.0")
    assert good["state"] == "published"
    assert good["timeline"][-1]["event"] == "rescanned"
    assert OLD.sha256[:12] in good["timeline"][-1]["detail"]
    assert (bad["state"], bad["scan"]["result"], bad["approvals"]) == ("in_review", "FAILED", 0)
    last = bad["timeline"][-1]
    assert last["event"] == "review-reopened"
    assert last["problems"][0]["code"].startswith("scan.")
    assert index(registry)["1.1.0"]
    # No number of approvals brings it back: the new scan is signed, and the gate refuses it.
    for by in (BOB, CAROL):
        approve(registry, by, "1.1.0")
    work(registry)
    assert state(registry, "1.1.0") == "in_review"
    with registry.services.database.read() as session:
        refused = ask(registry.services, find(session, NAME, "1.1.0"), before_publish=True)
    assert isinstance(refused, Refused)
    assert refused.problem.code == "gate.scan-failed"
    bundle = registry.review_bundle(
        DAVE, NAME, "1.1.0", decision="reject", comment="it calls a shell"
    )
    assert registry.post_review(bundle, NAME, "1.1.0").status_code == 201
    assert state(registry, "1.1.0") == "rejected"


def test_a_scan_that_does_not_end_blocks_too(registry: RegistryFixture) -> None:
    under(registry, lenient)
    registry.publish(*make_wheel())
    starved = ScanPolicy(wall_seconds=0.01)
    under(registry, lambda wheel, filename: scan(wheel, filename, starved))
    revoke(registry, Target.of_rule_set(OLD.sha256))
    assert state(registry) == "in_review"
    assert registry.view()["problems"]


def test_the_present_rule_set_is_not_scanned_in_circles(registry: RegistryFixture) -> None:
    registry.publish(*make_wheel())
    revoke(registry, Target.of_rule_set(ScanPolicy().sha256))
    assert state(registry) == "published"


def test_a_revocation_takes_force_at_its_time(registry: RegistryFixture) -> None:
    registry.publish(*make_wheel())
    start = datetime.now(UTC)
    statement = revocation_statement(
        Target.of_plugin(NAME),
        action="revoke",
        reason="from tomorrow on",
        effective=start + timedelta(days=1),
    )
    assert send(registry, registry.trust.sigstore.sign(ADMIN, statement)).status_code == 201
    work(registry)
    assert state(registry) == "published"
    registry.now = lambda: start + timedelta(days=1, seconds=1)
    work(registry)
    assert state(registry) == "revoked"
