"""Database and blob store: migrations, durability settings, atomic and verified blobs."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from registry.blobs import BlobStore
from registry.clock import from_text, to_text
from registry.database import Database
from registry.errors import Damaged, NotFound, Unavailable
from registry.models import Base, Plugin


class Stop(Exception):
    """Ends a block in its middle."""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/registry.db")
    made.migrate(tmp_path / "lock")
    return made


def test_migrations_make_exactly_the_models_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        names = set(inspect(connection).get_table_names())
    assert names == set(Base.metadata.tables) | {"alembic_version"}


def _migrate(folder: str) -> None:
    Database(f"sqlite:///{folder}/registry.db").migrate(Path(folder) / "lock")


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_migrate, args=(str(tmp_path),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2)]
)
def test_sqlite_is_durable_and_checks_references(
    database: Database, pragma: str, value: object
) -> None:
    with database.engine.connect() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value


def test_a_writer_that_fails_leaves_nothing(database: Database) -> None:
    with contextlib.suppress(Stop), database.write() as session:
        session.add(plugin("a"))
        session.flush()
        raise Stop
    with database.read() as session:
        assert session.query(Plugin).count() == 0


def test_writers_take_turns_from_their_first_statement(database: Database) -> None:
    """Both read before they write: whoever comes second must have waited with reading."""
    order: list[str] = []

    def second() -> None:
        with database.write() as session:
            order.append(f"second sees {session.query(Plugin).count()}")
            session.add(plugin("b"))

    other = threading.Thread(target=second)
    with database.write() as session:
        order.append(f"first sees {session.query(Plugin).count()}")
        other.start()
        time.sleep(0.2)
        session.add(plugin("a"))
    other.join(20)
    assert order == ["first sees 0", "second sees 1"]
    with database.read() as session:
        assert session.query(Plugin).count() == 2


def plugin(name: str) -> Plugin:
    return Plugin(
        name=name,
        confusable=name,
        owner_issuer="i",
        owner_subject="s",
        claimed_at=datetime.now(UTC),
    )


def test_what_a_reader_changes_is_thrown_away(database: Database) -> None:
    with database.read() as session:
        session.execute(
            text(
                "INSERT INTO plugins VALUES (1, 'a', 'a', 'i', 's', '2026-01-01T00:00:00.000000Z')"
            )
        )
    with database.read() as session:
        assert session.query(Plugin).count() == 0


def test_a_database_without_tables_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        Database(f"sqlite:///{tmp_path}/empty.db").ping()


def test_times_are_utc_text_that_sorts() -> None:
    one = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert to_text(one) == "2025-12-31T23:00:00.000000Z"
    assert from_text(to_text(one)) == one
    assert to_text(one) < to_text(one + timedelta(microseconds=1))
    with pytest.raises(ValueError, match="timezone"):
        to_text(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


# -- blobs -----------------------------------------------------------------------------------


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def _put(blobs: BlobStore, data: bytes) -> str:
    with blobs.writing(set) as batch:
        return batch.put(data)


def test_a_blob_is_named_by_its_digest(blobs: BlobStore) -> None:
    digest = _put(blobs, b"abc")
    assert digest == hashlib.sha256(b"abc").hexdigest()
    assert blobs.read(digest) == b"abc"


def test_a_blob_that_changed_on_disk_is_refused(blobs: BlobStore) -> None:
    digest = _put(blobs, b"abc")
    blobs.path(digest).write_bytes(b"abd")
    with pytest.raises(Damaged) as caught:
        blobs.read(digest)
    assert caught.value.problem.value == hashlib.sha256(b"abd").hexdigest()
    assert caught.value.problem.expected == digest


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "", "a" * 64 + "\n", "tmp"]
)
def test_only_digests_name_blobs(blobs: BlobStore, name: str) -> None:
    with pytest.raises(NotFound):
        blobs.read(name)


def test_a_path_is_no_name_even_where_it_leads_somewhere(blobs: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    assert (blobs.root / "sha256" / ".." / "../secret").resolve() == tmp_path / "secret"
    with pytest.raises(NotFound):
        blobs.read("../secret")


def test_a_failed_write_removes_only_what_it_created(blobs: BlobStore) -> None:
    before = _put(blobs, b"before")
    with contextlib.suppress(Stop), blobs.writing(set) as batch:
        batch.put(b"before")
        fresh = batch.put(b"fresh")
        raise Stop
    assert blobs.read(before) == b"before"
    with pytest.raises(NotFound):
        blobs.read(fresh)
    assert list(blobs.temporary.iterdir()) == []


def test_a_failed_write_keeps_what_is_recorded_all_the_same(blobs: BlobStore) -> None:
    """A commit may have reached the disk although its answer was an error."""
    digest = hashlib.sha256(b"recorded").hexdigest()
    with contextlib.suppress(Stop), blobs.writing(lambda: {digest}) as batch:
        batch.put(b"recorded")
        raise Stop
    assert blobs.read(digest) == b"recorded"


def test_orphans_are_collected_and_nothing_else(blobs: BlobStore) -> None:
    kept, orphan = _put(blobs, b"kept"), _put(blobs, b"orphan")
    (blobs.temporary / "left-over").write_bytes(b"x")
    assert blobs.collect(lambda: {kept}) == (orphan,)
    assert blobs.read(kept) == b"kept"
    assert list(blobs.temporary.iterdir()) == []
