"""The database: one engine, read sessions and write sessions.

On SQLite every connection has WAL journaling, foreign keys, full synchronisation and a busy
timeout, and a writer begins with `BEGIN IMMEDIATE`: it waits for its turn at the start instead of
failing in the middle (https://www.sqlite.org/lang_transaction.html).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from registry.errors import OutOfSpace, RegistryError, Unavailable
from trust.errors import problem

BUSY_TIMEOUT_MS = 10_000
MIGRATIONS = Path(__file__).parent / "migrations"

_WRITER = "sealgate_writer"


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writer = connection.get_execution_options().get(_WRITER, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN DEFERRED")


def translated(error: DBAPIError) -> RegistryError:
    """Return what a database error means to a client: no space, or not now."""
    cause = str(error.orig)
    if "disk is full" in cause or "No space left" in cause:
        return OutOfSpace(
            problem(
                "registry.out-of-space",
                "the registry has no space left and stored nothing",
                value=cause,
                expected="free space on the registry's disk",
                advice="tell the registry's operator; send the same request again afterwards",
            )
        )
    return Unavailable(
        problem(
            "registry.database-unavailable",
            "the registry's database did not answer; nothing was stored",
            value=type(error).__name__,
            expected="a database that answers",
            advice="send the same request again in a minute",
        )
    )


class Database:
    """An engine with its sessions. Safe for several threads and processes."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine)
        self._writer = self.engine.execution_options(**{_WRITER: True})

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session on one consistent snapshot; what it changes is thrown away."""
        with Session(self.engine, autoflush=False, expire_on_commit=False) as session:
            try:
                yield session
            except DBAPIError as error:
                raise translated(error) from error
            finally:
                session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a write transaction; it is committed at the end, or wholly undone.

        Raises:
            OutOfSpace: the disk is full.
            Unavailable: the database is locked for too long, or gone.
            IntegrityError: a row contradicts another that was committed meanwhile.
        """
        with Session(self._writer, expire_on_commit=False) as session:
            try:
                session.connection()
                yield session
                session.commit()
            except IntegrityError:
                session.rollback()
                raise
            except DBAPIError as error:
                session.rollback()
                raise translated(error) from error

    def ping(self) -> None:
        """Ask the database one question.

        Raises:
            Unavailable: it does not answer, or its tables are missing.
        """
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT count(*) FROM alembic_version"))
        except DBAPIError as error:
            raise translated(error) from error

    def migrate(self, lock: Path) -> None:
        """Bring the tables to the newest revision.

        Args:
            lock: a file that is locked meanwhile, so that processes that start together migrate
                one after the other.
        """
        with lock.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with self._writer.connect() as connection:
                config = Config()
                config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()

    def close(self) -> None:
        """Close every connection of the pool."""
        self.engine.dispose()
