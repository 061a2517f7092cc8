"""A revocation that was handed over is on record: what it says, once, also when the disk failed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from runner import audit_source, records
from runner.audit import Audit
from runner.audit_verify import verify
from sealgate.commands.audit import command as audit_command
from tests.runner.kit import NAME, Calls, codes
from tests.runner.revocations.test_follower import VERSION, hand, refresh, told
from tests.runner.revocations.town import ADMIN, Town
from tests.runner.underway import Held
from tests.support.evidence import OUTSIDER
from trust.revocation import Target


def handed(t: Town) -> list[dict[str, Any]]:
    return [record for record in t.site.records() if record["type"] == "revocation"]


def assert_verifies(t: Town) -> None:
    with audit_source.open_source(t.site.log) as source:
        report = verify(source, t.site.vkey)
    assert report.ok, report.problems


def test_what_was_handed_over_is_on_record_once(t: Town) -> None:
    bundle = t.sign(VERSION, action="quarantine")
    with t.site.runner() as calls:
        said = hand(calls, bundle).get_json()
        assert hand(calls, bundle).status_code == 200
        assert hand(calls, t.sign(VERSION, by=OUTSIDER)).status_code == 403
        assert hand(calls, b"{").status_code == 422
    with t.site.runner() as calls:
        assert codes(calls.call()) == ["revocation.version"]
    (record,) = handed(t)
    assert record["revocation"] == said
    assert record["revocation"]["signer"] == t.site.trust.identity(ADMIN).as_dict()
    assert record["evidence"] == [said["bundle_sha256"]]
    assert (record["plugin"], record["version"]) == (NAME, "1.0.0")
    assert (record["decision"], record["status"], record["caller"]) == (None, None, None)
    assert records.check(record) == ()
    # The schema knows the type, and nothing else may claim it.
    assert records.check({**record, "type": "outcome"})
    assert records.check({name: v for name, v in record.items() if name != "revocation"})
    assert records.check({**record, "decision": "admitted"})
    assert_verifies(t)
    shown = CliRunner().invoke(audit_command, ["show", str(t.site.log)], obj=t.site.log.parent)
    for words in ("quarantine", f"handed over by {ADMIN}", NAME, "1.0.0", "it steals"):
        assert words in shown.output.splitlines()[0]


def test_what_came_by_the_log_is_not_handed_over(t: Town) -> None:
    bundle = t.revoke(VERSION)
    with t.site.runner() as calls:
        assert hand(calls, bundle).status_code == 200
    assert handed(t) == []


def test_it_stands_before_the_end_of_the_call_that_it_stops(t: Town) -> None:
    held = Held()
    t.site.sandbox.behave = held.behave
    with t.site.runner() as calls:
        thread = threading.Thread(target=calls.call)
        thread.start()
        assert held.inside.acquire(timeout=10)
        assert hand(calls, t.sign(VERSION)).status_code == 200
        thread.join(10)
    assert [r["type"] for r in t.site.records()] == ["decision", "revocation", "outcome"]
    assert_verifies(t)


def failing(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the audit log's disk be full."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    audit: Audit = calls.service.audit
    monkeypatch.setattr(audit._log, "append_many", full)


def test_it_holds_without_a_record_and_the_record_is_owed(
    t: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = t.sign(VERSION)
    with t.site.runner() as calls:
        with monkeypatch.context() as broken:
            failing(calls, broken)
            answer = hand(calls, bundle)
            assert (answer.status_code, told(answer)) == (503, ["audit.unavailable"])
            assert len(calls.get("/v1/revocations").get_json()["in_force"]) == 1
            assert hand(calls, bundle).status_code == 503
        assert handed(t) == []
        assert hand(calls, bundle).status_code == 200
        assert len(handed(t)) == 1
    assert_verifies(t)


def test_what_is_owed_is_recorded_after_a_restart(
    t: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundles = [t.sign(VERSION), t.sign(Target.of_plugin("another"))]
    with t.site.runner() as calls, monkeypatch.context() as broken:
        failing(calls, broken)
        assert [hand(calls, each).status_code for each in bundles] == [503, 503]
    for _ in range(2):
        with t.site.runner() as calls:
            assert refresh(calls).status_code == 200
    assert [r["revocation"]["target"].get("plugin") for r in handed(t)] == [NAME, "another"]
    assert_verifies(t)
