"""The SQLite file under a log: schema, durability, and one kind of error.

Durability: write-ahead logging with `synchronous=FULL` makes SQLite fsync the log before COMMIT
returns (https://www.sqlite.org/pragma.html#pragma_synchronous), so an acknowledged entry survives
a crash of the process and of the machine. Append-only: triggers refuse UPDATE and DELETE of
entries and nodes; they stop mistakes, not an owner of the file, whom the checkpoints expose.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trust.errors import problem
from trust.log.errors import LogCorrupt, LogUnavailable

APPLICATION_ID = 0x5365616C
"""Marks the file as a Sealgate log ("Seal")."""

SCHEMA_VERSION = 1
BUSY_SECONDS = 30.0
"""How long a writer waits for another process's transaction."""

_SCHEMA = """
CREATE TABLE entry(idx INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE node(level INTEGER, idx INTEGER, hash BLOB NOT NULL, PRIMARY KEY(level, idx))
    STRICT, WITHOUT ROWID;
CREATE TABLE head(id INTEGER PRIMARY KEY CHECK(id = 0), size INTEGER NOT NULL,
    root BLOB NOT NULL, note TEXT NOT NULL) STRICT;
CREATE TRIGGER entry_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER node_update BEFORE UPDATE ON node BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER node_delete BEFORE DELETE ON node BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""


@contextmanager
def database_errors(path: Path | None, doing: str) -> Iterator[None]:
    """Turn SQLite's and the system's errors into `LogUnavailable` or `LogCorrupt`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        corrupt = isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        )
        raise (LogCorrupt if corrupt else LogUnavailable)(
            problem(
                "log.corrupt" if corrupt else "log.unavailable",
                f"the log's database failed while {doing}",
                value=f"{path or 'in memory'}: {error}",
                expected="a readable and writable log with free space",
                advice="nothing was acknowledged; check the disk and the file's permissions, "
                "then run `sealgate audit verify`",
            )
        ) from error


def connect(path: Path | None) -> sqlite3.Connection:
    """Open, and if need be create (mode 0600), the database at `path`; None is in memory.

    Raises:
        sqlite3.Error, OSError: to be caught by `database_errors`.
        LogCorrupt: the file is another program's, or of an unknown schema version.
    """
    if path is not None:
        # Only a file that is not there yet: closing any descriptor of a file drops all POSIX
        # locks that this process holds on it, also those of another open connection; another
        # process would then remove the write-ahead log under it (sqlite.org/howtocorrupt.html).
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    db = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; two processes that open a new file at once both want to.

    SQLite answers "locked" here without waiting, to avoid a deadlock: so we wait ourselves.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _prepare(db: sqlite3.Connection, path: Path | None) -> None:
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA fullfsync = ON")
    if path is not None:
        _use_wal(db)
    db.execute("BEGIN IMMEDIATE")
    try:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if (application, version) == (0, 0) and not db.execute(
            "SELECT 1 FROM sqlite_schema"
        ).fetchone():
            for statement in _SCHEMA.split(";\n"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
            raise LogCorrupt(
                problem(
                    "log.schema",
                    "the file is not a log of this version",
                    value=f"application id {application:#x}, schema version {version}",
                    expected=f"application id {APPLICATION_ID:#x}, version {SCHEMA_VERSION}",
                    advice="name a log that this version of Sealgate made",
                    where=str(path or ""),
                )
            )
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
