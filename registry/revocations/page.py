"""Serving the log to runners: entries, the fresh head, and the proof that it only grew."""

from __future__ import annotations

from sqlalchemy import select

from registry.errors import BadRequest, NotFound, Unavailable
from registry.revocations.log import opened
from registry.revocations.models import RevocationHead
from registry.services import Services
from trust.errors import problem
from trust.revocation.follow import MAX_PAGE_ENTRIES, Page


def page(services: Services, since: int) -> Page:
    """Return the entries from number `since` on, at most `MAX_PAGE_ENTRIES`.

    Raises:
        NotFound: this registry keeps no revocation log.
        BadRequest: the log has fewer than `since` entries.
        Unavailable: the worker has signed no head yet, or the stores cannot be used.
    """
    path = services.settings.revocations.log
    if path is None:
        raise NotFound(
            problem(
                "registry.no-revocation-log",
                "this registry keeps no revocation log",
                expected="the setting REVOCATION_LOG",
                advice="tell the registry's operator",
            )
        )
    with services.database.read() as session:
        row = session.execute(select(RevocationHead.note, RevocationHead.size)).first()
    if row is None:
        raise Unavailable(
            problem(
                "registry.no-head",
                "the revocation log has no signed head yet",
                expected="a worker that keeps the log",
                advice="ask again in some seconds; the operator must see that the worker runs",
            )
        )
    note, size = row
    if since > size:
        raise BadRequest(
            problem(
                "http.query",
                "the revocation log has fewer entries",
                value=since,
                expected=f"at most {size}",
                advice="if there were more before, tell everybody: the log was rolled back",
                where="since",
            )
        )
    with opened(path, None) as log:
        return Page(
            since,
            note,
            tuple(log.entries(since, min(size - since, MAX_PAGE_ENTRIES))),
            tuple(log.consistency_proof(since, size)),
        )
