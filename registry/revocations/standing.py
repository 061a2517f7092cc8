"""What is revoked now, as the registry sees it: the rows under its own authority."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.clock import Clock
from registry.database import Database
from registry.errors import Forbidden
from registry.models import Plugin, Version
from registry.revocations.models import RevocationRow
from registry.settings import Settings
from trust.identity import Identity
from trust.revocation import Authority, Facts, Revocations
from trust.revocation.judge import stopped


def authority(settings: Settings, session: Session, plugins: Iterable[str]) -> Authority:
    """Return who may revoke: the settings' revokers, the admins, and owners for their plugins.

    Args:
        settings: the registry's.
        session: where the owners are read.
        plugins: normalised names that will be asked about.
    """
    wanted = set(plugins)
    rows = session.scalars(select(Plugin).where(Plugin.name.in_(wanted))) if wanted else ()
    owners = {row.name: (row.owner,) for row in rows}
    sign_in = settings.sign_in
    admins = {Identity(sign_in.issuer, who) for who in settings.accounts.admins} if sign_in else ()
    return Authority(settings.revocations.revokers.union(admins), lambda name: owners.get(name, ()))


def facts_of(version: Version) -> Facts:
    """Return what the registry knows of a version."""
    return Facts(
        plugin=version.plugin.name,
        version=version.number,
        sha256=version.sha256,
        publishers=frozenset({version.author}),
    )


class Standing:
    """The revocations that hold, read anew when a row was added. Safe to share by threads."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[tuple[int, int], Revocations] | None = None

    def now(self) -> Revocations:
        """Return the set.

        Raises:
            Unavailable: the database does not answer.
        """
        with self._database.read() as session:
            count, last = session.execute(
                select(func.count(RevocationRow.id), func.max(RevocationRow.id))
            ).one()
            key = int(count), int(last or 0)
            with self._lock:
                if self._kept is not None and self._kept[0] == key:
                    return self._kept[1]
            found = [row.revocation for row in session.scalars(select(RevocationRow))]
            who = authority(self._settings, session, {r.target.plugin or "" for r in found})
        fresh = Revocations(found, who)
        with self._lock:
            self._kept = key, fresh
        return fresh

    def check(self, facts: Facts) -> None:
        """Refuse what was revoked for good; what is in quarantine may still be mended.

        Raises:
            Forbidden: with every revocation that holds.
        """
        holding = self.now().holding(facts, self._clock())
        final = [stopped(each) for each in holding if each.action == "revoke"]
        if final:
            raise Forbidden(final)

    def excluded_reviewers(self) -> frozenset[Identity]:
        """Return the reviewers whose approvals do not count now."""
        return self.now().excluded_reviewers(self._clock())
