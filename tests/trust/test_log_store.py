"""The log on disk: two writers, crashes, full disks, and damage of every kind."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trust import rfc9162
from trust.log import (
    MAX_ENTRY_BYTES,
    Checkpoint,
    LogCorrupt,
    LogError,
    LogUnavailable,
    MerkleLog,
    NoteRefused,
    NoteSigner,
    verify_log,
)
from trust.outcomes import Failed, Incomplete, Passed

ORIGIN = "log.example"
SEED = bytes(range(32))
SIGNER = NoteSigner.from_seed(ORIGIN, SEED)
ROOT = Path(__file__).parents[2]

CHILD = f"""
import sys
from pathlib import Path
from trust.log import MerkleLog, NoteSigner
log = MerkleLog(Path(sys.argv[1]), NoteSigner.from_seed({ORIGIN!r}, bytes(range(32))))
name, count, group = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for i in range(count):
    indexes = log.append_many([f"{{name}} {{i}} {{j}}".encode() for j in range(group)])
    for j, index in enumerate(indexes):
        sys.stdout.write(f"{{index}} {{name}} {{i}} {{j}}\\n")
    sys.stdout.flush()
"""


def child(path: Path, name: str, count: int, group: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), name, str(count), str(group)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite3"


@pytest.fixture
def filled(path: Path) -> Path:
    log = MerkleLog(path, SIGNER)
    log.append_many([b"entry %d" % i for i in range(13)])
    log.close()
    return path


def test_appends_survive_reopening(path: Path) -> None:
    log = MerkleLog(path, SIGNER)
    assert (log.size, log.append(b"a"), log.append_many([b"b", b"c"])) == (0, 0, range(1, 3))
    log.close()
    again = MerkleLog(path, SIGNER)
    assert [again.entry(i) for i in range(3)] == [b"a", b"b", b"c"]
    assert again.root() == rfc9162.mth([b"a", b"b", b"c"])
    signed = Checkpoint.verify(again.checkpoint(), SIGNER.verifier)
    assert (signed.size, signed.root) == (3, again.root())
    assert Checkpoint.verify(again.checkpoint(2), SIGNER.verifier).root == again.root(2)
    assert again.append_many([]) == range(3, 3)
    assert isinstance(again.verify(), Passed)


def test_the_file_is_private(path: Path) -> None:
    MerkleLog(path, SIGNER).append(b"a")
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_commits_are_synchronous(path: Path) -> None:
    log = MerkleLog(path, SIGNER)
    assert log._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert log._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_two_processes_never_fork_the_log(path: Path) -> None:
    writers = [child(path, name, 60, 3) for name in ("left", "right")]
    said = [writer.communicate(timeout=60)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    log = MerkleLog(path, SIGNER)
    acknowledged = dict(line.split(" ", 1) for text in said for line in text.splitlines())
    assert len(acknowledged) == log.size == 360
    for index, entry in acknowledged.items():
        assert log.entry(int(index)) == entry.encode()
    assert isinstance(log.verify(), Passed)


def test_threads_share_one_log(path: Path) -> None:
    log = MerkleLog(path, SIGNER)
    seen: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: [
                log.receipt(i).verify(SIGNER.verifier) and seen.append(i)
                for i in [log.append(b"x") for _ in range(20)]
            ]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(80))
    assert isinstance(log.verify(), Passed)


@pytest.mark.parametrize("group", [1, 50])
def test_kill_in_mid_append_loses_nothing_acknowledged(path: Path, group: int) -> None:
    chance = random.Random(group)
    acknowledged: dict[int, str] = {}
    for life in range(4):
        writer = child(path, f"life {life}", 1_000_000, group)
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.1))
        os.kill(writer.pid, signal.SIGKILL)
        lines = [first, *writer.stdout.read().splitlines(keepends=True)]
        writer.wait(timeout=10)
        for line in lines:
            if line.endswith("\n"):
                index, entry = line.rstrip("\n").split(" ", 1)
                acknowledged[int(index)] = entry
    log = MerkleLog(path, SIGNER)
    assert len(acknowledged) >= 4
    for index, entry in acknowledged.items():
        assert log.entry(index) == entry.encode()
    assert log.size % group == 0, "a group is stored whole or not at all"
    assert isinstance(log.verify(), Passed)


def test_a_full_disk_raises_and_stores_nothing(path: Path) -> None:
    """A real write error: the child may not let any file grow beyond 256 KiB."""
    script = f"""
import resource, signal, sys
from pathlib import Path
from trust.log import LogUnavailable, MerkleLog, NoteSigner
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, 256 * 1024))
log = MerkleLog(Path({str(path)!r}), NoteSigner.from_seed({ORIGIN!r}, bytes(range(32))))
kept = 0
try:
    for i in range(10_000):
        log.append(b"x" * 10_000)
        kept = i + 1
