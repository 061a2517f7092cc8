"""The audit trail fails closed: no record, no run; no record of the outcome, no result."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.audit import Audit, AuditUnavailable
from runner.copies import Copier
from runner.main import open_service
from tests.runner.kit import Calls, Site, codes, executed, records_of
from trust.errors import problem
from trust.log import LogUnavailable, MerkleLog, NoteSigner, leaf_hash
from trust.log.tail import Tail

SIGNER = NoteSigner.generate("test.local/audit")


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Audit]:
    opened = Audit(tmp_path / "audit.sqlite", SIGNER, append_seconds=5)
    yield opened
    opened.close()


def assert_nothing_ran(site: Site, reply: dict[str, Any]) -> None:
    assert reply["status"] == "unavailable"
    assert reply["result"] is None
    assert reply["receipt"] is None
    assert site.sandbox.jobs == []


def test_concurrent_appends_share_a_commit_and_each_is_durable(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    real = MerkleLog.append_many

    def counted(log: MerkleLog, entries: Any) -> range:
        entries = list(entries)
        commits.append(len(entries))
        time.sleep(0.01)  # a disk that takes its time: meanwhile others queue
        return real(log, entries)

    monkeypatch.setattr(MerkleLog, "append_many", counted)
    other = MerkleLog(audit.path, None)

    def call(number: int) -> bool:
        recorded = audit.append({"n": number, "problems": []})
        return other.entry(recorded.index) == recorded.entry

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(call, range(300)))
    other.close()
    assert sum(commits) == 300
    assert len(commits) < 60


def test_no_caller_is_told_before_its_record_is_on_disk(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    committing, go = threading.Event(), threading.Event()
    real = MerkleLog.append_many

    def slow(log: MerkleLog, entries: Any) -> range:
        committing.set()
        go.wait(5)
        return real(log, entries)

    monkeypatch.setattr(MerkleLog, "append_many", slow)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(audit.append, {"n": 1, "problems": []})
        assert committing.wait(5)
        assert not future.done()
        go.set()
        assert future.result(5).index == 0


def test_a_failed_commit_fails_every_call_in_it(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(log: MerkleLog, entries: Any) -> range:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr(MerkleLog, "append_many", fail)
        with pytest.raises(AuditUnavailable):
            audit.append({"n": 1, "problems": []})
    assert audit.append({"n": 2, "problems": []}).index == 0


def test_a_record_that_comes_late_is_followed_by_what_became_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Audit(tmp_path / "audit.sqlite", SIGNER, append_seconds=0.2)
    real = MerkleLog.append_many

    def slow(log: MerkleLog, entries: Any) -> range:
        time.sleep(0.5)
        return real(log, entries)

    monkeypatch.setattr(MerkleLog, "append_many", slow)
    with pytest.raises(AuditUnavailable):
        audit.begin(
            {"n": 1, "problems": []}, if_late=lambda index: {"after": index, "problems": []}
        ).wait()
    deadline = time.monotonic() + 10
    while audit.reader.size < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    audit.close()
    assert records_of(audit.path) == [{"n": 1, "problems": []}, {"after": 0, "problems": []}]


def test_a_record_nobody_waits_for_any_more_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Audit(tmp_path / "audit.sqlite", SIGNER, append_seconds=0.3)
    release = threading.Event()
    real = MerkleLog.append_many

    def slow(log: MerkleLog, entries: Any) -> range:
        release.wait(5)
        return real(log, entries)

    monkeypatch.setattr(MerkleLog, "append_many", slow)
    for number in range(3):
        with pytest.raises(AuditUnavailable):
            audit.append({"n": number, "problems": []})
    release.set()
    audit.close()
    assert [r["n"] for r in records_of(audit.path)] == [0]


def test_what_is_owed_comes_first_once_the_log_works(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(log: MerkleLog, entries: Any) -> range:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr(MerkleLog, "append_many", fail)
        audit.owe({"owed": True, "problems": []})
        with pytest.raises(AuditUnavailable):
            audit.append({"n": 1, "problems": []})
        with pytest.raises(AuditUnavailable, match="owed"):
            audit.check()
    assert audit.append({"n": 2, "problems": []}).index == 1
    assert records_of(audit.path)[0] == {"owed": True, "problems": []}
    audit.check()


def test_a_closed_log_takes_nothing(audit: Audit) -> None:
    audit.close()
    with pytest.raises(AuditUnavailable):
        audit.append({"n": 1, "problems": []})


# With the whole runner.


def spoil_remove(site: Site) -> None:
    site.log.unlink()


def spoil_replace(site: Site) -> None:
    copy = site.log.with_name("copy")
    shutil.copy(site.log, copy)
    copy.replace(site.log)


def spoil_remove_wal(site: Site) -> None:
    site.log.with_name("audit.sqlite-wal").unlink()


def spoil_folder(site: Site) -> None:
    site.state.rename(site.state.with_name("moved"))


@pytest.mark.parametrize("spoil", [spoil_remove, spoil_replace, spoil_remove_wal, spoil_folder])
def test_a_log_that_was_removed_or_replaced_stops_every_call(
    site: Site, spoil: Callable[[Site], None]
) -> None:
    with site.runner() as calls:
        assert calls.call()["status"] == "ok"
        site.sandbox.jobs.clear()
        site.sandbox.log = None
        spoil(site)
        assert_nothing_ran(site, calls.call())
        assert_nothing_ran(site, calls.call("missing"))
        assert calls.get("/readyz").status_code == 503


def test_a_locked_log_stops_every_call_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.audit.APPEND_SECONDS", 0.5)
    monkeypatch.setattr(Audit.__init__, "__kwdefaults__", {"append_seconds": 0.5})
    with site.runner() as calls:
        assert calls.call()["status"] == "ok"
        site.sandbox.jobs.clear()
        site.sandbox.log = None
        lock = sqlite3.connect(site.log, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert_nothing_ran(site, calls.call())
        assert time.monotonic() - started < 3
        lock.execute("ROLLBACK")
        lock.close()
        deadline = time.monotonic() + 10
        while calls.call()["status"] != "ok" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert site.sandbox.jobs


def test_a_full_disk_stops_every_call_and_it_recovers_by_itself(site: Site, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("this test mounts a tmpfs: run the suite as root, as `make test` does")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True, timeout=10
    )
    try:
        shutil.copytree(site.state, small / "runner")
        settings = site.settings
        object.__setattr__(settings, "state", small / "runner")
        with open_service(settings, sandbox=site.sandbox) as service:
            calls = Calls(site, service)
            assert calls.call()["status"] == "ok"
            filler = small / "filler"
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * 4096)
            assert calls.get("/readyz").status_code == 503
            # The log's file may have some room left inside: calls that fit are recorded and run.
            for _ in range(200):
                reply = calls.call()
                if reply["status"] != "ok":
                    break
            assert codes(reply) == ["audit.unavailable"]
            executed_so_far = [job.request_id for job in site.sandbox.jobs]
            for _ in range(3):
                assert calls.call()["status"] == "unavailable"
            assert [job.request_id for job in site.sandbox.jobs] == executed_so_far
            filler.unlink()
            assert calls.call()["status"] == "ok"
        found = records_of(small / "runner" / "audit.sqlite")
        decided = [r["request_id"] for r in found if r["decision"] == "admitted"]
        assert decided == [job.request_id for job in site.sandbox.jobs]
        assert sorted(decided) == sorted(r["request_id"] for r in found if r["type"] == "outcome")
    finally:
        subprocess.run(["umount", small], check=True, timeout=10)


def test_no_record_of_the_outcome_no_result(site: Site) -> None:
    with site.runner() as calls:
        lock = sqlite3.connect(site.log, isolation_level=None)

        def execute(job: Any) -> Any:
            site.log.rename(site.log.with_name("away"))
            return executed(job)

        site.sandbox.behave = execute
        reply = calls.call()
        assert len(site.sandbox.jobs) == 1
        assert reply["status"] == "unavailable"
        assert reply["result"] is None
        assert "Hello" not in json.dumps(reply)
        # The log comes back: what is owed is written, and says what the caller was told.
        site.log.with_name("away").rename(site.log)
        site.sandbox.behave = executed
        assert calls.call()["status"] == "ok"
        lock.close()
    found = site.records()
    assert [r["status"] for r in found] == [None, "unavailable", None, "ok"]
    assert found[1]["request_id"] == found[0]["request_id"]


def test_a_reply_without_a_receipt_is_withheld(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise LogUnavailable(problem("log.unavailable", "the log cannot be read"))

    with site.runner() as calls:
        monkeypatch.setattr(Tail, "receipt", fail)
        reply = calls.call()
    assert reply["status"] == "unavailable"
    assert reply["result"] is None


def test_two_runners_on_one_log_at_once(site: Site) -> None:
    with site.runner() as one, site.runner() as two:

        def work(number: int) -> str:
            return str((one, two)[number % 2].call()["status"])

        site.sandbox.log = None
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(work, range(60))) == {"ok"}
    found = site.records()
    assert len(found) == 120
    assert {r["runner_id"] for r in found} == {r["runner_id"] for r in found[:20]}
    for index, record in enumerate(found):
        if record["type"] == "outcome":
            decision = found[record["decision_index"]]
            assert record["decision_index"] < index
            assert decision["request_id"] == record["request_id"]
    assert "interrupted" not in {r["status"] for r in found}


def test_two_processes_never_fork_the_log(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from runner.audit import Audit;"
        "from trust.log import NoteSigner;"
        "a = Audit(Path(sys.argv[1]), NoteSigner.from_seed('t', b'x' * 32));"
        "[a.append({'n': n, 'who': sys.argv[2], 'problems': []}) for n in range(100)]; a.close()"
    )
    path = tmp_path / "audit.sqlite"
    workers = [
        subprocess.Popen([sys.executable, "-c", script, str(path), str(number)])
        for number in range(3)
    ]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    found = records_of(path)
    for who in "012":
        assert [r["n"] for r in found if r["who"] == who] == list(range(100))


# Copies.


def test_the_copy_has_the_very_bytes_of_every_record(site: Site) -> None:
    with site.runner() as calls:
        calls.call()
        calls.call("missing")
    lines = (site.state / "entrypoint.log").read_bytes().splitlines()
    log = MerkleLog(site.log, None)
    assert [leaf_hash(line) for line in lines] == [log.leaf_hash(i) for i in range(log.size)]
    log.close()
    assert (site.state / "entrypoint.log").stat().st_mode & 0o777 == 0o600


def test_records_go_to_stdout_as_json_lines(site: Site, capfdbinary: Any) -> None:
    settings = site.settings
    object.__setattr__(settings, "copy_to_stdout", True)
    with open_service(settings, sandbox=site.sandbox) as service:
        Calls(site, service).call()
    written = capfdbinary.readouterr().out
    assert [json.loads(line) for line in written.splitlines()] == site.records()


def test_a_copy_that_hangs_or_fails_holds_up_no_call(tmp_path: Path) -> None:
    release = threading.Event()

    class Stuck:
        def write(self, lines: Any) -> None:
            release.wait(5)
            raise OSError("broken pipe")

    audit = Audit(tmp_path / "audit.sqlite", SIGNER, [Stuck()])
    for number in range(20):
        audit.append({"n": number, "problems": []})
    release.set()
    audit.close()
    assert len(records_of(audit.path)) == 20
    assert audit.lost_copies == 20


def test_a_copy_that_cannot_keep_up_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.copies.QUEUE_LINES", 5)
    release = threading.Event()

    class Stuck:
        def write(self, lines: Any) -> None:
            release.wait(5)

    copier = Copier([Stuck()])
    copier.put([b"x"] * 50)
    release.set()
    copier.close()
    assert copier.lost >= 40
