"""The HTTP server: waitress, with the header of a reply and its body sent in one piece.

waitress sends the header as soon as it has one. On one machine the client wakes up for it, finds
that the body is missing, and takes the processor from the thread that is about to send it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import waitress
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer
from waitress.task import WSGITask

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class _Gathered:
    """Stands for a channel while a task writes its header and the first piece of its body."""

    def __init__(self, channel: HTTPChannel) -> None:
        self.server = channel.server
        self.pieces: list[bytes] = []

    def write_soon(self, data: bytes) -> int:
        self.pieces.append(data)
        return len(data)


class _Task(WSGITask):  # type: ignore[misc] # waitress has no types
    channel: Any

    def write(self, data: bytes) -> None:
        """Send a piece of the body, and before the first one the header."""
        if self.wrote_header or not data:
            super().write(data)
            return
        channel = self.channel
        self.channel = gathered = _Gathered(channel)
        try:
            super().write(data)
        finally:
            self.channel = channel
        channel.write_soon(b"".join(gathered.pieces))


class _Channel(HTTPChannel):  # type: ignore[misc] # as above
    task_class = _Task


def create_server(application: WSGIApplication, **adjustments: Any) -> Any:
    """Return a server that listens, and serves once it is `run`.

    Args:
        application: what it serves.
        adjustments: waitress's settings.
    """
    listening: dict[int, Any] = {}
    server = waitress.create_server(application, map=listening, **adjustments)
    for each in listening.values():
        if isinstance(each, BaseWSGIServer):
            each.channel_class = _Channel
    return server