except LogUnavailable as error:
    print(kept, error.problem.code, "nothing was acknowledged" in error.problem.advice)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    kept, code, advice = done.stdout.split()
    assert (code, advice) == ("log.unavailable", "True"), done
    log = MerkleLog(path, SIGNER)
    assert 0 < log.size == int(kept)
    assert isinstance(log.verify(), Passed)
    log.append(b"room again")


def test_a_database_limit_raises_and_rolls_back(path: Path) -> None:
    log = MerkleLog(path, SIGNER)
    log.append(b"a")
    (pages,) = log._db.execute("PRAGMA page_count").fetchone()
    log._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(LogUnavailable, match=r"log\.unavailable"):
        log.append_many([bytes(60_000)] * 4)
    log._db.execute("PRAGMA max_page_count = 1000000")
    assert log.size == 1
    assert log.append(b"b") == 1
    assert isinstance(log.verify(), Passed)


def test_places_that_cannot_hold_a_log(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable):
        MerkleLog(tmp_path / "missing" / "log.sqlite3", SIGNER)
    with pytest.raises(LogUnavailable):
        MerkleLog(tmp_path, SIGNER)
    text = tmp_path / "text"
    text.write_bytes(b"this is not a database" * 100)
    with pytest.raises(LogCorrupt):
        MerkleLog(text, SIGNER)
    other = tmp_path / "other.sqlite3"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE t(x)")
    db.close()
    with pytest.raises(LogCorrupt, match=r"log\.schema"):
        MerkleLog(other, SIGNER)
    assert isinstance(verify_log(tmp_path / "none", SIGNER.verifier), Incomplete)
    assert not (tmp_path / "none").exists()
    assert isinstance(verify_log(text, SIGNER.verifier), Failed)
    assert isinstance(verify_log(other, SIGNER.verifier), Incomplete)


def test_entries_are_bounded(path: Path) -> None:
    log = MerkleLog(path, SIGNER)
    assert log.append(bytes(MAX_ENTRY_BYTES)) == 0
    with pytest.raises(LogError, match="too-large"):
        log.append_many([b"fine", bytes(MAX_ENTRY_BYTES + 1)])
    assert log.size == 1


def test_a_signed_log_needs_its_signer(filled: Path) -> None:
    reader = MerkleLog(filled, None)
    assert Checkpoint.verify(reader.checkpoint(), SIGNER.verifier).size == 13
    assert reader.receipt(4).verify(SIGNER.verifier, b"entry 4").size == 13
    with pytest.raises(LogError, match="without its signer"):
        reader.append(b"x")
    with pytest.raises(LogError, match="without a signer"):
        reader.checkpoint(5)
    with pytest.raises(NoteRefused):
        MerkleLog(filled, NoteSigner.generate(ORIGIN))
    with pytest.raises(NoteRefused):
        MerkleLog(filled, NoteSigner.from_seed("another.example", SEED))


