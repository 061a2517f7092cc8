"""The authority's private files: written atomically, mode 0600 in directories of mode 0700."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import NoReturn

from authority.errors import StateRefused
from trust.errors import problem

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
MAX_BYTES = 1 << 20


def refuse(what: str, value: object, expected: str, advice: str, where: Path) -> NoReturn:
    """Raise `StateRefused`."""
    raise StateRefused(
        problem(
            "authority.state", what, value=value, expected=expected, advice=advice, where=str(where)
        )
    )


def _check(path: Path, status: os.stat_result, *, directory: bool) -> None:
    right_kind = stat.S_ISDIR(status.st_mode) if directory else stat.S_ISREG(status.st_mode)
    wanted = DIRECTORY_MODE if directory else FILE_MODE
    mode = stat.S_IMODE(status.st_mode)
    if not right_kind or mode & ~wanted:
        refuse(
            "a private file is open to others" if right_kind else "this is not a private file",
            f"mode {mode:04o}",
            f"a {'directory' if directory else 'file'} of mode {wanted:04o} or stricter",
            f"find out who could read it; then `chmod {wanted:04o} {path}`",
            path,
        )
    if status.st_uid != os.geteuid():
        refuse(
            "a private file belongs to another user",
            f"uid {status.st_uid}",
            f"uid {os.geteuid()}",
            "run the authority as the owner of its files",
            path,
        )


def private_directory(path: Path) -> None:
    """Make sure that `path` is a directory of mode 0700 or stricter, and ours.

    Raises:
        StateRefused: it exists and is open to others, a link, or not ours.
    """
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    _check(path, path.lstat(), directory=True)


def read_private(path: Path) -> bytes:
    """Return the contents of a file of mode 0600 or stricter; links are not followed.

    Raises:
        StateRefused: the file is open to others, a link, not ours, or too large.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        _check(path, os.fstat(descriptor), directory=False)
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        refuse("a private file is too large", len(data), f"{MAX_BYTES} bytes", "restore it", path)
    return data


def write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600, whole or not at all, also after a crash."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, FILE_MODE)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
