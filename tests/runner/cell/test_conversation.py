"""Many calls on one stream, and no thread that reads it: whoever waits reads for all.

PID 1 is played by the test: these need neither a container nor an engine.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from runner.sandbox.cell import conversation
from runner.sandbox.control import CallStopped, Control
from runner.sandbox.errors import ContainerGone, DeadlinePassed, ProtocolViolation
from runner.sandbox.frames import Response
from runner.sandbox.harness import cell_protocol, protocol
from tests.runner.cell.peer import Peer, request

SOON = 5.0


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as played:
        yield played


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as made:
        yield made


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.001)


def leads(peer: Peer) -> Callable[[], bool]:
    return lambda: peer.container._stream._leader is not None


def calls(
    peer: Peer, pool: ThreadPoolExecutor, count: int, wall_seconds: float = 10.0
) -> tuple[list[Future[Response]], list[tuple[int, bytes, bytes]]]:
    """Begin calls one after the other; return them, and what PID 1 has got of each."""
    futures, got = [], []
    for _ in range(count):
        futures.append(pool.submit(peer.container.call, request(wall_seconds=wall_seconds)))
        got.append(peer.next_call())
        until(leads(peer))
    return futures, got


def log_of_next(peer: Peer) -> bytes:
    """Read a call that has not begun; return a frame with which its plugin writes something."""
    fields = cell_protocol.CALL.unpack(peer.some(cell_protocol.CALL.size))
    peer.some(sum(fields[3:5]))
    peer.called[fields[1]] = fields[-1]
    log = cell_protocol.LOG.pack(cell_protocol.LOG_MAGIC, fields[1], 0, 1, 0, fields[7])
    return log + b"x"


def test_a_call_that_is_alone_reads_its_own_response(peer: Peer, pool: ThreadPoolExecutor) -> None:
    before = set(threading.enumerate())
    (future,), ((number, nonce, _),) = calls(peer, pool, 1)
    assert len(set(threading.enumerate()) - before) == 1, "the call's own thread, and no other"
    peer.answer(number, nonce, b'"done"')
    assert future.result(SOON).payload == b'"done"'
    assert peer.container._stream._leader is None
    assert peer.container.alive()


def test_each_call_gets_its_own_whoever_reads(peer: Peer, pool: ThreadPoolExecutor) -> None:
    futures, got = calls(peer, pool, 4)
    for place in (2, 0, 3, 1):  # the first one leads until it is answered, then others
        number, nonce, _ = got[place]
        peer.answer(number, nonce, b"%d" % place)
        assert futures[place].result(SOON).payload == b"%d" % place
    assert peer.container.alive()


def test_a_call_that_may_not_begin_yet_is_not_asked_to_read(
    peer: Peer, pool: ThreadPoolExecutor
) -> None:
    """It waits for the disk, and would let the others wait with it."""
    recorded = threading.Event()

    def clear() -> None:
        assert recorded.wait(2 * SOON)

    held = pool.submit(peer.container.call, request(), clear=clear)
    assert peer.next_begun(peer.some(cell_protocol.CANCEL.size)) is None
    (first, second), got = calls(peer, pool, 2)
    for future, (number, nonce, _) in zip((first, second), got, strict=True):
        peer.answer(number, nonce)
        assert future.result(SOON / 2).payload == b"1"
    assert not held.done()
    recorded.set()
    number, nonce, _ = peer.next_call()
    peer.answer(number, nonce)
    assert held.result(SOON).payload == b"1"


def test_responses_in_one_piece_are_told_apart(peer: Peer, pool: ThreadPoolExecutor) -> None:
    futures, got = calls(peer, pool, 3)
    peer.end.sendall(b"".join(peer.response(n, nonce, b"%d" % n) for n, nonce, _ in got))
    assert [each.result(SOON).payload for each in futures] == [b"%d" % n for n, _, _ in got]
    assert peer.container.alive()


def test_the_lead_is_passed_on_when_its_call_runs_out_of_time(
    peer: Peer, pool: ThreadPoolExecutor
) -> None:
    (first,), _ = calls(peer, pool, 1, wall_seconds=0.01)
    (second,), ((number, nonce, _),) = calls(peer, pool, 1)
    with pytest.raises(DeadlinePassed):
        first.result(SOON)
    assert not peer.container.alive(), "a container that let a call run late takes no other one"
    peer.answer(number, nonce)
    assert second.result(SOON).payload == b"1"


def test_what_comes_too_late_harms_nobody_else(peer: Peer, pool: ThreadPoolExecutor) -> None:
    seen: list[bytes] = []
    late = pool.submit(
        peer.container.call, request(wall_seconds=0.01, live=lambda *parts: seen.append(parts[2]))
    )
    log = log_of_next(peer)
    number, nonce, _ = peer.next_call()
    (beside,), ((other, others_nonce, _),) = calls(peer, pool, 1)
    with pytest.raises(DeadlinePassed):
        late.result(SOON)
    peer.end.sendall(log)
    peer.answer(number, nonce)
    peer.answer(other, others_nonce)
    assert beside.result(SOON).payload == b"1"
    assert seen == [], "its caller has been told how it ended"
    assert not peer.container.alive()


@pytest.mark.parametrize("place", [0, 1], ids=["who leads", "who does not"])
def test_a_call_that_is_told_to_end_wakes_up_at_once(
    peer: Peer, pool: ThreadPoolExecutor, place: int
) -> None:
    controls = [Control(), Control()]
    futures, got = [], []
    for control in controls:
        futures.append(pool.submit(peer.container.call, request(), control))
        got.append(peer.next_call())
        until(leads(peer))
    told = time.monotonic()
    controls[place].stop()
    assert peer.next_cancel() == got[place][0]
    assert time.monotonic() - told < 0.5
    number, nonce, _ = got[place]
    peer.end.sendall(peer.response(number, nonce, b"", cell_protocol.STOPPED))
    assert futures[place].result(SOON).ending == cell_protocol.STOPPED
    number, nonce, _ = got[1 - place]
    peer.answer(number, nonce)
    assert futures[1 - place].result(SOON).payload == b"1"
    assert peer.container.alive()


def test_what_speaks_unasked_takes_no_call(peer: Peer) -> None:
    assert peer.container.alive()
    peer.end.sendall(b"x")
    until(lambda: not peer.container.alive())
    assert "unasked" in peer.container.surprise
    with pytest.raises(ContainerGone):
        peer.container.call(request())


def test_what_comes_behind_the_last_response_is_found_before_the_next_call(
    peer: Peer, pool: ThreadPoolExecutor
) -> None:
    (future,), ((number, nonce, _),) = calls(peer, pool, 1)
    peer.end.sendall(peer.response(number, nonce) * 2)
    assert future.result(SOON).payload == b"1"
    assert not peer.container.alive()


def test_what_ended_while_nobody_waited_takes_no_call(peer: Peer) -> None:
    peer.end.close()
    assert not peer.container.alive()
    assert "ended" in peer.container.surprise


@pytest.mark.parametrize(
    "wrong",
    [
        lambda number, nonce: Peer.response(number + 7, nonce),
        lambda number, nonce: Peer.response(number, bytes(len(nonce))),
        lambda number, nonce: b"SGXX" + bytes(200),
        lambda number, nonce: Peer.response(number, nonce, b"", 99),
    ],
    ids=["another number", "another nonce", "another magic", "another ending"],
)
def test_what_is_no_response_ends_every_call(
    peer: Peer, pool: ThreadPoolExecutor, wrong: Callable[[int, bytes], bytes]
) -> None:
    futures, got = calls(peer, pool, 3)
    number, nonce, _ = got[1]
    peer.end.sendall(wrong(number, nonce))
    for future in futures:
        with pytest.raises(ProtocolViolation):
            future.result(SOON)
    assert not peer.container.alive()


def test_the_end_of_the_stream_ends_every_call(peer: Peer, pool: ThreadPoolExecutor) -> None:
    futures, _ = calls(peer, pool, 3)
    peer.end.close()
    for future in futures:
        with pytest.raises(ContainerGone):
            future.result(SOON)


def test_a_frame_that_never_ends_does_not_hold_whoever_reads(
    peer: Peer, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "FRAME_SECONDS", 0.05)
    futures, got = calls(peer, pool, 2)
    number, nonce, _ = got[1]
    peer.end.sendall(peer.response(number, nonce)[:-1])
    for future in futures:
        with pytest.raises(ProtocolViolation, match="whole"):
            future.result(SOON)


def test_what_the_stream_does_not_take_is_sent_while_responses_are_read(
    peer: Peer, pool: ThreadPoolExecutor
) -> None:
    """PID 1 writes a large response before it reads on; neither side waits for the other."""
    (first,), ((number, nonce, _),) = calls(peer, pool, 1)
    large = b'"' + b"x" * (3 << 20) + b'"'
    second = pool.submit(peer.container.call, request(large))
    until(lambda: bool(peer.container._stream._unsent))
    peer.answer(number, nonce, large)
    number, nonce, arguments = peer.next_call()
    assert arguments == large
    peer.answer(number, nonce)
    assert first.result(SOON).payload == large
    assert second.result(SOON).payload == b"1"
    assert peer.container.alive()


def test_who_reads_also_sends(peer: Peer, pool: ThreadPoolExecutor) -> None:
    (first,), ((number, nonce, _),) = calls(peer, pool, 1)
    large = b'"' + b"x" * (3 << 20) + b'"'
    second = pool.submit(peer.container.call, request(large))
    until(lambda: bool(peer.container._stream._unsent))
    peer.answer(*peer.next_call()[:2])
    assert second.result(SOON).payload == b"1"
    peer.answer(number, nonce)
    assert first.result(SOON).payload == b"1"


def test_a_call_that_is_not_taken_ends_in_time(peer: Peer, pool: ThreadPoolExecutor) -> None:
    stuck = pool.submit(peer.container.call, request(b"x" * (3 << 20), wall_seconds=0.01))
    with pytest.raises(DeadlinePassed):
        stuck.result(SOON)
    assert not peer.container.alive()


def test_a_call_that_may_not_begin_is_withdrawn(peer: Peer, pool: ThreadPoolExecutor) -> None:
    def refuse() -> None:
        raise RuntimeError("no record")

    refused = pool.submit(peer.container.call, request(), clear=refuse)
    assert peer.next_begun(peer.some(cell_protocol.CANCEL.size)) is None
    number = peer.next_cancel()  # and its arguments were not sent
    nonce = peer.called.pop(number)
    peer.end.sendall(peer.response(number, nonce, b"", cell_protocol.STOPPED))
    with pytest.raises(RuntimeError, match="no record"):
        refused.result(SOON)
    assert peer.container.alive()


def test_a_sink_that_fails_leaves_nobody_waiting(peer: Peer, pool: ThreadPoolExecutor) -> None:
    def fails(stream: int, left_out: int, data: bytes) -> None:
        raise RuntimeError("no room")

    (beside,), _ = calls(peer, pool, 1)
    told = pool.submit(peer.container.call, request(live=fails))
    peer.end.sendall(log_of_next(peer))
    for future in (beside, told):
        with pytest.raises(ContainerGone, match="no room"):
            future.result(SOON)
    assert not peer.container.alive()


def test_letting_go_of_it_ends_every_call_and_closes_once(
    peer: Peer, pool: ThreadPoolExecutor
) -> None:
    futures, _ = calls(peer, pool, 3)
    peer.container.disconnect()
    for future in futures:
        with pytest.raises(ContainerGone):
            future.result(SOON)
    until(lambda: peer.container._stream._wake == -1)
    assert peer.container._warm._socket is None
    peer.container.disconnect()
    with pytest.raises(ContainerGone):
        peer.container.call(request())


def test_nothing_is_closed_under_whoever_reads(peer: Peer, pool: ThreadPoolExecutor) -> None:
    """Another file of the process could come to have the descriptor's number."""
    reads, goes_on = threading.Event(), threading.Event()

    def lingers(stream: int, left_out: int, data: bytes) -> None:
        reads.set()
        goes_on.wait(SOON)

    call = pool.submit(peer.container.call, request(live=lingers))
    peer.end.sendall(log_of_next(peer))
    assert reads.wait(SOON)
    peer.container.disconnect()
    assert peer.container._warm._socket is not None
    goes_on.set()
    with pytest.raises(ContainerGone):
        call.result(SOON)
    assert peer.container._warm._socket is None


