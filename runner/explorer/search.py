"""Searching the audit log, newest first, at a bounded cost for each question.

A question reads at most `MAX_READ` records through a read-only connection of its own; where that
is not enough to fill a page it says how far it came, and the next question goes on from there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runner.clock import iso
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.log import LogUnavailable

PER_PAGE = 25
MAX_READ = 20_000
"""Records that one question looks at."""

OUT_OF_ORDER = timedelta(days=1)
"""How much later than its time a record may have been appended, when the log was away."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; an empty member asks for anything.

    Attributes:
        request_id: the call's id.
        plugin: the plugin's name, as it was asked for.
        caller: the caller's name.
        status: how the call ended, or `admitted` for decisions that let it go on.
        since: not before this time, aware.
        until: not after this time, aware.
    """

    request_id: str = ""
    plugin: str = ""
    caller: str = ""
    status: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def fragments(self) -> list[bytes]:
        """Return what the canonical JSON of each answer has in it, literally."""
        named = {"request_id": self.request_id, "plugin": self.plugin, "caller": self.caller}
        pairs = [{name: text} for name, text in named.items() if text]
        if self.status:
            member = "decision" if self.status == "admitted" else "status"
            pairs.append({member: self.status})
        return [strictjson.dumps(pair)[1:-1] for pair in pairs]

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Say whether a record is an answer."""
        wanted = {"request_id": self.request_id, "plugin": self.plugin, "caller": self.caller}
        if any(text and record.get(name) != text for name, text in wanted.items()):
            return False
        if self.status and self.status not in (record.get("status"), record.get("decision")):
            return False
        time = str(record.get("time", ""))
        early = self.since is not None and time < iso(self.since)
        late = self.until is not None and time > iso(self.until)
        return not early and not late

    def too_old(self, record: Mapping[str, Any]) -> bool:
        """Say whether no older record can be an answer."""
        if self.since is None:
            return False
        return str(record.get("time", "")) < iso(self.since - OUT_OF_ORDER)


@dataclass(frozen=True, slots=True)
class Hit:
    """One record that was found, with its place in the log."""

    index: int
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Attributes:
        hits: newest first, at most `PER_PAGE`.
        older: the index below which an older search goes on; None where all was read.
        read: how many records were looked at.
        size: how many records the log has.
    """

    hits: tuple[Hit, ...]
    older: int | None
    read: int
    size: int


def find(path: Path, question: Question, before: int | None = None) -> Answer:
    """Search the log.

    Args:
        path: the log's database.
        question: what is asked for.
        before: only records below this index; None for all.

    Raises:
        LogUnavailable: the log cannot be read.
    """
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None)) as db:
            db.execute("BEGIN")
            return _find(db, question, before)
    except sqlite3.Error as error:
        raise LogUnavailable(
            problem(
                "log.unavailable",
                "the audit log cannot be searched",
                value=str(error),
                expected="a readable log",
                advice="run `sealgate audit verify`",
            )
        ) from error


def _find(db: sqlite3.Connection, question: Question, before: int | None) -> Answer:
    (size,) = db.execute("SELECT count(*) FROM entry").fetchone()
    below = size if before is None else min(before, size)
    fragments = question.fragments()
    hits: list[Hit] = []
    read = 0
    for index, body in _newest_first(db, below):
        read += 1
        record = _record(body) if all(part in body for part in fragments) else None
        if record is not None and question.matches(record):
            hits.append(Hit(index, record))
        done = index == 0 or (record is not None and question.too_old(record))
        if done or len(hits) == PER_PAGE or read == MAX_READ:
            return Answer(tuple(hits), None if done else index, read, size)
    return Answer(tuple(hits), None, read, size)


def _newest_first(db: sqlite3.Connection, below: int) -> Iterator[tuple[int, bytes]]:
    rows = db.execute("SELECT idx, body FROM entry WHERE idx < ? ORDER BY idx DESC", (below,))
    for index, body in rows:
        yield index, bytes(body)


def _record(body: bytes) -> Mapping[str, Any] | None:
    try:
        record = strictjson.loads(body)
    except SealgateError:
        return None
    return record if isinstance(record, dict) else None
