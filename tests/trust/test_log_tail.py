"""What an append keeps in memory: receipts without reading, and an edge that is never stale."""

from __future__ import annotations

import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trust.log import LogError, MerkleLog, NoteSigner
from trust.log.tail import Tail
from trust.outcomes import Passed

SIGNER = NoteSigner.generate("tail.test/log")


def tail(log: MerkleLog) -> Tail:
    found = log.tail
    assert found is not None
    return found


def checked(log: MerkleLog) -> int:
    """Recompute the whole tree; return its size."""
    outcome = log.verify()
    assert isinstance(outcome, Passed), outcome
    return outcome.value.size


def test_its_receipts_are_those_of_the_log() -> None:
    log, chosen = MerkleLog(None, SIGNER), random.Random(20)
    for _ in range(120):
        batch = [chosen.randbytes(20) for _ in range(chosen.choice((1, 1, 2, 3, 7, 16)))]
        appended = log.append_many(batch)
        for index, entry in zip(appended, batch, strict=True):
            receipt = tail(log).receipt(index)
            assert receipt == log.receipt(index)
            assert receipt.verify(SIGNER.verifier, entry).size == appended.stop
        for outside in (appended.start - 1, appended.stop):
            with pytest.raises(IndexError):
                tail(log).receipt(outside)


def test_the_edge_is_read_again_when_others_have_appended(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    logs = [MerkleLog(path, SIGNER) for _ in range(3)]
    order = random.Random(7)
    for number in range(200):
        log = order.choice(logs)
        log.append_many([b"%d-%d" % (number, part) for part in range(order.choice((1, 2, 5)))])
        assert tail(log).size == log.size
    assert checked(logs[0]) == logs[1].size
    for log in logs:
        log.close()


def test_threads_that_share_an_instance_never_append_to_an_old_edge(tmp_path: Path) -> None:
    log = MerkleLog(tmp_path / "log.sqlite", SIGNER)
    with ThreadPoolExecutor(8) as pool:
        indexes = list(pool.map(lambda n: log.append(b"%d" % n), range(200)))
    assert sorted(indexes) == list(range(200))
    assert checked(log) == 200
    log.close()


def test_an_append_that_fails_leaves_no_edge_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = MerkleLog(tmp_path / "log.sqlite", SIGNER)
    log.append(b"first")

    def fail(*_: object) -> str:
        raise sqlite3.OperationalError("no")

    with monkeypatch.context() as patch:
        patch.setattr(NoteSigner, "sign", fail)
        with pytest.raises(LogError):
            log.append(b"lost")
    assert log.append(b"second") == 1
    assert [log.entry(0), log.entry(1)] == [b"first", b"second"]
    assert checked(log) == 2
    log.close()


def test_entries_added_behind_its_back_are_noticed(tmp_path: Path) -> None:
    """As a program would that writes the file without the log's code."""
    log = MerkleLog(tmp_path / "log.sqlite", SIGNER)
    log.append(b"first")
    with sqlite3.connect(tmp_path / "log.sqlite") as other:
        other.execute("INSERT INTO entry VALUES(1, ?)", (b"forged",))
    other.close()
    with pytest.raises(LogError, match="disagree"):
        log.append(b"second")
    log.close()
