"""What plugins write while their calls are under way, kept for their callers; bounded.

All of it is a plugin's claim. A writer never waits: what there is no room for pushes out what came
first, and a reader is told how much it missed. Positions count bytes of text, of both streams
together, as it was decoded: a reader goes on from the position that it was given.
"""

from __future__ import annotations

import codecs
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from runner.quota import OverQuota
from runner.replies import KEEP_SECONDS
from trust.errors import problem

Stream: TypeAlias = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")

MAX_KEPT_BYTES = 1 << 20
"""Text of one call that is kept; the newest."""
MAX_ENDED = 1000
MAX_ENDED_BYTES = 32 << 20
"""Text of calls that have ended, all together."""
SEGMENT_BYTES = 16 << 10
READ_BYTES = 256 << 10
FOLLOWERS = 8
"""Event streams at one time; each takes a thread of the server."""
FOLLOWERS_OF_CALLER = 4


@dataclass(slots=True)
class _Segment:
    stream: int
    start: int
    text: bytearray
    left_out: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that a plugin wrote.

    Attributes:
        stream: where to.
        text: bytes that are not UTF-8 replaced.
        left_out: bytes before it that the reader does not get here; the reply may have them.
        position: where the reader goes on after it.
    """

    stream: Stream
    text: str
    left_out: int
    position: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "stream": self.stream,
            "text": self.text,
            "left_out": self.left_out,
            "position": self.position,
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """What there is from a position on; `ended`: and there will be nothing after it."""

    pieces: tuple[Piece, ...]
    position: int
    ended: bool


class Output:
    """The output of one call; safe to share between threads."""

    def __init__(self, caller: str, most: int = MAX_KEPT_BYTES) -> None:
        """Take whose call it is, and the bound of what is kept, in bytes."""
        self.caller = caller
        self._most = most
        self._changed = threading.Condition()
        self._segments: deque[_Segment] = deque()
        self._position = 0
        self._decoders = [_decoder(), _decoder()]
        self._left_out = [0, 0]
        self._ended = False

    @property
    def kept_bytes(self) -> int:
        """How many bytes of text are kept."""
        with self._changed:
            return self._kept()

    def write(self, stream: int, left_out: int, data: bytes) -> None:
        """Take output, see `runner.sandbox.frames.LiveSink`; never waits for a reader."""
        with self._changed:
            decoder = self._decoders[stream]
            if left_out:
                self._add(stream, decoder.decode(b"", final=True))
                decoder.reset()
                self._left_out[stream] += left_out
            self._add(stream, decoder.decode(data))
            self._changed.notify_all()

    def end(self) -> None:
        """Note that nothing comes any more."""
        with self._changed:
            for stream, decoder in enumerate(self._decoders):
                self._add(stream, decoder.decode(b"", final=True))
            self._ended = True
            self._changed.notify_all()

    def _add(self, stream: int, text: str) -> None:
        data = text.encode()
        if not data:
            return
        left_out, self._left_out[stream] = self._left_out[stream], 0
        last = self._segments[-1] if self._segments else None
        if last and last.stream == stream and not left_out and len(last.text) < SEGMENT_BYTES:
            last.text += data
        else:
            segment = _Segment(stream, self._position, bytearray(data), left_out)
            self._segments.append(segment)
        self._position += len(data)
        while self._kept() > self._most and len(self._segments) > 1:
            self._segments.popleft()

    def _kept(self) -> int:
        return self._position - self._segments[0].start if self._segments else 0

    def read(self, position: int, seconds: float = 0.0) -> Reading:
        """Return what is kept from a position on, in order, at most `READ_BYTES` and a segment.

        Args:
            position: 0, or one that was given before; one that has not come yet means the end.
            seconds: how long to wait for something new, or for the end.
        """
        with self._changed:
            position = min(position, self._position)
            self._changed.wait_for(lambda: self._position > position or self._ended, seconds)
            pieces: list[Piece] = []
            begun = position
            for segment in self._segments:
                if segment.end <= position:
                    continue
                if position - begun >= READ_BYTES:
                    break
                missed = max(0, segment.start - position)
                if segment.start >= position:
                    missed += segment.left_out
                text = bytes(segment.text[max(0, position - segment.start) :])
                position = segment.end
                shown = text.decode("utf-8", "replace")
                pieces.append(Piece(STREAMS[segment.stream], shown, missed, position))
            return Reading(tuple(pieces), position, self._ended and position == self._position)


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")


class Outputs:
    """The outputs of calls under way, and for a while of those that have ended; thread-safe."""

    def __init__(
        self,
        steady: Callable[[], float] = time.monotonic,
        *,
        seconds: float = KEEP_SECONDS,
        most: int = MAX_ENDED,
        most_bytes: int = MAX_ENDED_BYTES,
        followers: int = FOLLOWERS,
        followers_of_caller: int = FOLLOWERS_OF_CALLER,
    ) -> None:
        """Take the clock (seconds) and the bounds: age, count and bytes of those that ended, and
        how many may be followed at one time.
        """
        self._steady = steady
        self._seconds = seconds
        self._most = most
        self._most_bytes = most_bytes
        self._most_followers = (followers, followers_of_caller)
        self._lock = threading.Lock()
        self._running: dict[str, Output] = {}
        self._ended: dict[str, tuple[Output, float, int]] = {}  # in the order of their ends
        self._followers: Counter[str] = Counter()

    def begin(self, request_id: str, caller: str) -> Output:
        """Return the output of a call that begins."""
        with self._lock:
            return self._running.setdefault(request_id, Output(caller))

    def end(self, request_id: str) -> None:
        """Note that a call has ended, if its output is kept at all."""
        with self._lock:
            output = self._running.pop(request_id, None)
            if output is None:
                return
            output.end()
            size = output.kept_bytes
            self._ended[request_id] = (output, self._steady() + self._seconds, size)
            self._tidy()

    def find(self, request_id: str, caller: str) -> Output | None:
        """Return the output of this caller's call; None if none is kept."""
        with self._lock:
            self._tidy()
            kept = self._ended.get(request_id)
            output = kept[0] if kept else self._running.get(request_id)
            return output if output is not None and output.caller == caller else None

    def _tidy(self) -> None:
        now = self._steady()
        while self._ended and next(iter(self._ended.values()))[1] <= now:
            del self._ended[next(iter(self._ended))]
        while self._ended and (
            len(self._ended) > self._most
            or sum(size for _, _, size in self._ended.values()) > self._most_bytes
        ):
            held: Counter[str] = Counter()
            for output, _, size in self._ended.values():
                held[output.caller] += size + 1
            [(greedy, _)] = held.most_common(1)
            del self._ended[next(i for i, e in self._ended.items() if e[0].caller == greedy)]

    @contextmanager
    def following(self, caller: str) -> Iterator[None]:
        """Hold a place for one event stream.

        Raises:
            OverQuota: there is none; the output can be asked for all the same.
        """
        most, most_of_caller = self._most_followers
        with self._lock:
            own, all_ = self._followers[caller], self._followers.total()
            if own >= most_of_caller or all_ >= most:
                raise _too_many(own, 429 if own >= most_of_caller else 503)
            self._followers[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._followers[caller] -= 1


def _too_many(own: int, code: int) -> OverQuota:
    found = problem(
        "output.followers",
        "no more outputs can be followed at one time",
        value=f"{own} by this caller",
        expected="fewer event streams",
        advice="ask for the output without Accept: text/event-stream, again and again",
    )
    return OverQuota(found, code, 1)
