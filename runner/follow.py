"""A call's output as server-sent events (WHATWG HTML, 9.2) and as JSON, from any position on.

Events: `stdout` and `stderr`, whose data is a JSON object with `text` and `left_out` (bytes before
it that are not shown), each with its position as the id; then `end`, with the position. A reader
that lost its connection sends the last id as Last-Event-ID and goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from runner.output import Output
from trust import strictjson

EVENT_STREAM = "text/event-stream"
HEARTBEAT_SECONDS = 5.0
FOLLOW_SECONDS = 300.0
"""How long one connection lasts; longer than a call may take."""
OPENING = b": what the plugin writes, as it comes: its claim, verified by nobody\nretry: 1000\n\n"


def position_of(text: str | None) -> int | None:
    """Read a position: a number of at most 15 digits; None if it is not one. Absent means 0."""
    if text is None or text == "":
        return 0
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None


def _event(name: str, position: int, data: dict[str, object]) -> bytes:
    head = f"id: {position}\nevent: {name}\ndata: ".encode()
    return head + strictjson.dumps(data) + b"\n\n"


def events(
    request_id: str,
    output: Output,
    position: int,
    *,
    heartbeat: float = HEARTBEAT_SECONDS,
    seconds: float = FOLLOW_SECONDS,
) -> Iterator[bytes]:
    """Yield the events from a position on, until the call has ended or the time is up.

    Args:
        request_id: of the call.
        output: its output.
        position: where to begin.
        heartbeat: seconds of silence after which a comment shows that somebody is there.
        seconds: how long it may last.
    """
    yield OPENING
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        reading = output.read(position, heartbeat)
        position = reading.position
        for piece in reading.pieces:
            data: dict[str, object] = {"text": piece.text, "left_out": piece.left_out}
            yield _event(piece.stream, piece.position, data)
        if reading.ended:
            yield _event("end", position, {"request_id": request_id})
            return
        if not reading.pieces:
            yield b": still under way\n\n"


def page(request_id: str, output: Output, position: int) -> dict[str, object]:
    """Return what is there from a position on, as a JSON object."""
    reading = output.read(position)
    return {
        "request_id": request_id,
        "pieces": [piece.as_dict() for piece in reading.pieces],
        "position": reading.position,
        "ended": reading.ended,
    }