def test_rows_cannot_be_changed_by_mistake(filled: Path) -> None:
    log = MerkleLog(filled, SIGNER)
    for statement in (
        "DELETE FROM entry WHERE idx = 12",
        "UPDATE entry SET body = x'00' WHERE idx = 1",
        "DELETE FROM node WHERE idx = 12",
        "UPDATE node SET hash = x'00' WHERE idx = 1",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            log._db.execute(statement)


def tamper(path: Path, *statements: str) -> None:
    """Change the file as its owner could, triggers and all."""
    db = sqlite3.connect(path, isolation_level=None)
    for name in ("entry_update", "entry_delete", "node_update", "node_delete"):
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        db.execute(statement)
    db.close()


def test_every_entry_is_checked(filled: Path) -> None:
    for index in range(13):
        copy = filled.with_name(f"copy{index}")
        copy.write_bytes(filled.read_bytes())
        tamper(copy, f"UPDATE entry SET body = x'00' WHERE idx = {index}")
        outcome = verify_log(copy, SIGNER.verifier)
        assert isinstance(outcome, Failed)
        assert outcome.problems[0].where == f"entry {index}"


def test_every_node_is_checked(filled: Path) -> None:
    nodes = [(level, index) for level in range(4) for index in range(13 >> level)]
    for level, index in nodes:
        copy = filled.with_name(f"copy{level}-{index}")
        copy.write_bytes(filled.read_bytes())
        tamper(
            copy,
            f"UPDATE node SET hash = zeroblob(32) WHERE level = {level} AND idx = {index}",
        )
        outcome = verify_log(copy, SIGNER.verifier)
        assert isinstance(outcome, Failed)
        assert outcome.problems[0].where == f"entry {index << level}"


DELETE_LAST = (
    "DELETE FROM entry WHERE idx = 12",
    "DELETE FROM node WHERE level = 0 AND idx = 12",
)


@pytest.mark.parametrize(
    ("statements", "where"),
    [
        (("DELETE FROM entry WHERE idx = 3",), "entry 3"),
        (("DELETE FROM entry WHERE idx = 12",), "entry 12"),
        (("UPDATE entry SET idx = 20 WHERE idx = 12",), "entry 12"),
        (("DELETE FROM node WHERE level = 1 AND idx = 2",), "entry 4"),
        (("INSERT INTO node VALUES(9, 0, zeroblob(32))",), "entry 13"),
        (("INSERT INTO entry VALUES(13, x'00')",), "entry 13"),
        (("INSERT INTO entry VALUES(-1, x'00')",), "entry 0"),
        (("UPDATE head SET root = zeroblob(32)",), "head"),
        (("UPDATE head SET size = 12",), "head"),
        (("DELETE FROM head",), "head"),
        (DELETE_LAST, "head"),
    ],
)
def test_other_damage_is_named(filled: Path, statements: tuple[str, ...], where: str) -> None:
    tamper(filled, *statements)
    outcome = verify_log(filled, SIGNER.verifier)
    assert isinstance(outcome, Failed)
    assert outcome.problems[0].where == where


def test_a_log_cut_back_with_its_head_contradicts_its_checkpoint(filled: Path) -> None:
    root = rfc9162.mth([b"entry %d" % i for i in range(12)]).hex()
    tamper(filled, *DELETE_LAST, f"UPDATE head SET size = 12, root = x'{root}'")
    outcome = verify_log(filled, SIGNER.verifier)
    assert isinstance(outcome, Failed)
    assert outcome.problems[0].where == "checkpoint"
    with pytest.raises(LogCorrupt, match="signed checkpoint"):
        MerkleLog(filled, SIGNER)


def test_a_log_cut_back_with_an_old_checkpoint_contradicts_a_witness(path: Path) -> None:
    """Whoever holds the newest checkpoint sees a roll-back that is consistent in itself."""
    log = MerkleLog(path, SIGNER)
    log.append_many([b"a", b"b"])
    log.close()
    old = path.read_bytes()
    log = MerkleLog(path, SIGNER)
    log.append(b"c")
    newest = Checkpoint.verify(log.checkpoint(), SIGNER.verifier)
    assert isinstance(log.verify(witnessed=[newest]), Passed)
    log.close()
    path.write_bytes(old)
    assert isinstance(verify_log(path, SIGNER.verifier), Passed)
    outcome = verify_log(path, SIGNER.verifier, [newest])
    assert isinstance(outcome, Failed)
    log = MerkleLog(path, SIGNER)
    log.append(b"another c")
    assert isinstance(log.verify(witnessed=[newest]), Failed)


def test_every_byte_of_the_stored_checkpoint_counts(filled: Path) -> None:
    note = MerkleLog(filled, SIGNER).checkpoint()
    for place in range(0, len(note), 7):
        changed = note[:place] + ("B" if note[place] == "A" else "A") + note[place + 1 :]
        copy = filled.with_name(f"copy{place}")
        copy.write_bytes(filled.read_bytes())
        tamper(copy, f"UPDATE head SET note = '{changed}'")
        assert isinstance(verify_log(copy, SIGNER.verifier), Failed)
        with pytest.raises((NoteRefused, LogCorrupt)):
            MerkleLog(copy, SIGNER)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("UPDATE node SET hash = zeroblob(32) WHERE level = 3 AND idx = 0", "nodes and head"),
        ("DELETE FROM node WHERE level = 2 AND idx = 2", "stored node"),
        ("UPDATE node SET hash = x'00' WHERE level = 0 AND idx = 12", "stored node"),
        ("DELETE FROM entry WHERE idx = 12", "entries and head"),
    ],
)
def test_a_damaged_edge_is_neither_opened_nor_extended(
    filled: Path, damage: str, text: str
) -> None:
    log = MerkleLog(filled, SIGNER)
    tamper(filled, damage)
    with pytest.raises(LogCorrupt, match=text):
        log.append(b"x")
    log.close()
    with pytest.raises(LogCorrupt, match=text):
        MerkleLog(filled, SIGNER)


def test_flipped_bytes_of_the_file_never_pass(filled: Path) -> None:
    """Whatever SQLite makes of a damaged file, a changed entry or node never verifies."""
    MerkleLog(filled, SIGNER).close()
    data = filled.read_bytes()
    targets: list[Callable[[], int]] = [
        lambda: data.index(b"entry 7"),
        lambda: data.index(rfc9162.leaf(b"entry 7")),
        lambda: data.index(rfc9162.mth([b"entry 4", b"entry 5"])),
        lambda: data.index(ORIGIN.encode() + b"\n13\n"),
    ]
    for find in targets:
        damaged = bytearray(data)
        damaged[find()] ^= 0x01
        copy = filled.with_name("damaged")
        copy.write_bytes(damaged)
        assert isinstance(verify_log(copy, SIGNER.verifier), Failed)
