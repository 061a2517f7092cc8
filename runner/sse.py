"""Reads server-sent events (WHATWG HTML, 9.2.6) as a runner sends them; bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_EVENT_BYTES = 4 << 20


class NotEvents(ValueError):
    """This is no event stream, or an event of it is too long."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `id` is the last that was given."""

    name: str
    id: str
    data: str


class EventReader:
    """Makes events of bytes, in whatever parts they come."""

    def __init__(self) -> None:
        """Begin at the start of a stream."""
        self._buffer = bytearray()
        self._fields: dict[str, list[str]] = {}
        self._last_id = ""

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take bytes and yield the events that they complete.

        Raises:
            NotEvents: an event is longer than `MAX_EVENT_BYTES`, or not UTF-8.
        """
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            try:
                event = self._line(line.decode())
            except UnicodeDecodeError as error:
                raise NotEvents("not UTF-8") from error
            if event is not None:
                yield event
        held = sum(len(part) for parts in self._fields.values() for part in parts)
        if len(self._buffer) + held > MAX_EVENT_BYTES:
            raise NotEvents("an event is too long")

    def _line(self, line: str) -> Event | None:
        if line:
            name, _, value = line.partition(":")
            if name:
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            return None
        fields, self._fields = self._fields, {}
        self._last_id = fields.get("id", [self._last_id])[-1]
        if "data" not in fields:
            return None
        name = fields.get("event", ["message"])[-1]
        return Event(name, self._last_id, "\n".join(fields["data"]))
