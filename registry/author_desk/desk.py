"""The desk's reads: notes beside a version, and a person's own plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from packaging.version import Version as Pep440
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from registry import views
from registry.author_desk import answers, transfers
from registry.author_desk.models import Answer, Transfer
from registry.author_desk.views import (
    AnswerView,
    Notes,
    OwnPlugin,
    OwnVersion,
    RejectionView,
    TransferView,
)
from registry.lookup import find
from registry.models import Plugin, Review, Version
from registry.readmodel import Page
from registry.services import Services
from registry.states import SETTLED, State
from registry.trustmaterial import Reviewing
from trust.errors import SealgateError
from trust.identity import Identity

MAX_REJECTIONS = 5
VERSIONS_SHOWN = 5
PER_PAGE = 20

UNDECIDED = frozenset(set(State) - SETTLED)

ASKS: Mapping[str, str] = MappingProxyType(
    {
        State.SCAN_FAILED: "Mend what the scan found and submit a new version, or answer.",
        State.REJECTED: "Read why it was rejected; answer, or submit a new version.",
        State.SCAN_INCOMPLETE: "Nothing yet: the operator has to have it scanned again.",
    }
)
"""State -> what is asked of the author."""


def notes(services: Services, name: str, number: str, person: Identity | None) -> Notes:
    """Return what the desk tells beside a version.

    Raises:
        NotFound: no such version.
    """
    with services.database.read() as session:
        version = find(session, name, number)
        siblings = _undecided(session, (version.plugin_id,))
        later, earlier = _around(version, siblings)
        return Notes(
            superseded_by=later if version.state in UNDECIDED else None,
            supersedes=earlier if version.state in UNDECIDED else (),
            answers=_answers(session, (version.id,)).get(version.id, ()),
            rejections=_rejections(session, version),
            new_owner=_new_owner(session, version),
            may_answer=answers.may_answer(version, person),
        )


def _undecided(session: Session, plugin_ids: Iterable[int]) -> list[Version]:
    return list(
        session.scalars(
            select(Version)
            .where(Version.plugin_id.in_(tuple(plugin_ids)), Version.state.in_(UNDECIDED))
            .order_by(Version.id)
        )
    )


def _around(version: Version, undecided: Iterable[Version]) -> tuple[str | None, tuple[str, ...]]:
    """Return the newest undecided version that replaces this one, and those that this replaces.

    One replaces another if it is of the same name, was submitted later and has a higher number.
    """
    own = Pep440(version.number)
    same = [v for v in undecided if v.plugin_id == version.plugin_id and v.id != version.id]
    later = [v for v in same if v.id > version.id and Pep440(v.number) > own]
    earlier = [v for v in same if v.id < version.id and Pep440(v.number) < own]
    newest = max(later, key=lambda v: Pep440(v.number)).number if later else None
    return newest, tuple(v.number for v in earlier)


def _answers(session: Session, ids: tuple[int, ...]) -> dict[int, tuple[AnswerView, ...]]:
    found: dict[int, tuple[AnswerView, ...]] = {}
    for row in session.scalars(
        select(Answer).where(Answer.version_id.in_(ids)).order_by(Answer.id)
    ):
        view = AnswerView(row.at, views.signer(row.author), row.text)
        found[row.version_id] = (*found.get(row.version_id, ()), view)
    return found


def _rejections(session: Session, version: Version) -> tuple[RejectionView, ...]:
    rows = session.execute(
        select(Review, Version)
        .join(Version, Review.version_id == Version.id)
        .where(
            Version.plugin_id == version.plugin_id,
            Version.state == State.REJECTED,
            Version.id < version.id,
            Review.decision == "reject",
        )
        .order_by(Review.id.desc())
        .limit(MAX_REJECTIONS)
    ).all()
    given = _answers(session, tuple(other.id for _, other in rows))
    return tuple(
        RejectionView(
            other.number,
            views.signer(review.reviewer),
            review.at,
            review.comment,
            given.get(other.id, ()),
        )
        for review, other in rows
    )


def _new_owner(session: Session, version: Version) -> TransferView | None:
    """Return the hand-over, where this is a version by an owner who has published nothing yet."""
    transfer = transfers.last_accepted(session, version.plugin_id)
    if transfer is None or transfer.taker != version.author:
        return None
    proven = session.scalar(
        select(Version.id)
        .where(
            Version.plugin_id == version.plugin_id,
            Version.state == State.PUBLISHED,
            Version.author_issuer == transfer.to_issuer,
            Version.author_subject == transfer.to_subject,
            Version.id != version.id,
        )
        .limit(1)
    )
    return None if proven is not None else transfer_view(transfer)


def transfer_view(row: Transfer) -> TransferView:
    """Return the view of an offer."""
    return TransferView(
        row.id,
        row.plugin.name,
        views.signer(row.giver),
        views.signer(row.taker),
        row.state,
        row.offered_at,
        row.decided_at,
    )


def offers_to(services: Services, person: Identity) -> tuple[TransferView, ...]:
    """Return the names that are offered to `person`, oldest offer first."""
    with services.database.read() as session:
        rows = session.scalars(
            select(Transfer)
            .where(
                Transfer.to_issuer == person.issuer,
                Transfer.to_subject == person.subject,
                Transfer.state == transfers.OFFERED,
            )
            .order_by(Transfer.id)
            .limit(PER_PAGE)
            .options(joinedload(Transfer.plugin))
        )
        return tuple(transfer_view(row) for row in rows)


def open_offers(services: Services) -> tuple[TransferView, ...]:
    """Return every open offer, oldest first, at most a hundred."""
    with services.database.read() as session:
        rows = session.scalars(
            select(Transfer)
            .where(Transfer.state == transfers.OFFERED)
            .order_by(Transfer.id)
            .limit(100)
            .options(joinedload(Transfer.plugin))
        )
        return tuple(transfer_view(row) for row in rows)


def own_plugins(services: Services, person: Identity, page: int = 1) -> Page[OwnPlugin]:
    """Return the names that `person` owns or submitted versions of, the liveliest first."""
    try:
        reviewing = services.trust.reviewing(services.clock())
    except SealgateError:
        reviewing = None
    authored = select(Version.plugin_id).where(
        Version.author_issuer == person.issuer, Version.author_subject == person.subject
    )
    owned = and_(Plugin.owner_issuer == person.issuer, Plugin.owner_subject == person.subject)
    mine = or_(owned, Plugin.id.in_(authored))
    last = select(func.max(Version.id)).where(Version.plugin_id == Plugin.id).scalar_subquery()
    with services.database.read() as session:
        total = session.scalar(select(func.count()).select_from(Plugin).where(mine)) or 0
        rows = session.scalars(
            select(Plugin)
            .where(mine)
            .order_by(last.desc())
            .limit(PER_PAGE)
            .offset((max(1, page) - 1) * PER_PAGE)
        ).all()
        undecided = _undecided(session, (row.id for row in rows))
        items = tuple(_own_plugin(session, row, person, undecided, reviewing) for row in rows)
    return Page(items, max(1, page), PER_PAGE, total)


def _own_plugin(
    session: Session,
    plugin: Plugin,
    person: Identity,
    undecided: list[Version],
    reviewing: Reviewing | None,
) -> OwnPlugin:
    rows = session.scalars(
        select(Version)
        .where(Version.plugin_id == plugin.id)
        .order_by(Version.id.desc())
        .limit(VERSIONS_SHOWN)
        .options(selectinload(Version.reviews))
    ).all()
    total = session.scalar(
        select(func.count()).select_from(Version).where(Version.plugin_id == plugin.id)
    )
    answered = _answers(session, tuple(row.id for row in rows))
    offer = transfers.open_offer(session, plugin.id)
    return OwnPlugin(
        name=plugin.name,
        summary=rows[0].summary if rows else "",
        owned=plugin.owner == person,
        versions=tuple(
            OwnVersion(
                views.version_line(row, reviewing),
                "" if row.id in answered or row.id != rows[0].id else ASKS.get(row.state, ""),
                _around(row, undecided)[0] if row.state in UNDECIDED else None,
            )
            for row in rows
        ),
        total=total or 0,
        offer=transfer_view(offer) if offer else None,
    )
