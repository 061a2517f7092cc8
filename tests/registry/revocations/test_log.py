"""The registry's revocation log: who gets into it, what it serves, and that it only grows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from registry.errors import NotFound, Unavailable
from registry.revocations import intake
from registry.revocations.log import LogKeeper
from registry.revocations.models import RevocationRow
from registry.revocations.page import page as page_of
from registry.revocations.settings import RevocationSettings
from tests.registry.revocations.conftest import ADMIN
from tests.support.evidence import AUTHOR, OUTSIDER
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel
from trust.evidence.bundles import BundleVerifier
from trust.revocation import (
    Target,
    lift_statement,
    revocation_statement,
    verify_revocation,
)
from trust.revocation.follow import Known, LogMisbehaves, Page

PATH = "/api/v1/revocations"
NOW = datetime.now(UTC)


def signed(
    registry: RegistryFixture, target: Target, by: str = ADMIN, action: Any = "revoke"
) -> bytes:
    statement = revocation_statement(target, action=action, reason="it steals", effective=NOW)
    return registry.trust.sigstore.sign(by, statement)


def send(registry: RegistryFixture, bundle: bytes) -> Any:
    return registry.client.post(PATH, data=bundle, content_type="application/json")


def keeper(registry: RegistryFixture) -> LogKeeper:
    assert registry.worker.revocation_log is not None
    return registry.worker.revocation_log


def read(registry: RegistryFixture, known: Known) -> tuple[Known, tuple[bytes, ...]]:
    """Follow the log as a runner does; one page is enough here."""
    page = Page.parse(registry.client.get(f"{PATH}?since={known.size}").data)
    head = known.check(page, keeper(registry).signer.verifier, datetime.now(UTC))
    return known.extend(page.entries, head), page.entries


def test_what_was_revoked_is_in_the_log_and_the_log_only_grows(registry: RegistryFixture) -> None:
    assert registry.client.get(PATH).status_code == 503
    keeper(registry).once()
    known, entries = read(registry, Known())
    assert (known.size, entries) == (0, ())
    sent = []
    for number in range(5):
        sent.append(signed(registry, Target.of_plugin(f"plugin-{number}")))
        answer = send(registry, sent[-1])
        assert answer.status_code == 201
        assert answer.get_json()["target"] == {"kind": "plugin", "plugin": f"plugin-{number}"}
        keeper(registry).once()
        known, entries = read(registry, known)
        assert entries == (sent[-1],)
    whole, entries = read(registry, Known())
    assert list(entries) == sent
    assert (whole.size, whole.root) == (known.size, known.root) == (5, known.root)
    assert send(registry, sent[0]).status_code == 200, "the identical bundle changes nothing"
    assert registry.client.get(f"{PATH}?since=6").status_code == 400
    assert registry.client.get(f"{PATH}?since=-1").status_code == 400


def test_who_may_revoke_what(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    own = Target.of_version("example-plugin", "1.0.0")

    def refused(bundle: bytes, status: int, code: str) -> None:
        answer = send(registry, bundle)
        assert answer.status_code == status
        assert [p["code"] for p in answer.get_json()["problems"]] == [code]

    refused(signed(registry, own, OUTSIDER), 403, "revocation.not-authorised")
    plugin = Target.of_plugin("example-plugin")
    refused(signed(registry, plugin, AUTHOR), 403, "revocation.not-authorised")
    other = Target.of_version("example-plugin", "9.9.9")
    refused(signed(registry, other, AUTHOR), 404, "registry.no-such-version")
    assert send(registry, signed(registry, own, AUTHOR)).status_code == 201
    refused(signed(registry, own, AUTHOR), 409, "registry.already-revoked")
    assert send(registry, signed(registry, own, ADMIN)).status_code == 201
    refused(b"{}", 422, "bundle.format")
    refused(b" " * 60_001, 413, "registry.bundle-too-large")
    refused(registry.trust.submit(*make_wheel()), 422, "revocation.type")
    answer = registry.client.post(PATH, data=b"{}", content_type="text/plain")
    assert answer.status_code == 415


def test_a_quarantine_is_lifted_and_may_come_again(registry: RegistryFixture) -> None:
    target = Target.of_plugin("example-plugin")
    quarantine = signed(registry, target, action="quarantine")
    assert send(registry, quarantine).status_code == 201
    again = send(registry, signed(registry, target, action="quarantine"))
    assert again.status_code == 409
    verifier = BundleVerifier(registry.trust.sigstore.trusted_root)
    found = verify_revocation(verifier, quarantine, datetime.now(UTC))
    lift = lift_statement(found, reason="a mistake", effective=NOW)
    assert send(registry, registry.trust.sigstore.sign(OUTSIDER, lift)).status_code == 403
    assert send(registry, registry.trust.sigstore.sign(ADMIN, lift)).status_code == 201
    assert send(registry, signed(registry, target, action="quarantine")).status_code == 201
    assert len(registry.services.standing.now().in_force(datetime.now(UTC))) == 1


def test_a_worker_that_died_between_log_and_row_repeats_nothing(
    registry: RegistryFixture,
) -> None:
    send(registry, signed(registry, Target.of_plugin("one")))
    keeper(registry).once()
    with registry.services.database.write() as session:
        session.execute(update(RevocationRow).values(log_index=None))
    send(registry, signed(registry, Target.of_plugin("two")))
    head = keeper(registry).once()
    assert head.checkpoint.size == 2
    with registry.services.database.read() as session:
        rows = session.query(RevocationRow).order_by(RevocationRow.id)
        assert [row.log_index for row in rows] == [0, 1]


def test_a_log_that_the_database_does_not_know_is_not_signed(registry: RegistryFixture) -> None:
    send(registry, signed(registry, Target.of_plugin("one")))
    keeper(registry).once()
    with registry.services.database.write() as session:
        session.query(RevocationRow).delete()
    with pytest.raises(Unavailable, match="revocation-log-foreign"):
        keeper(registry).once()


def test_a_log_that_was_rolled_back_forked_or_replayed_is_named(
    registry: RegistryFixture, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    key = keeper(registry).signer.verifier

    def page(since: int = 0) -> Page:
        return Page.parse(registry.client.get(f"{PATH}?since={since}").data)

    def named(known: Known, page: Page, at: datetime = now) -> str:
        with pytest.raises(LogMisbehaves) as caught:
            known.extend(page.entries, known.check(page, key, at))
        return caught.value.problem.code.removeprefix("revocation-log.")

    keeper(registry).once()
    early = page()
    send(registry, signed(registry, Target.of_plugin("one")))
    keeper(registry).once()
    first = page()
    known, _ = read(registry, Known())
    assert named(known, early) == "rollback"
    # The same key signs another history.
    fork = LogKeeper(registry.services, tmp_path / "fork.sqlite", keeper(registry).signer)
    with registry.services.database.write() as session:
        session.query(RevocationRow).delete()
    send(registry, signed(registry, Target.of_plugin("other")))
    fork.once()
    forked = page(1)
    assert named(known, Page(1, forked.head, (), ())) == "fork"
    # An older head than the one that is known.
    later = datetime.now(UTC) + timedelta(seconds=30)
    registry.now = lambda: later
    assert named(Known(1, known.edge, known.head), Page(1, "", (), ())) == "signature"
    assert named(known, Page(1, first.head.replace("time 1", "time 2"), (), ())) == "signature"
    assert named(known, first, now - timedelta(hours=1)) == "future"
    assert named(Known(), Page(0, first.head, (b"x",), ())) == "entries"
    assert named(Known(), Page(0, first.head, (), ())) == "entries"


def test_an_older_head_is_not_taken_for_a_younger_one(registry: RegistryFixture) -> None:
    start = datetime.now(UTC)
    keeper(registry).once()
    old = Page.parse(registry.client.get(PATH).data)
    registry.now = lambda: start + timedelta(seconds=40)
    keeper(registry).once()
    known, _ = read(registry, Known())
    with pytest.raises(LogMisbehaves, match="replay"):
        known.check(old, keeper(registry).signer.verifier, start + timedelta(seconds=41))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"since":"0","head":"","entries":[],"consistency":[]}',
             b'{"since":0,"head":"","entries":["*"],"consistency":[]}',
             json.dumps({"since": 0, "head": "", "entries": [""] * 65, "consistency": []}).encode()]
)  # fmt: skip
def test_a_malformed_page_is_refused(data: bytes) -> None:
    with pytest.raises(LogMisbehaves, match="malformed"):
        Page.parse(data)


def test_a_registry_without_a_log_takes_nothing(registry: RegistryFixture) -> None:
    bare = replace(
        registry.services,
        settings=replace(registry.settings, revocations=RevocationSettings()),
    )
    with pytest.raises(NotFound, match="no-revocation-log"):
        intake.post(bare, signed(registry, Target.of_plugin("one")))
    with pytest.raises(NotFound, match="no-revocation-log"):
        page_of(bare, 0)