def test_many_calls_many_ends(peer: Peer, pool: ThreadPoolExecutor) -> None:
    """Responses in any order, stops before, with and after them: nobody waits for nothing."""
    chance = random.Random(1)
    stops: list[threading.Timer] = []

    def play() -> None:
        held: dict[int, bytes] = {}
        while start := peer.some(cell_protocol.CANCEL.size):
            magic, number = cell_protocol.CANCEL.unpack(start)
            if magic == cell_protocol.CANCEL_MAGIC:
                # or it was answered already
                if nonce := held.pop(number, b"") or peer.called.pop(number, b""):
                    peer.end.sendall(peer.response(number, nonce, b"", cell_protocol.STOPPED))
                continue
            begun = peer.next_begun(start)
            if begun is None:
                continue
            held[begun[0]] = begun[1]
            while held and chance.random() < 0.6:
                number = chance.choice(list(held))
                peer.answer(number, held.pop(number))

    def many() -> set[int]:
        endings = set()
        for _ in range(60):
            control = Control()
            stops.append(threading.Timer(chance.random() * 0.01, control.stop))
            stops[-1].start()
            with suppress(CallStopped):
                endings.add(peer.container.call(request(), control).ending)
        return endings

    playing = pool.submit(play)
    futures = [pool.submit(many) for _ in range(8)]
    endings = set[int]().union(*(future.result(30) for future in futures))
    assert endings == {protocol.RESULT, cell_protocol.STOPPED}
    for timer in stops:
        timer.join()
    assert peer.container.alive(), peer.container.surprise
    peer.container.disconnect()
    playing.result(SOON)
