"""The worker's third task: bring what is published into the TUF repository, and keep it signed.

The database says what is published; the repository follows it. A version that the repository
lacks, for whatever reason, is added at the next look, so a worker that was killed loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from registry.dependencies import store as dependencies
from registry.models import Plugin, Version
from registry.services import Services
from registry.states import State
from registry.tuf.keys import OnlineKeys
from registry.tuf.repository import Release, Repository
from registry.tuf.store import Store
from registry.worker_settings import WorkerSettings
from trust.errors import SealgateError
from trust.tuf import names

BATCH = 1000
"""Versions that are added under one snapshot at most."""
RETRY = timedelta(seconds=30)
"""The pause after a failure."""

log = logging.getLogger("registry.tuf")


@dataclass(slots=True)
class Distribution:
    """Follows the database.

    Attributes:
        services: the registry's parts.
        repository: what is signed.
    """

    services: Services
    repository: Repository
    _known: set[tuple[str, str]] | None = field(default=None, init=False)
    _seen: tuple[object, object, object] | None = field(default=None, init=False)
    _renew_at: datetime | None = field(default=None, init=False)
    _not_before: datetime | None = field(default=None, init=False)

    def once(self) -> bool:
        """Do what is due; tell whether there was anything. Trouble is logged and tried again."""
        now = self.services.clock()
        if self._not_before is not None and now < self._not_before:
            return False
        try:
            done = self._once(now)
        except SealgateError as error:
            log.error("the TUF repository was not renewed: %s", error.diagnostics())
            self._not_before = now + RETRY
            self._known = None
            return False
        self._not_before = None
        return done

    def _once(self, now: datetime) -> bool:
        look = self._look()
        if look == self._seen and self._renew_at is not None and now < self._renew_at:
            return False
        if self._seen is None or look[1:] != self._seen[1:]:
            # A ceremony brought something, or another worker wrote.
            self._known = None
        renewed = False
        if self._known is None or self._renew_at is None or now >= self._renew_at:
            # Both look at every bin: not at each publication.
            renewed = self.repository.renew()
            if renewed or self._known is None:
                self._known = self.repository.known()
        added = self._add(self._known)
        self._renew_at = self.repository.next_renewal()
        database = look[0] if added < BATCH else None
        self._seen = (database, look[1], self._look()[2])
        return bool(renewed or added)

    def _look(self) -> tuple[object, object, object]:
        """Return what changes when there may be something to do."""
        with self.services.database.read() as session:
            published = session.execute(
                select(func.count(), func.coalesce(func.sum(Version.id), 0)).where(
                    Version.state == State.PUBLISHED
                )
            ).one()
        store = self.repository.store
        return (
            tuple(published),
            _changed(store.ceremony),
            _changed(store.metadata / "timestamp.json"),
        )

    def _add(self, known: set[tuple[str, str]]) -> int:
        with self.services.database.read() as session:
            rows = session.execute(
                select(Version.id, Plugin.name, Version.number)
                .join(Version.plugin)
                .where(Version.state == State.PUBLISHED)
            ).all()
        missing = [row for row in rows if (row.name, row.number) not in known]
        # One bin after the other, so that each is signed as few times as can be.
        missing.sort(key=lambda row: (names.bin_of(row.name), row.id))
        batch = missing[:BATCH]
        if batch:
            added = self.repository.publish(self._releases([row.id for row in batch]))
            known.update((row.name, row.number) for row in batch)
            log.info("%d versions were added to the TUF repository", added)
        return len(batch)

    def _releases(self, ids: Sequence[int]) -> Iterator[Release]:
        for version_id in ids:
            try:
                with self.services.database.read() as session:
                    release = self._release(session.get_one(Version, version_id))
            except SealgateError as error:
                # One damaged blob keeps its own version back, not all others.
                log.error("version %d is left out: %s", version_id, error.diagnostics())
                continue
            yield release

    def _release(self, version: Version) -> Release:
        blobs = self.services.blobs
        return Release(
            version.plugin.name,
            version.number,
            version.filename,
            blobs.read(version.sha256),
            [blobs.read(item.sha256) for item in version.evidence],
            dependencies.stored(self.services, version),
        )


def open_for(settings: WorkerSettings, services: Services) -> Distribution | None:
    """Return what the settings describe; None where they name no keys.

    Raises:
        OSError: the pinned root cannot be read.
    """
    folder, root = settings.registry.tuf_dir, settings.tuf_root
    if settings.tuf_keys is None or folder is None or root is None:
        return None
    repository = Repository(
        Store(folder), root.read_bytes(), OnlineKeys(settings.tuf_keys), services.clock
    )
    return Distribution(services, repository)


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
