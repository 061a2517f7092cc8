"""`entrypoint.log` has every record of the log, whatever happens to its files."""

from __future__ import annotations

import errno
import gzip
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner import copy_files
from runner.copies import FilesThread
from runner.copy_files import CopyFiles
from trust.log import MerkleLog, NoteSigner

NAMES = [f"entrypoint.log.{n}" for n in range(8, 0, -1)] + ["entrypoint.log"]


class Log:
    """Entries of a log, as `CopyFiles` reads them."""

    def __init__(self, count: int = 0) -> None:
        self.entries: list[bytes] = []
        self.grow(count)

    def grow(self, count: int) -> None:
        first = len(self.entries)
        self.entries += [b'{"n":%d,"x":"%s"}' % (first + n, b"x" * 40) for n in range(count)]

    def read(self, start: int, count: int) -> list[bytes]:
        assert start + count <= len(self.entries)
        return self.entries[start : start + count]

    def turn(self, folder: Path, **options: Any) -> CopyFiles:
        """Catch up as a process does that has just started."""
        made = CopyFiles(folder / "entrypoint.log", **options)
        made.catch_up(self.read, lambda: len(self.entries))
        return made


def lines(folder: Path, *more: str) -> list[bytes]:
    """Return the lines of all files, the oldest first."""
    found: list[bytes] = []
    for name in [*more, *NAMES]:
        if (folder / name).exists():
            found += (folder / name).read_bytes().splitlines()
    return found


def test_it_has_the_log_in_its_order_and_goes_on(tmp_path: Path) -> None:
    log = Log(450)
    log.turn(tmp_path)
    log.grow(3)
    made = log.turn(tmp_path)
    assert lines(tmp_path) == log.entries
    assert made.rewritten == 0
    assert (tmp_path / "entrypoint.log").stat().st_mode & 0o777 == 0o600


def test_it_rotates_and_loses_nothing_of_what_is_kept(tmp_path: Path) -> None:
    log = Log()
    for _ in range(60):
        log.grow(1)
        log.turn(tmp_path, max_bytes=1000, kept=3)
    assert [p.name for p in sorted(tmp_path.glob("*.[0-9]*"))] == [
        f"entrypoint.log.{n}" for n in (1, 2, 3)
    ]
    found = lines(tmp_path)
    assert found == log.entries[-len(found) :]
    assert len(found) > 50
    for name in NAMES[-4:]:
        assert (tmp_path / name).stat().st_size <= 1000


class Crash(BaseException):
    """Power is cut."""


STEPS = ("rename", "append", "note")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_crash_at_any_step_of_any_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    """The n-th rename, append or note does not happen, or is the last thing that happens."""
    for nth in range(1, 40):
        folder = tmp_path / str(nth)
        folder.mkdir()
        log = Log()
        with monkeypatch.context() as broken:
            count = {"left": nth}

            def cut(real: Any, count: dict[str, int] = count) -> Any:
                def step_or_crash(*arguments: Any) -> Any:
                    count["left"] -= 1
                    if count["left"] == 0 and before:
                        raise Crash
                    made = real(*arguments)
                    if count["left"] == 0:
                        raise Crash
                    return made

                return step_or_crash

            if step == "rename":
                broken.setattr(CopyFiles, "_move", staticmethod(cut(CopyFiles._move)))
            elif step == "append":
                broken.setattr(copy_files, "_write_all", cut(copy_files._write_all))
            else:
                broken.setattr(CopyFiles, "_save", cut(CopyFiles._save))
            crashed = False
            for _ in range(12):
                log.grow(6)
                try:
                    log.turn(folder, max_bytes=1000)
                except Crash:
                    crashed = True
                    break
        if not crashed:
            assert nth > 6
            return
        log.grow(2)
        log.turn(folder, max_bytes=1000)
        assert lines(folder) == log.entries, f"{step} {nth}"


def test_a_torn_line_is_cut_and_written_whole(tmp_path: Path) -> None:
    log = Log(5)
    log.turn(tmp_path)
    log.grow(2)
    with (tmp_path / "entrypoint.log").open("ab") as file:
        file.write(log.entries[5] + b"\n" + log.entries[6][:10])
    log.turn(tmp_path)
    assert lines(tmp_path) == log.entries


def test_a_full_disk_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(5)
    log.turn(tmp_path)
    write = os.write

    def full(fd: int, data: Any) -> int:
        if len(data) > 100:
            return write(fd, data[:100])
        raise OSError(errno.ENOSPC, "no space left on device")

    log.grow(7)
    with monkeypatch.context() as broken:
        broken.setattr("runner.copy_files.os.write", full)
        with pytest.raises(OSError, match="no space"):
            log.turn(tmp_path)
    assert lines(tmp_path) == log.entries[:5], "no line is left half written"
    log.turn(tmp_path)
    assert lines(tmp_path) == log.entries


def test_somebody_else_renames_the_file(tmp_path: Path) -> None:
    log = Log(5)
    log.turn(tmp_path)
    (tmp_path / "entrypoint.log").rename(tmp_path / "entrypoint.log-20260101")
    log.grow(3)
    log.turn(tmp_path)
    (tmp_path / "entrypoint.log").rename(tmp_path / "entrypoint.log-20260102")
    (tmp_path / "entrypoint.log").touch()  # logrotate's `create`
    log.grow(3)
    made = log.turn(tmp_path)
    assert made.rewritten == 0
    assert lines(tmp_path, "entrypoint.log-20260101", "entrypoint.log-20260102") == log.entries


