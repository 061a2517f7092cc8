"""Lists for everybody, at a bounded cost: plugins by search, and the versions of one plugin.

Which version is the highest (PEP 440) no database can say, so all numbers of the plugins on the
page are read, as two short columns; whole rows are read for what is shown only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from packaging.version import Version as Pep440
from sqlalchemy import and_, case, exists, func, or_, select
from sqlalchemy.orm import Session, selectinload

from registry import views
from registry.author_desk import desk, transfers
from registry.author_desk.views import TransferView
from registry.lookup import find_plugin
from registry.models import Plugin, Version
from registry.readmodel import Page, SignerView, VersionLine
from registry.services import Services
from registry.states import State
from registry.trustmaterial import Reviewing
from trust.errors import SealgateError

PER_PAGE = 20
VERSIONS_PER_PAGE = 25


@dataclass(frozen=True, slots=True)
class PluginCard:
    """One plugin in a list.

    Attributes:
        summary: of the published version with the highest number, else of the highest at all.
        latest: that published version, or None.
        newest: the highest version in any state.
        newest_state: its state.
    """

    name: str
    summary: str
    latest: str | None
    newest: str
    newest_state: str


@dataclass(frozen=True, slots=True)
class PluginPage:
    """One plugin with a page of its versions, highest first.

    Attributes:
        handed_over: how the present owner came to the name; None for who claimed it first.
        latest: the published version with the highest number, or None.
        shown: the version whose methods are shown: the latest, else the highest.
    """

    name: str
    summary: str
    owner: SignerView
    handed_over: TransferView | None
    latest: str | None
    shown: str | None
    versions: Page[VersionLine]


@dataclass(frozen=True, slots=True)
class _Number:
    id: int
    text: str
    state: str


@lru_cache(maxsize=50_000)
def _order(number: str) -> Pep440:
    return Pep440(number)


def _numbers(session: Session, plugin_ids: Iterable[int]) -> dict[int, list[_Number]]:
    """Return the versions of each plugin, highest first."""
    found: dict[int, list[_Number]] = {}
    rows = session.execute(
        select(Version.plugin_id, Version.id, Version.number, Version.state).where(
            Version.plugin_id.in_(tuple(plugin_ids))
        )
    )
    for plugin_id, version_id, number, state in rows:
        found.setdefault(plugin_id, []).append(_Number(version_id, number, state))
    for numbers in found.values():
        numbers.sort(key=lambda n: _order(n.text), reverse=True)
    return found


def _latest(numbers: Sequence[_Number]) -> _Number | None:
    return next((n for n in numbers if n.state == State.PUBLISHED), None)


def plugins(services: Services, text: str = "", page: int = 1) -> Page[PluginCard]:
    """Return plugins whose name or summary contains `text`: those so named first, then by name."""
    statement = select(Plugin.id)
    if text:
        word = text.lower()
        named = Plugin.name.contains(word, autoescape=True)
        summary = func.lower(Version.summary).contains(word, autoescape=True)
        told = exists().where(and_(Version.plugin_id == Plugin.id, summary))
        begins = Plugin.name.startswith(word, autoescape=True)
        rank = case((Plugin.name == word, 0), (begins, 1), (named, 2), else_=3)
        statement = statement.where(or_(named, told)).order_by(rank)
    number = max(1, page)
    with services.database.read() as session:
        total = session.scalar(select(func.count()).select_from(statement.subquery())) or 0
        ids = session.scalars(
            statement.order_by(Plugin.name).limit(PER_PAGE).offset((number - 1) * PER_PAGE)
        ).all()
        numbers = _numbers(session, ids)
        told_by = {i: _latest(found) or found[0] for i, found in numbers.items()}
        told_ids = [n.id for n in told_by.values()]
        texts = session.execute(select(Version.id, Version.summary).where(Version.id.in_(told_ids)))
        summaries = {row.id: row.summary for row in texts}
        named_rows = session.execute(select(Plugin.id, Plugin.name).where(Plugin.id.in_(ids)))
        names = {row.id: row.name for row in named_rows}
    items = tuple(
        _card(names[i], numbers[i], summaries[told_by[i].id]) for i in ids if i in numbers
    )
    return Page(items, number, PER_PAGE, total, text)


def _card(name: str, numbers: Sequence[_Number], summary: str) -> PluginCard:
    latest = _latest(numbers)
    return PluginCard(
        name, summary, latest.text if latest else None, numbers[0].text, numbers[0].state
    )


def plugin(services: Services, name: str, page: int = 1) -> PluginPage:
    """Return one plugin, its name in any spelling that PEP 503 normalises to it.

    Raises:
        NotFound: no such plugin.
    """
    try:
        reviewing: Reviewing | None = services.trust.reviewing(services.clock())
    except SealgateError:
        reviewing = None
    number = max(1, page)
    with services.database.read() as session:
        row = find_plugin(session, name)
        given = transfers.last_accepted(session, row.id)
        numbers = _numbers(session, (row.id,)).get(row.id, [])
        latest = _latest(numbers)
        told = latest or (numbers[0] if numbers else None)
        start = (number - 1) * VERSIONS_PER_PAGE
        ids = [n.id for n in numbers[start : start + VERSIONS_PER_PAGE]]
        found = {
            version.id: views.version_line(version, reviewing)
            for version in session.scalars(
                select(Version)
                .where(Version.id.in_(ids))
                .options(selectinload(Version.reviews), selectinload(Version.plugin))
            )
        }
        summary = (
            session.scalar(select(Version.summary).where(Version.id == told.id)) if told else ""
        )
        return PluginPage(
            name=row.name,
            summary=summary or "",
            owner=views.owner_view(row),
            handed_over=desk.transfer_view(given) if given else None,
            latest=latest.text if latest else None,
            shown=told.text if told else None,
            versions=Page(tuple(found[i] for i in ids), number, VERSIONS_PER_PAGE, len(numbers)),
        )
