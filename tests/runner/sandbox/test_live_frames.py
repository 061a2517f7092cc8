"""Log frames: whose output they may be, how much, and when. No engine needed."""

from __future__ import annotations

from typing import Any

import pytest

from runner.sandbox import frames
from runner.sandbox.cell import frames as cell_frames
from runner.sandbox.cell.container import _Pending
from runner.sandbox.errors import ProtocolViolation
from runner.sandbox.harness import cell_protocol, protocol
from runner.sandbox.harness.live import Live
from tests.runner.cell.peer import Peer
from tests.runner.sandbox.test_frames import CAP, NONCE, chunk, reader, response

Seen = list[tuple[int, int, bytes]]


class Pipe:
    """A pipe to the runner that takes what it has room for."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.frames: list[bytes] = []

    def offer(self, frame: bytes) -> bool:
        taken = len(frame) <= self.room
        if taken:
            self.frames.append(frame)
            self.room -= len(frame)
        return taken

    def pump(self) -> None:
        """Nothing is ever left."""


def live(seen: Seen | None = None, *, most: int = CAP) -> frames.LiveReader:
    found = [] if seen is None else seen
    return frames.LiveReader(lambda *parts: found.append(parts), most, 1.0)


def log(made: frames.LiveReader, data: bytes, **changes: Any) -> bytes:
    parts = {
        "magic": protocol.LOG_MAGIC,
        "stream": 0,
        "length": len(data),
        "left_out": 0,
        "tag": made.tag,
    } | changes
    return protocol.LOG.pack(*parts.values()) + data


def read(data: bytes, made: frames.LiveReader | None) -> frames.Response:
    return frames.read_response(reader([chunk(data)]), NONCE, CAP, made)


def test_output_comes_before_the_response_and_the_rest_with_it() -> None:
    seen: Seen = []
    made = live(seen)
    data = log(made, b"o") + log(made, b"er", stream=1) + response()
    assert read(data, made).stdout == b"out"
    assert seen == [(0, 0, b"o"), (1, 0, b"er"), (0, 0, b"ut"), (1, 0, b"r")]


def test_what_was_left_out_is_not_given_twice() -> None:
    seen: Seen = []
    made = live(seen)
    read(log(made, b"t", left_out=2) + response(), made)
    assert seen == [(0, 2, b"t"), (1, 0, b"err")]


@pytest.mark.parametrize(
    "changes",
    [
        {"tag": bytes(protocol.TAG_BYTES)},
        {"tag": NONCE[: protocol.TAG_BYTES]},
        {"stream": 2},
        {"length": 0},
        {"length": CAP + 1},
        {"left_out": CAP},
        {"length": 0xFFFFFFFF},
        {"magic": b"SGL2"},
        {"magic": cell_protocol.LOG_MAGIC},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_any_other_log_frame_is_refused(changes: dict[str, Any]) -> None:
    seen: Seen = []
    made = live(seen)
    with pytest.raises(ProtocolViolation):
        read(log(made, b"x", **changes) + response(), made)
    assert seen == []


def test_log_frames_are_refused_where_none_were_asked_for_and_after_the_response() -> None:
    made = live()
    with pytest.raises(ProtocolViolation):
        read(log(made, b"o") + response(), None)
    with pytest.raises(ProtocolViolation):
        read(response() + log(made, b"o"), made)


def test_log_frames_are_bounded_in_bytes_and_in_number() -> None:
    made = live()
    with pytest.raises(ProtocolViolation):
        read(log(made, b"x" * 600) + log(made, b"x" * 401, stream=1) + response(), made)
    made = live()
    many = log(made, b"x") * (made.bound // protocol.LOG.size + 1)
    with pytest.raises(ProtocolViolation, match="log frame of stream"):
        frames.read_response(reader([chunk(many)]), NONCE, CAP, made)


def test_log_frames_with_more_than_the_response_are_refused() -> None:
    made = live()
    with pytest.raises(ProtocolViolation, match="more than the plugin wrote"):
        read(log(made, b"longer") + response(), made)


def test_the_tag_tells_nothing_of_the_nonce() -> None:
    request = frames.Request(b"w", "m", "n", b"{}", 1.0, 1, CAP, lambda *_: None)
    made = frames.live_reader(request)
    assert made is not None
    header = frames.encode_request(request, NONCE, made)[: protocol.REQUEST.size]
    assert header.count(NONCE) == 1
    assert NONCE not in log(made, b"x")
    assert made.tag != live().tag


def cell_log(number: int, tag: bytes, data: bytes) -> bytes:
    header = cell_protocol.LOG.pack(cell_protocol.LOG_MAGIC, number, 0, len(data), 0, tag)
    return header + data


def test_a_cell_cannot_write_into_another_call_s_output() -> None:
    seen: dict[int, Seen] = {1: [], 2: []}
    with Peer() as peer:
        container = peer.container
        calls = {number: _Pending(live(seen[number])) for number in (1, 2)}
        container._pending = dict(calls)
        one, two = (calls[number].live for number in (1, 2))
        assert one is not None
        assert two is not None

        def take(data: bytes) -> None:
            container._stream.reader = reader([chunk(data)])
            container._take_log(container._stream.reader.take(protocol.MAGIC_BYTES))

        take(cell_log(1, one.tag, b"mine"))
        for number, tag in ((2, one.tag), (1, two.tag), (3, one.tag)):
            with pytest.raises(ProtocolViolation):
                take(cell_log(number, tag, b"forged"))
        assert seen == {1: [(0, 0, b"mine")], 2: []}


def test_a_cell_s_call_carries_its_tag() -> None:
    request = frames.Request(b"w", "m", "n", b"{}", 1.0, 1, CAP, lambda *_: None)
    made = frames.live_reader(request)
    assert made is not None
    frame = cell_frames.encode_call(request, 7, NONCE, made)
    fields = cell_protocol.CALL.unpack(frame[: cell_protocol.CALL.size])
    assert fields[-3:] == (protocol.LIVE, made.tag, NONCE)
    silent = cell_frames.encode_call(request, 7, NONCE)
    fields = cell_protocol.CALL.unpack(silent[: cell_protocol.CALL.size])
    assert fields[-3:] == (0, bytes(protocol.TAG_BYTES), NONCE)


def packed(stream: int, left_out: int, data: bytes) -> bytes:
    return b"%d %d %s" % (stream, left_out, data)


def test_small_writes_are_gathered_and_never_held_back_for_long() -> None:
    pipe = Pipe()
    made = Live(pipe, packed)  # type: ignore[arg-type]  # it has what Live needs
    made.take(0, b"at once", 10.0)
    made.take(0, b"a", 10.01)
    made.take(1, b"b", 10.02)
    made.tick(10.03)
    assert pipe.frames == [b"0 0 at once"]
    made.tick(10.0 + protocol.LOG_SECONDS)
    assert pipe.frames[1:] == [b"0 0 a", b"1 0 b"]
    made.take(0, b"x" * protocol.LOG_BYTES, 10.0 + protocol.LOG_SECONDS)
    assert len(pipe.frames) == 4


def test_what_there_is_no_room_for_is_left_out_and_said() -> None:
    pipe = Pipe(room=5)
    made = Live(pipe, packed)  # type: ignore[arg-type]  # it has what Live needs
    made.take(0, b"no room", 1.0)
    made.take(0, b"again", 2.0)
    pipe.room = 100
    made.take(0, b"!", 3.0)
    assert pipe.frames == [b"0 12 !"]
