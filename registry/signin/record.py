"""What the journal keeps of sign-ins: who signed in and out, and attempts that failed.

A sign-in is written with its session, in one transaction. Whoever can reach the registry can fail
to sign in, so failures have a bound: those of one cause and address within `WINDOW` are one row
with a count, and beyond `MAX_FAILED` rows within an hour the address is left out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from flask import request
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from registry.accounts.models import SignInEvent
from registry.services import Services
from trust.identity import Identity

SIGNED_IN: Final = "signed-in"
SIGNED_OUT: Final = "signed-out"
FAILED: Final = "sign-in-failed"

WINDOW: Final = timedelta(minutes=10)
MAX_FAILED: Final = 30
"""Rows of failures within an hour that have an address."""
KEPT: Final = timedelta(days=365)
"""How long a row is kept."""


def add(session: Session, event: str, person: Identity | None, now: datetime, reason: str) -> None:
    """Write a row about the current request, and remove what is older than `KEPT`.

    Args:
        session: a writing session.
        event: `SIGNED_IN`, `SIGNED_OUT` or `FAILED`.
        person: who; None where nobody was identified.
        now: the time.
        reason: the cause of a failure, or what was ended; "" for nothing to say.
    """
    _add(session, event, person, now, reason, request.remote_addr or "")


def failed(services: Services, reason: str) -> None:
    """Count a sign-in that failed.

    Args:
        services: the registry's parts.
        reason: one of a few causes; nothing that a client chose.

    Raises:
        Unavailable: the database does not answer.
        OutOfSpace: the disk is full.
    """
    now, address = services.clock(), request.remote_addr or ""
    with services.database.write() as session:
        if _counted(session, reason, address, now):
            return
        hour = (
            select(func.count())
            .select_from(SignInEvent)
            .where(
                SignInEvent.event == FAILED,
                SignInEvent.at > now - timedelta(hours=1),
                SignInEvent.address != "",
            )
        )
        if (session.scalar(hour) or 0) >= MAX_FAILED:
            reason, address = "of many addresses", ""
            if _counted(session, reason, address, now):
                return
        _add(session, FAILED, None, now, reason, address)


def _counted(session: Session, reason: str, address: str, now: datetime) -> bool:
    """Count a failure on the row that it belongs to; return whether there is one."""
    row = session.scalar(
        select(SignInEvent)
        .where(
            SignInEvent.event == FAILED,
            SignInEvent.at > now - WINDOW,
            SignInEvent.reason == reason,
            SignInEvent.address == address,
        )
        .limit(1)
    )
    if row is not None:
        row.count += 1
    return row is not None


def _add(
    session: Session,
    event: str,
    person: Identity | None,
    now: datetime,
    reason: str,
    address: str,
) -> None:
    session.execute(delete(SignInEvent).where(SignInEvent.at < now - KEPT))
    session.add(
        SignInEvent(
            at=now,
            event=event,
            issuer=person.issuer if person else None,
            subject=person.subject if person else None,
            address=address[:64],
            reason=reason,
            count=1,
        )
    )
