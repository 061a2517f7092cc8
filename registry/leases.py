"""Leases: a version is worked on by one worker at a time, and a dead worker's work is taken up.

A claim writes a random token and a time into the version's row. While the work goes on a thread
moves the time forward; what the work brings is stored only if the row still has the token. So a
worker that was killed, or that slept too long, can neither block a version nor store twice.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, or_, update
from sqlalchemy.orm import Session

from registry.errors import Conflict
from registry.models import Version
from registry.services import Services
from trust.errors import SealgateError, problem

log = logging.getLogger("registry.worker")


class LeaseLost(Conflict):
    """Another worker has taken the version over."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A version that this worker holds.

    Attributes:
        version_id: the row.
        token: the random token in the row.
    """

    version_id: int
    token: str


def free(services: Services) -> ColumnElement[bool]:
    """Return the condition that nobody holds a version and that its pause is over."""
    now = services.clock()
    return or_(Version.lease_until.is_(None), Version.lease_until < now) & or_(
        Version.not_before.is_(None), Version.not_before <= now
    )


def take(services: Services, version: Version, seconds: float) -> Claim:
    """Write a claim into the row, in the caller's write transaction."""
    claim = Claim(version.id, str(uuid.uuid4()))
    version.lease_owner = claim.token
    version.lease_until = services.clock() + timedelta(seconds=seconds)
    return claim


def claim(
    services: Services,
    waiting: Callable[[Session], Version | None],
    seconds: float,
    begin: Callable[[Session, Version], None] | None = None,
) -> Claim | None:
    """Claim the version that waits; None where none does, which costs no write transaction.

    Args:
        services: the registry's parts.
        waiting: finds the version.
        seconds: how long the claim holds without a sign of life.
        begin: what else is written with the claim, in its transaction.
    """
    with services.database.read() as session:
        if waiting(session) is None:
            return None
    with services.database.write() as session:
        version = waiting(session)
        if version is None:
            return None
        if begin is not None:
            begin(session, version)
        return take(services, version, seconds)


def release(version: Version) -> None:
    """Take the claim out of the row, in the caller's write transaction."""
    version.lease_owner = None
    version.lease_until = None


def held(session: Session, claim: Claim) -> Version:
    """Return the claimed row.

    Raises:
        LeaseLost: it has another token by now.
    """
    version = session.get_one(Version, claim.version_id)
    if version.lease_owner != claim.token:
        raise LeaseLost(
            problem(
                "registry.lease-lost",
                "another worker has taken this version over; this result is thrown away",
                value=claim.token,
                expected=version.lease_owner or "no claim",
                advice="nothing: the other worker finishes it",
            )
        )
    return version


@contextmanager
def kept(services: Services, claim: Claim, seconds: float) -> Iterator[None]:
    """Keep the claim alive while the block runs.

    A block that finds that it has lost the claim ends at that; this is logged, not raised.
    """
    done = threading.Event()

    def beat() -> None:
        while not done.wait(seconds / 3):
            try:
                with services.database.write() as session:
                    session.execute(
                        update(Version)
                        .where(Version.id == claim.version_id, Version.lease_owner == claim.token)
                        .values(lease_until=services.clock() + timedelta(seconds=seconds))
                    )
            except SealgateError as error:
                log.warning("a lease could not be renewed: %s", error)

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    except LeaseLost as error:
        log.warning("%s", error)
    finally:
        done.set()
        thread.join()
