"""The journal: who did what when, from every table that keeps history, newest first.

Only sign-ins have a table for this (`registry.signin.record`): a session's row goes with it. Else
nothing is copied into a table of its own. Each source is read by its index on time from a cursor
on, at most a page of it, and the pages are merged; so the last page costs what the first one does.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from registry.accounts.models import ApiToken, SignInEvent, TrustedPublisher
from registry.author_desk.models import DeskEvent
from registry.clock import from_text, to_text
from registry.models import Plugin, TimelineRow, Version
from registry.names import normalised
from registry.readmodel import SignerView
from registry.revocations.models import RevocationRow
from registry.services import Services

PER_PAGE = 30
_CURSOR = re.compile(r"([0-9T:.Z-]{20,27})~([a-z]{1,12})~([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        at: when.
        source: which history it stands in: `names`, `publishers`, `revocations`, `signins`,
            `tokens`, `versions`, or `withdrawn` for tokens that ended.
        id: its number there.
        event: a slug.
        actor: who, where it was somebody.
        plugin: the plugin's name, or "".
        version: the version, or "".
        detail: a sentence for a person; text of authors and reviewers may be in it.
    """

    at: datetime
    source: str
    id: int
    event: str
    actor: SignerView | None
    plugin: str
    version: str
    detail: str

    @property
    def cursor(self) -> str:
        """Where the next page begins after this entry."""
        return f"{to_text(self.at)}~{self.source}~{self.id}"


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; an empty member asks for anything.

    Attributes:
        plugin: a plugin's name.
        person: a subject, letter by letter.
        source: one of `SOURCES`.
    """

    plugin: str = ""
    person: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class JournalPage:
    """A page: `older` is where the next one begins, or "" where this is the last."""

    entries: tuple[Entry, ...]
    older: str


@dataclass(frozen=True, slots=True)
class _Cursor:
    at: datetime
    source: str
    id: int

    @classmethod
    def read(cls, text: str) -> _Cursor | None:
        match = _CURSOR.fullmatch(text)
        if match is None:
            return None
        try:
            return cls(from_text(match[1]), match[2], int(match[3]))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class _Source:
    """How one table is read.

    Attributes:
        name: the source.
        at: the column of time.
        id: the primary key.
        subject: the column with who did it.
        plugin: narrows a statement to a plugin's rows; None where the table names none.
        entry: makes an entry of a row.
    """

    name: str
    table: type[Any]
    at: InstrumentedAttribute[Any]
    subject: InstrumentedAttribute[Any]
    plugin: Callable[[str], ColumnElement[bool]] | None
    entry: Callable[[Any], Entry]
    loads: tuple[Any, ...] = ()

    def read(self, session: Session, wanted: Filter, cursor: _Cursor | None) -> Iterator[Entry]:
        statement: Select[Any] = select(self.table).where(self.at.is_not(None))
        if wanted.plugin:
            if self.plugin is None:
                return
            statement = statement.where(self.plugin(normalised(wanted.plugin) or ""))
        if wanted.person:
            statement = statement.where(self.subject == wanted.person)
        if cursor is not None:
            statement = statement.where(self._after(cursor))
        statement = statement.order_by(self.at.desc(), self.table.id.desc()).limit(PER_PAGE + 1)
        for row in session.scalars(statement.options(*self.loads)):
            yield self.entry(row)

    def _after(self, cursor: _Cursor) -> ColumnElement[bool]:
        if self.name < cursor.source:
            return self.at < cursor.at
        if self.name > cursor.source:
            return self.at <= cursor.at
        return or_(self.at < cursor.at, and_(self.at == cursor.at, self.table.id < cursor.id))


def _signer(issuer: str | None, subject: str | None) -> SignerView | None:
    return SignerView(issuer, subject) if issuer is not None and subject is not None else None


def _plugin_ids(name: str) -> Any:
    return select(Plugin.id).where(Plugin.name == name)


def _version(row: TimelineRow) -> Entry:
    actor = _signer(row.actor_issuer, row.actor_subject)
    name = row.version.plugin.name
    return Entry(row.at, "versions", row.id, row.event, actor, name, row.version.number, row.detail)


def _name(row: DeskEvent) -> Entry:
    actor = _signer(row.actor_issuer, row.actor_subject)
    number = row.version.number if row.version else ""
    return Entry(row.at, "names", row.id, row.event, actor, row.plugin.name, number, row.detail)


def _revocation(row: RevocationRow) -> Entry:
    plugin, number = str(row.target.get("plugin", "")), str(row.target.get("version", ""))
    detail = f"{row.revocation.target}: {row.reason}"
    actor = _signer(row.issuer, row.subject)
    return Entry(row.added_at, "revocations", row.id, row.action, actor, plugin, number, detail)


def _token(row: ApiToken) -> Entry:
    scope = ", ".join(row.scopes) + (f" of {', '.join(row.plugins)}" if row.plugins else "")
    return Entry(
        row.created_at, "tokens", row.id, "token-made", _signer(row.issuer, row.subject), "", "",
        f"{row.name}: {scope}",
    )  # fmt: skip


def _withdrawn(row: ApiToken) -> Entry:
    return Entry(
        row.revoked_at or row.created_at, "withdrawn", row.id, "token-revoked",
        _signer(row.issuer, row.subject), "", "", row.name,
    )  # fmt: skip


def _sign_in(row: SignInEvent) -> Entry:
    said = (
        row.reason,
        f"{row.count} times within minutes" if row.count > 1 else "",
        f"from {row.address}" if row.address else "",
    )
    detail = "; ".join(text for text in said if text)
    actor = _signer(row.issuer, row.subject)
    return Entry(row.at, "signins", row.id, row.event, actor, "", "", detail)


def _publisher(row: TrustedPublisher) -> Entry:
    claims = ", ".join(f"{name} {value}" for name, value in sorted(row.claims.items()))
    return Entry(
        row.added_at, "publishers", row.id, "publisher-added",
        _signer(row.added_issuer, row.added_subject), row.plugin.name, "",
        f"{row.issuer}: {claims}",
    )  # fmt: skip


_SOURCES = (
    _Source(
        "names", DeskEvent, DeskEvent.at, DeskEvent.actor_subject,
        lambda name: DeskEvent.plugin_id.in_(_plugin_ids(name)), _name,
        (joinedload(DeskEvent.plugin), joinedload(DeskEvent.version)),
    ),
    _Source(
        "publishers", TrustedPublisher, TrustedPublisher.added_at, TrustedPublisher.added_subject,
        lambda name: TrustedPublisher.plugin_id.in_(_plugin_ids(name)), _publisher,
        (joinedload(TrustedPublisher.plugin),),
    ),
    _Source(
        "revocations", RevocationRow, RevocationRow.added_at, RevocationRow.subject,
        lambda name: RevocationRow.target["plugin"].as_string() == name, _revocation,
    ),
    _Source("signins", SignInEvent, SignInEvent.at, SignInEvent.subject, None, _sign_in),
    _Source("tokens", ApiToken, ApiToken.created_at, ApiToken.subject, None, _token),
    _Source(
        "versions", TimelineRow, TimelineRow.at, TimelineRow.actor_subject,
        lambda name: TimelineRow.version_id.in_(
            select(Version.id).where(Version.plugin_id.in_(_plugin_ids(name)))
        ),
        _version, (joinedload(TimelineRow.version).joinedload(Version.plugin),),
    ),
    _Source("withdrawn", ApiToken, ApiToken.revoked_at, ApiToken.subject, None, _withdrawn),
)  # fmt: skip

SOURCES = tuple(source.name for source in _SOURCES)


def read(services: Services, wanted: Filter, after: str = "") -> JournalPage:
    """Return a page of the journal, newest first.

    Args:
        services: the registry's parts.
        wanted: what is asked for.
        after: the cursor of the last entry of the page before; "" or nonsense for the first page.
    """
    cursor = _Cursor.read(after)
    with services.database.read() as session:
        streams = [
            source.read(session, wanted, cursor)
            for source in _SOURCES
            if wanted.source in ("", source.name)
        ]
        merged = heapq.merge(*streams, key=lambda e: (-e.at.timestamp(), e.source, -e.id))
        found = tuple(islice(merged, PER_PAGE + 1))
    more = len(found) > PER_PAGE
    entries = found[:PER_PAGE]
    return JournalPage(entries, entries[-1].cursor if more else "")
