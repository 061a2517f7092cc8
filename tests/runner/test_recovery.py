"""What a runner finds at its start: interrupted calls, bindings, a log that was rolled back."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from runner import records
from runner.clock import SystemClock
from runner.main import open_service
from runner.recovery import Instance, Learned, LogRolledBack, recover
from runner.setup import (
    KEY_NAME,
    VKEY_NAME,
    SetupRefused,
    initialise,
    load_signer,
    make_caller_token,
)
from tests.runner.kit import NAME, Site, executed
from trust.log import MerkleLog, NoteVerifier


class Killed(BaseException):
    """Stands for what no `except Exception` sees: the process ends here."""


def die_in_mid_call(site: Site) -> None:
    """Leave a log as a runner leaves it that dies while a plugin runs."""

    def die(_job: Any) -> Any:
        raise Killed

    site.sandbox.behave = die
    with site.runner() as calls, pytest.raises(Killed):
        calls.call()
    site.sandbox.behave = executed


def test_an_interrupted_call_gets_its_outcome_once(site: Site) -> None:
    die_in_mid_call(site)
    assert [r["status"] for r in site.records()] == [None]
    for _ in range(2):
        with site.runner():
            found = site.records()
    decision, outcome = found
    assert outcome["status"] == "interrupted"
    assert outcome["decision_index"] == 0
    assert outcome["request_id"] == decision["request_id"]
    assert outcome["runner_id"] != decision["runner_id"]
    assert decision["runner_id"] in outcome["problems"][0]["value"]
    assert records.check(outcome) == ()


def test_a_call_of_a_runner_that_lives_is_not_interrupted(site: Site) -> None:
    def second_runner_starts(job: Any) -> Any:
        with site.runner():
            pass
        return executed(job)

    site.sandbox.behave = second_runner_starts
    with site.runner() as calls:
        assert calls.call()["status"] == "ok"
    assert [r["status"] for r in site.records()] == [None, "ok"]


def test_two_runners_that_start_at_once_interrupt_a_call_once(site: Site) -> None:
    die_in_mid_call(site)
    with site.runner(), site.runner():
        pass
    assert [r["status"] for r in site.records()] == [None, "interrupted"]


def test_a_living_instance_is_seen_and_a_dead_one_too(site: Site) -> None:
    die_in_mid_call(site)
    owner = site.records()[0]["runner_id"]
    instance = Instance(site.state, owner)
    with site.runner():
        assert len(site.records()) == 1
    instance.close()
    with site.runner():
        assert len(site.records()) == 2
    assert list((site.state / "instances").iterdir()) == []


def test_what_was_learned_is_kept_and_read_on_from_there(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.runner() as calls:
        calls.call()
    with site.runner() as calls:
        calls.call("echo", {})
    taken: list[int] = []
    real = Learned.take
    monkeypatch.setattr(
        Learned, "take", lambda self, index, entry: (taken.append(index), real(self, index, entry))
    )
    with site.runner() as calls:
        audit = calls.service.audit
        learned = recover(audit, _origin(), SystemClock(), site.state)
    assert taken == [2, 3]
    assert learned.bindings[NAME, "1.0.0"]
    assert learned.open == {}


def _origin() -> records.Origin:
    return records.Origin("a" * 64, "b" * 64, "c" * 64, "sha256:" + "d" * 64)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"size": 999, "root": "", "open": [], "bindings": []}']
)
def test_a_spoilt_index_is_learned_anew(site: Site, content: bytes) -> None:
    with site.runner() as calls:
        calls.call()
    (site.state / "audit-index.json").write_bytes(content)
    site.release("1.0.0", files={"example_plugin/more.txt": "x"})
    with site.runner() as calls:
        assert calls.call()["error"]["problems"][0]["code"] == "admission.rebound"


def test_an_index_of_another_log_is_not_believed(site: Site, tmp_path: Path) -> None:
    with site.runner() as calls:
        calls.call()
    log = MerkleLog(site.log, None)
    assert Learned.load(site.state / "audit-index.json", log).size == 0  # saved at the start
    Learned(2, {}, {("x", "1"): "y"}).save(tmp_path / "index", log)
    assert Learned.load(tmp_path / "index", log).bindings == {("x", "1"): "y"}
    other = MerkleLog(None, None)
    other.append_many([b"{}", b"{}"])
    assert Learned.load(tmp_path / "index", other) == Learned()
    log.close()
    other.close()


def test_a_log_that_was_replaced_by_an_older_copy_is_refused(site: Site) -> None:
    with site.runner() as calls:
        calls.call()
    old = site.folder / "old"
    shutil.copytree(site.state, old)
    with site.runner() as calls:
        calls.call()
    for name in ("audit.sqlite", "audit.sqlite-wal", "audit.sqlite-shm"):
        (site.state / name).unlink(missing_ok=True)
        if (old / name).exists():
            shutil.copy(old / name, site.state)
    with pytest.raises(LogRolledBack, match="rolled-back"), site.runner():
        pytest.fail("it started")


def test_a_log_that_was_removed_is_refused(site: Site) -> None:
    with site.runner() as calls:
        calls.call()
    for path in site.state.glob("audit.sqlite*"):
        path.unlink()
    with pytest.raises(LogRolledBack), site.runner():
        pytest.fail("it started")


def test_a_damaged_log_is_refused(site: Site) -> None:
    with site.runner() as calls:
        calls.call()
    db = sqlite3.connect(site.log)
    db.execute("DROP TRIGGER node_update")
    db.execute("UPDATE node SET hash = zeroblob(32) WHERE level = 1")
    db.commit()
    db.close()
    with pytest.raises(Exception, match=r"log\.corrupt"), site.runner():
        pytest.fail("it started")


# Setting up.


def test_setting_up_is_idempotent_and_private(tmp_path: Path) -> None:
    state, keys = tmp_path / "state", tmp_path / "keys"
    first = initialise(state, keys)
    assert initialise(state, keys) == first
    assert (state / KEY_NAME).stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert NoteVerifier.from_vkey((keys / VKEY_NAME).read_text()) == first
    assert load_signer(state).verifier == first


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    initialise(tmp_path / "state", tmp_path / "keys")
    (tmp_path / "state" / KEY_NAME).chmod(0o640)
    with pytest.raises(SetupRefused, match="others may read"):
        load_signer(tmp_path / "state")


def test_keys_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    initialise(tmp_path / "one", tmp_path / "keys-one")
    initialise(tmp_path / "two", tmp_path / "keys-two")
    with pytest.raises(SetupRefused, match="not the signing key"):
        initialise(tmp_path / "one", tmp_path / "keys-two")
    with pytest.raises(SetupRefused, match="signing key is gone"):
        initialise(tmp_path / "three", tmp_path / "keys-two")


@pytest.mark.parametrize("text", ["", "origin", "origin zz", "origin 00", "o " + "0" * 63])
def test_a_spoilt_key_is_refused(tmp_path: Path, text: str) -> None:
    initialise(tmp_path / "state", tmp_path / "keys")
    (tmp_path / "state" / KEY_NAME).write_text(text)
    with pytest.raises(SetupRefused):
        load_signer(tmp_path / "state")


def test_tokens_are_random_and_long() -> None:
    tokens = {make_caller_token().token for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token.removeprefix("sealgate_")) == 43 for token in tokens)


def test_the_service_closes_everything(site: Site) -> None:
    before = set(threading.enumerate())
    with open_service(site.settings, sandbox=site.sandbox):
        assert set(threading.enumerate()) > before
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert left == set()
