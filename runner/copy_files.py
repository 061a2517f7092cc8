"""`entrypoint.log`: the audit log once more as JSON lines, in its order, in files that rotate.

The log is the truth, and this is made from it: what is not there yet is read from the log and
written, under a lock, by whichever process comes first. Beside the file stands what was written
(`entrypoint.log.state`), so that after a crash, a full disk or somebody else's rotation the next
turn sees what is missing:

- lines that were written and not noted are compared with the log and taken on; a torn one is cut;
- a file that was renamed goes on under its name here;
- a file that was cut short, or emptied, loses nothing: what no kept file has is written again,
  and that is said.

So every record is in the files at least once, unless its file was rotated out or removed.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

from trust import strictjson
from trust.log import leaf_hash

ROTATE_BYTES = 16 << 20
KEPT_FILES = 8
TURN_ENTRIES = 200

Read: TypeAlias = Callable[[int, int], list[bytes]]
"""Returns `count` entries of the log from an index on: (index, count)."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _State:
    """What was written: entries below `next`, those from `first` on to the present file.

    While `repair` is not 0, entries from `repair - 1` on may be missing.
    """

    next: int = 0
    first: int = 0
    inode: int = 0
    size: int = 0
    repair: int = 0


class CopyFiles:
    """The files; safe for several processes."""

    def __init__(self, path: Path, max_bytes: int = ROTATE_BYTES, kept: int = KEPT_FILES) -> None:
        """Take the file, its bound in bytes, and how many older ones are kept (.1 and so on)."""
        self.path = path
        self.rewritten = 0
        """Entries that were written again because they had been taken out."""
        self._max_bytes = max_bytes
        self._kept = kept
        self._state_path = path.with_name(f"{path.name}.state")

    def catch_up(self, read: Read, length: Callable[[], int]) -> None:
        """Write what the log has and the files have not.

        Args:
            read: reads the log.
            length: says how many entries it has.

        Raises:
            OSError: it cannot be written now; the next turn goes on where this one ended.
        """
        with self._locked():
            size = length()  # under the lock: another process may have written what came since
            state = self._reconcile(self._load(size), read, size)
            while state.next < size:
                lines = read(state.next, min(TURN_ENTRIES, size - state.next))
                state = self._write(state, [line + b"\n" for line in lines])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        name = self.path.with_name(f"{self.path.name}.lock")
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _load(self, size: int) -> _State | None:
        try:
            state = _State(**strictjson.loads(self._state_path.read_bytes()))
        except (OSError, strictjson.InvalidJSON, TypeError):
            return None
        valid = all(isinstance(number, int) and number >= 0 for number in asdict(state).values())
        return state if valid and state.first <= state.next <= size else None

    def _save(self, state: _State) -> _State:
        temporary = self._state_path.with_name(f"{self._state_path.name}.new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(strictjson.dumps(asdict(state)))
        temporary.replace(self._state_path)
        return state

    def _reconcile(self, state: _State | None, read: Read, size: int) -> _State:
        """Compare what was noted with what is there; return what holds now."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            found = None
        if state is None:
            return self._rebuild(read, size)
        if state.repair:
            return self._restore(self._present(state), read, state.repair - 1)
        if found is None or found.st_ino != state.inode:
            # rotated, by us before a crash or by somebody else; nothing is noted of this file yet
            inode, length = (0, 0) if found is None else (found.st_ino, found.st_size)
            return self._save(replace(state, first=state.next, inode=inode, size=length))
        if found.st_size > state.size:
            return self._take_on(state, read, size)
        if found.st_size < state.size:
            _logger.warning(
                "%s was cut from %d to %d bytes by somebody else; entries %d to %d stood there",
                self.path, state.size, found.st_size, state.first, state.next - 1,
            )  # fmt: skip
            return self._restore(self._present(state), read, state.first)
        return state

    def _take_on(self, state: _State, read: Read, size: int) -> _State:
        """Take on lines that were written before a crash and not noted; cut one that is torn."""
        with self.path.open("rb") as file:
            file.seek(state.size)
            tail = file.read(self._max_bytes + 1)
        position, following = state.size, state.next
        for line in tail.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                os.truncate(self.path, position)
                break
            position += len(line)
            if following < size and read(following, 1)[0] + b"\n" == line:
                following += 1
            else:
                _logger.warning("%s has a line that is not the log's next entry", self.path)
        return self._save(replace(state, next=following, size=position))

    def _rebuild(self, read: Read, size: int) -> _State:
        """Begin where nothing is noted: after what the files have, or with the first entry."""
        kept = self._kept_lines()
        first = next((index for index, leaf in _leaves(read, 0, size) if leaf in kept), 0)
        state = self._present(_State(next=size if kept else 0))
        return self._restore(state, read, first)

    def _present(self, state: _State) -> _State:
        """Return the state with the file as it is; a torn last line is cut."""
        if not self.path.exists():
            return replace(state, inode=0, size=0)
        with self.path.open("rb+") as file:
            file.seek(max(0, self.path.stat().st_size - self._max_bytes))
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                file.truncate(file.tell() - len(tail) + tail.rfind(b"\n") + 1)
            found = os.fstat(file.fileno())
        return replace(state, inode=found.st_ino, size=found.st_size)

    def _restore(self, state: _State, read: Read, first: int) -> _State:
        """Write again the entries from `first` to `next` that no kept file has."""
        state = self._save(replace(state, repair=first + 1))
        kept = self._kept_lines()
        missing = [index for index, leaf in _leaves(read, first, state.next) if leaf not in kept]
        if missing:
            _logger.warning(
                "%d entries from %d to %d are written to %s again",
                len(missing), missing[0], missing[-1], self.path,
            )  # fmt: skip
        for index in missing:
            state = self._write(state, [read(index, 1)[0] + b"\n"], advance=0)
            self.rewritten += 1
        return self._save(replace(state, first=min([state.next, *missing]), repair=0))

    def _kept_lines(self) -> set[bytes]:
        """Return the leaf hash of every line of the files that are there, under any suffix."""
        leaves: set[bytes] = set()
        for path in self.path.parent.glob(f"{self.path.name}*"):
            if path.suffix in (".lock", ".state", ".new"):
                continue
            with path.open("rb") as file:
                leaves.update(leaf_hash(line[:-1]) for line in file if line.endswith(b"\n"))
        return leaves

    def _write(self, state: _State, lines: list[bytes], *, advance: int | None = None) -> _State:
        """Append lines, and note it; a file that is full is rotated first."""
        advance = len(lines) if advance is None else advance
        data = b"".join(lines)
        if state.size and state.size + len(data) > self._max_bytes:
            self._rotate()
            state = replace(state, first=state.next, inode=0, size=0)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self.path, flags, 0o600)
        try:
            before = os.fstat(fd)
            if before.st_size != state.size or state.inode not in (0, before.st_ino):
                raise OSError(errno.ESTALE, "somebody else changed the file", str(self.path))
            if not state.inode:
                state = self._save(replace(state, inode=before.st_ino))
            try:
                _write_all(fd, data)
            except OSError:
                os.ftruncate(fd, before.st_size)
                raise
        finally:
            os.close(fd)
        return self._save(
            replace(
                state,
                next=state.next + advance,
                inode=before.st_ino,
                size=before.st_size + len(data),
            )
        )

    def _rotate(self) -> None:
        """Rename each file to the next number; a number that is free ends that."""
        numbered = [self.path, *(self._numbered(number + 1) for number in range(self._kept))]
        last = next((i for i, path in enumerate(numbered) if not path.exists()), self._kept)
        for number in range(last, 0, -1):
            self._move(numbered[number - 1], numbered[number])

    @staticmethod
    def _move(path: Path, to: Path) -> None:
        path.replace(to)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _leaves(read: Read, first: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the index and leaf hash of entries, read a turn at a time."""
    for start in range(first, end, TURN_ENTRIES):
        for offset, entry in enumerate(read(start, min(TURN_ENTRIES, end - start))):
            yield start + offset, leaf_hash(entry)