def test_somebody_else_copies_and_truncates_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """logrotate's `copytruncate`: what was written between the two is in no file; it is said."""
    log = Log(5)
    log.turn(tmp_path)
    shutil.copy(tmp_path / "entrypoint.log", tmp_path / "entrypoint.log-copy")
    log.grow(3)
    log.turn(tmp_path)
    os.truncate(tmp_path / "entrypoint.log", 0)
    log.grow(2)
    with caplog.at_level(logging.WARNING):
        made = log.turn(tmp_path)
    assert made.rewritten == 3
    assert lines(tmp_path, "entrypoint.log-copy") == log.entries
    assert "entries 0 to 7 stood there" in caplog.text
    assert "3 entries from 5 to 7 are written" in caplog.text


def test_a_copy_that_cannot_be_read_here_is_made_again(tmp_path: Path) -> None:
    log = Log(5)
    log.turn(tmp_path)
    path = tmp_path / "entrypoint.log"
    (tmp_path / "entrypoint.log.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    os.truncate(path, 7)
    made = log.turn(tmp_path)
    assert made.rewritten == 5
    assert sorted(lines(tmp_path)) == sorted(log.entries)


def test_a_crash_while_it_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(9)
    log.turn(tmp_path)
    os.truncate(tmp_path / "entrypoint.log", 0)
    save, left = CopyFiles._save, [4]

    def crash(files: CopyFiles, state: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise Crash
        return save(files, state)

    with monkeypatch.context() as broken:
        broken.setattr(CopyFiles, "_save", crash)
        with pytest.raises(Crash):
            log.turn(tmp_path)
    log.grow(2)
    log.turn(tmp_path)
    assert lines(tmp_path) == log.entries


@pytest.mark.parametrize("note", [b"", b"{}", b'{"next":-1}', b'{"next":99,"first":99}', b"[]"])
def test_notes_that_are_gone_or_wrong_are_made_from_the_files(tmp_path: Path, note: bytes) -> None:
    log = Log(20)
    log.turn(tmp_path, max_bytes=500)
    if note:
        (tmp_path / "entrypoint.log.state").write_bytes(note)
    else:
        (tmp_path / "entrypoint.log.state").unlink()
    log.grow(2)
    made = log.turn(tmp_path, max_bytes=500)
    assert set(lines(tmp_path)) == set(log.entries)
    assert made.rewritten <= 2


def test_files_of_another_log_hide_nothing(tmp_path: Path) -> None:
    (tmp_path / "entrypoint.log").write_bytes(b'{"other":1}\n')
    log = Log(3)
    log.turn(tmp_path)
    assert lines(tmp_path)[1:] == log.entries


def test_a_truncation_in_the_middle_of_a_turn_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(5)
    log.turn(tmp_path)
    write_all = copy_files._write_all

    def truncated_before(fd: int, data: bytes) -> None:
        os.truncate(tmp_path / "entrypoint.log", 0)
        write_all(fd, data)

    log.grow(3)
    with monkeypatch.context() as broken:
        broken.setattr(copy_files, "_write_all", truncated_before)
        log.turn(tmp_path)
    log.turn(tmp_path)
    assert sorted(lines(tmp_path)) == sorted(log.entries)


WRITER = """
import sys
import time
from collections.abc import Callable
from pathlib import Path
from runner.copy_files import CopyFiles
from trust.log import MerkleLog, NoteSigner
log = MerkleLog(Path(sys.argv[1]), None)
files = CopyFiles(Path(sys.argv[2]), max_bytes=2000, kept=100)
print("ready", flush=True)
while True:
    files.catch_up(log.entries, lambda: log.size)
"""


def test_two_processes_of_which_one_is_killed(tmp_path: Path) -> None:
    signer = NoteSigner.generate("test.local/audit")
    log = MerkleLog(tmp_path / "log.sqlite", signer)
    words = [sys.executable, "-c", WRITER, str(log.path), str(tmp_path / "entrypoint.log")]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for turn in range(30):
            log.append_many([b'{"turn":%d,"n":%d}' % (turn, n) for n in range(10)])
            if turn == 15:
                processes[0].send_signal(signal.SIGKILL)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    files = CopyFiles(tmp_path / "entrypoint.log", max_bytes=2000, kept=100)
    files.catch_up(log.entries, lambda: log.size)
    names = [f"entrypoint.log.{n}" for n in range(100, 8, -1)]
    assert lines(tmp_path, *names) == log.entries(0, log.size)
    log.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_thread_tells_that_it_is_behind_and_catches_up(tmp_path: Path) -> None:
    signer = NoteSigner.generate("test.local/audit")
    log = MerkleLog(tmp_path / "log.sqlite", signer)
    folder = tmp_path / "gone"
    thread = FilesThread(
        CopyFiles(folder / "entrypoint.log"), MerkleLog(log.path, None), retry=0.02
    )
    log.append_many([b"{}"])
    thread.note()
    wait_until(lambda: thread.behind)
    folder.mkdir()
    wait_until(lambda: not thread.behind)
    thread.close()
    assert lines(folder) == [b"{}"]
    log.close()
