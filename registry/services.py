"""What a request or a worker needs at hand: settings, database, blob store, trust material."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from flask import current_app
from sqlalchemy import select, union
from sqlalchemy.orm import Session

from registry.blobs import Batch, BlobStore
from registry.clock import Clock, utc_now
from registry.database import Database
from registry.dependencies.models import LockedWheel
from registry.models import Evidence, Scan, Version
from registry.revocations.standing import Standing
from registry.settings import Settings
from registry.trustmaterial import TrustMaterial

EXTENSION = "sealgate"


@dataclass(frozen=True, slots=True)
class Services:
    """The registry's parts, made once per process by `Services.open(settings)`.

    In a Flask view: `registry.services.current()`.

    Attributes:
        settings: the validated settings.
        database: read and write sessions.
        blobs: wheels, reports and bundles by digest.
        trust: verifier, layout and gate, read anew when their files change.
        clock: the current time, timezone-aware UTC.
        standing: what is revoked now.
    """

    settings: Settings
    database: Database
    blobs: BlobStore
    trust: TrustMaterial
    clock: Clock
    standing: Standing

    @classmethod
    def open(cls, settings: Settings, clock: Clock = utc_now) -> Services:
        """Open the stores and bring the tables to the newest revision.

        Raises:
            Unavailable: the database or the blob store cannot be used.
        """
        blobs = BlobStore(settings.blob_dir)
        database = Database(settings.database_url)
        database.migrate(settings.blob_dir / "migration.lock")
        standing = Standing(settings, database, clock)
        trust = TrustMaterial(settings, standing.excluded_reviewers)
        return cls(settings, database, blobs, trust, clock, standing)

    def referenced(self) -> set[str]:
        """Return every blob digest that a committed row names."""
        with self.database.read() as session:
            return set(
                session.scalars(
                    union(
                        select(Version.sha256),
                        select(Scan.report_sha256),
                        select(Evidence.sha256),
                        select(LockedWheel.sha256),
                    )
                )
            )

    @contextmanager
    def recording(self) -> Iterator[tuple[Session, Batch]]:
        """Write rows and blobs together: all of them, or none.

        Blobs are on the disk before the rows that name them are committed.

        Raises:
            OutOfSpace: the disk is full; nothing was stored.
            Unavailable: the database or the blob store does not answer; nothing was stored.
        """
        with self.blobs.writing(self.referenced) as batch, self.database.write() as session:
            yield session, batch

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()


def current() -> Services:
    """Return the services of the Flask application that handles this request."""
    return cast(Services, current_app.extensions[EXTENSION])
