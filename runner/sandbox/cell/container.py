"""One container of one plugin version, and the calls that run in it side by side."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import time
from collections.abc import Callable

from runner.sandbox.cell import frames
from runner.sandbox.cell.conversation import Conversation, Waiter
from runner.sandbox.container import GRACE_SECONDS, WarmContainer
from runner.sandbox.control import Control
from runner.sandbox.errors import ContainerGone, DeadlinePassed, ProtocolViolation
from runner.sandbox.frames import LiveReader, Request, Response, live_reader
from runner.sandbox.harness import cell_protocol, protocol
from trust.wheel import Limits

SETUP_SECONDS = 30.0
"""How long a container may take to compile the wheel and to make its first cell, in seconds."""

STOP_SECONDS = 1.0
"""How long a container may take to end one call, before all of it is ended, in seconds."""


class _Pending(Waiter):
    """A call that waits for its response."""

    __slots__ = ("late", "live", "nonce", "response")

    def __init__(self, live: LiveReader | None) -> None:
        super().__init__()
        self.live = live
        self.nonce = secrets.token_bytes(protocol.NONCE_BYTES)
        self.response: Response | None = None
        self.late = False
        """Nobody waits for it any more; what still comes of it is read for the others' sake."""


class CellContainer:
    """A container that holds one wheel and takes many calls: `set_up` comes first.

    `call` may be used by several threads at one time. Whoever made it must `destroy` it.
    """

    answered = False
    """For the reaper: as long as its stream is open, something may run in it."""

    def __init__(self, warm: WarmContainer, cells: int) -> None:
        """Take over a container that was started for this level, by whichever driver.

        Args:
            warm: the container.
            cells: calls that may run in it at one time.

        Raises:
            ContainerGone: its stream is closed.
        """
        self.id = warm.id
        self.born = warm.born
        self.cells = cells
        self.calls = 0
        self.surprise = ""
        """Why the container must not take another call; "" while nothing odd has happened."""
        self.compiled = False
        self._warm = warm
        self._stream = Conversation(warm, self._take_frame)
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._output_bytes = 0

    def set_up(self, wheel: bytes, program: bytes, limits: Limits) -> frames.Ready:
        """Hand over the wheel and wait until the first cell is ready, or has failed.

        Args:
            wheel: the verified bytes.
            program: the cells' seccomp filter, as the kernel takes it.
            limits: of each call.

        Raises:
            ContainerGone, DeadlinePassed, ProtocolViolation: no answer, or none that is valid.
            ValueError: the wheel does not fit the protocol.
        """
        frame = frames.encode_setup(wheel, program, limits, self.cells)
        done = self._stream.exchange(frame, cell_protocol.DONE.size, SETUP_SECONDS)
        ready = frames.decode_done(done)
        self.compiled = ready.compiled
        self._output_bytes = limits.output_bytes
        return ready

    def _take_frame(self) -> _Pending | None:
        """Read one frame; return the call that it answers, if it answers one."""
        reader = self._stream.reader
        # no more can be on its way than one response of each cell, and the backlog
        most = self.cells * frames.response_bound(self._output_bytes)
        reader.allow(most + protocol.MAX_BACKLOG)
        start = reader.take(protocol.MAGIC_BYTES)
        if start == cell_protocol.LOG_MAGIC:
            self._take_log(start)
            return None
        header = frames.read_header(reader, start, self._output_bytes)
        pending = self._waiting(header.number)
        response = frames.read_response(reader, header, pending.nonce)
        if pending.live is not None and not pending.late:
            pending.live.finish(response.stdout, response.stderr)
        if response.killed_for_memory:
            self.surprise = "the kernel killed a process for memory"
        self._pending.pop(header.number, None)
        pending.response = response
        return pending

    def _waiting(self, number: int) -> _Pending:
        pending = self._pending.get(number)
        if pending is None:
            raise ProtocolViolation(f"a frame of call {number}, which is not")
        return pending

    def _take_log(self, start: bytes) -> None:
        reader = self._stream.reader
        header = frames.read_log(reader, start)
        pending = self._waiting(header.number)
        live = pending.live
        if live is None:
            raise ProtocolViolation(f"a log frame of call {header.number}, which asked for none")
        live.check(header.stream, header.length, header.left_out, header.tag)
        data = reader.take(header.length)
        if not pending.late:
            live.give(header.stream, header.left_out, data)

    def call(
        self,
        request: Request,
        control: Control | None = None,
        ask: Callable[[], None] = lambda: None,
        clear: Callable[[], float | None] = lambda: None,
    ) -> Response:
        """Send one call and wait for its response; safe to use from several threads.

        Args:
            request: the call.
            control: ends this call, and no other one in the container.
            ask: begins what `clear` waits for; called when all that can be sent before is at hand.
            clear: returns when the call may begin, or raises if it must not, which is raised.
                Until then a cell has all but the arguments. It may say how many seconds the call
                then has, where that is less than the request says.

        Raises:
            CallStopped: it was told to end before it was sent.
            ContainerGone: the container ended without a response.
            DeadlinePassed: the runner's own clock ran out.
            ProtocolViolation: what came is not a response to any call.
            ValueError: the request does not fit the protocol.
        """
        pending = _Pending(live_reader(request))
        number = next(self._numbers) & 0xFFFFFFFF
        frame = frames.encode_call(request, number, pending.nonce, pending.live)
        self._stream.enter(pending)
        self._pending[number] = pending
        self.calls = number
        begun = held = False
        try:
            # where others are at it, two wake-ups cost them more than they bring this one
            held = self._stream.alone(pending)
            ask()
            if held:
                self._stream.send(frame)
            seconds = clear() or request.wall_seconds
            with (control or Control()).attached(lambda: self._stream.stop(pending)):
                begun = True
                go = frames.encode_go(number, request.arguments)
                self._stream.send(go if held else frame + go)
                deadline = time.monotonic() + seconds + GRACE_SECONDS
                if not self._stream.wait(pending, deadline):
                    self.surprise = self.surprise or "a call was not answered in time"
                    pending.late = True
                    raise DeadlinePassed("the wall clock ran out")
            if not pending.done:
                self._end_call(number, pending)
        except BaseException:
            if held and not begun:
                with contextlib.suppress(ContainerGone):
                    self._end_call(number, pending)
            raise
        finally:
            if not pending.late:
                self._pending.pop(number, None)
            self._stream.leave(pending)
        if pending.response is None:
            raise pending.error or ContainerGone("the container ended")
        return pending.response

    def _end_call(self, number: int, pending: _Pending) -> None:
        """Have one call's cell killed; where that is not confirmed, the container goes."""
        pending.stopping = False  # from here on it waits for the answer alone
        self._stream.send(frames.encode_cancel(number))
        if not self._stream.wait(pending, time.monotonic() + STOP_SECONDS):
            self.surprise = self.surprise or "a call did not end when it was told to"
            self.kill()
            self._stream.wait(pending, time.monotonic() + STOP_SECONDS)

    def alive(self) -> bool:
        """Whether the container takes calls; one that ended or spoke unasked takes none."""
        if not self.surprise and not self._stream.silent():
            self.surprise = str(self._stream.over)
        return not self.surprise

    def kill(self) -> None:
        """End the container now, and every call in it, without waiting."""
        self._warm.kill()

    def disconnect(self) -> None:
        """Close the stream, which ends the container and every call in it."""
        self._stream.close()

    def destroy(self) -> bool:
        """Close the stream, kill and remove; return whether it is gone."""
        self.disconnect()
        return self._warm.destroy()
