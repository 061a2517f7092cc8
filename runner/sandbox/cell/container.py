"""One container of one plugin version, and the calls that run in it side by side."""

from __future__ import annotations

import itertools
import secrets
import threading
import time

from runner.sandbox.cell import frames
from runner.sandbox.cell.options import CellHardening
from runner.sandbox.container import GRACE_SECONDS, WarmContainer
from runner.sandbox.control import Control
from runner.sandbox.engine import Engine
from runner.sandbox.errors import ContainerGone, DeadlinePassed, ProtocolViolation
from runner.sandbox.frames import LiveReader, Request, Response, live_reader
from runner.sandbox.harness import cell_protocol, protocol
from trust.wheel import Limits

SETUP_SECONDS = 30.0
"""How long a container may take to compile the wheel and to make its first cell, in seconds."""

STOP_SECONDS = 1.0
"""How long a container may take to end one call, before all of it is ended, in seconds."""


class _Pending:
    """A call that waits for its response."""

    __slots__ = ("answered", "error", "event", "live", "nonce", "response")

    def __init__(self, live: LiveReader | None) -> None:
        self.live = live
        self.nonce = secrets.token_bytes(protocol.NONCE_BYTES)
        self.event = threading.Event()
        """It was answered, or told to end."""
        self.answered = threading.Event()
        self.response: Response | None = None
        self.error: Exception | None = None


class CellContainer(WarmContainer):
    """A container that holds one wheel and takes many calls; make it with `start`, then `set_up`.

    `call` may be used by several threads at one time. Whoever started it must `destroy` it.
    """

    def __init__(self, engine: Engine, container_id: str, hardening: CellHardening) -> None:
        super().__init__(engine, container_id, hardening)
        self.cells = hardening.cells
        self.calls = 0
        self.surprise = ""
        """Why the container must not take another call; "" while nothing odd has happened."""
        self.compiled = False
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._output_bytes = 0
        self._listener: threading.Thread | None = None

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
        if self._socket is None:
            raise ContainerGone("the connection to the engine is closed")
        self._deadline = time.monotonic() + SETUP_SECONDS
        self._socket.settimeout(SETUP_SECONDS)
        try:
            self._socket.sendall(frames.encode_setup(wheel, program, limits, self.cells))
        except TimeoutError:
            raise DeadlinePassed("the container did not take the wheel") from None
        except OSError as error:
            raise ContainerGone(f"the container did not take the wheel: {error}") from error
        self._reader.allow(cell_protocol.DONE.size)
        ready = frames.decode_done(self._reader.take(cell_protocol.DONE.size))
        self.compiled = ready.compiled
        if ready.step == 0:
            self._output_bytes = limits.output_bytes
            self._deadline = 0.0
            self._socket.settimeout(None)
            self._listener = threading.Thread(target=self._listen, name="cells", daemon=True)
            self._listener.start()
        return ready

    def _receive(self, count: int) -> bytes:
        if self._listener is None:
            return super()._receive(count)
        held = self._socket
        if held is None:
            raise ContainerGone("the connection to the engine is closed")
        try:
            return held.recv(count)
        except (OSError, ValueError) as error:
            raise ContainerGone(f"the connection to the engine broke: {error}") from error

    def _listen(self) -> None:
        """Take responses and hand them out until the stream ends or says something odd."""
        error: Exception
        try:
            while True:
                # no more can be on its way than one response of each cell, and the backlog
                most = self.cells * frames.response_bound(self._output_bytes)
                self._reader.allow(most + protocol.MAX_BACKLOG)
                start = self._reader.take(protocol.MAGIC_BYTES)
                if start == cell_protocol.LOG_MAGIC:
                    self._take_log(start)
                    continue
                header = frames.read_header(self._reader, start, self._output_bytes)
                pending = self._waiting(header.number)
                response = frames.read_response(self._reader, header, pending.nonce)
                if pending.live is not None:
                    pending.live.finish(response.stdout, response.stderr)
                if response.killed_for_memory:
                    self.surprise = "the kernel killed a process for memory"
                with self._lock:
                    del self._pending[header.number]
                pending.response = response
                pending.answered.set()
                pending.event.set()
        except Exception as caught:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            error = caught
        self.surprise = self.surprise or f"{type(error).__name__}: {error}"
        with self._lock:
            waiting, self._pending = self._pending, {}
        for pending in waiting.values():
            pending.error = error
            pending.answered.set()
            pending.event.set()

    def _waiting(self, number: int) -> _Pending:
        with self._lock:
            pending = self._pending.get(number)
        if pending is None:
            raise ProtocolViolation(f"a frame of call {number}, which is not")
        return pending

    def _take_log(self, start: bytes) -> None:
        header = frames.read_log(self._reader, start)
        live = self._waiting(header.number).live
        if live is None:
            raise ProtocolViolation(f"a log frame of call {header.number}, which asked for none")
        live.check(header.stream, header.length, header.left_out, header.tag)
        live.give(header.stream, header.left_out, self._reader.take(header.length))

    def call(self, request: Request, control: Control | None = None) -> Response:
        """Send one call and wait for its response; safe to use from several threads.

        Args:
            request: the call.
            control: ends this call, and no other one in the container.

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
        deadline = time.monotonic() + request.wall_seconds + GRACE_SECONDS
        with self._lock:
            if self._listener is None or not self._listener.is_alive():
                raise ContainerGone("the container takes no calls")
            self._pending[number] = pending
            self.calls += 1
        try:
            with (control or Control()).attached(pending.event.set):
                self._send(frame)
                if not pending.event.wait(max(0.0, deadline - time.monotonic())):
                    self.surprise = self.surprise or "a call was not answered in time"
                    raise DeadlinePassed("the wall clock ran out")
            if not pending.answered.is_set():
                self._end_call(number, pending)
        except BaseException:
            self._forget(number)
            raise
        if pending.response is None:
            raise pending.error or ContainerGone("the container ended")
        return pending.response

    def _send(self, frame: bytes) -> None:
        try:
            with self._sending:
                if self._socket is None:
                    raise ContainerGone("the connection to the engine is closed")
                self._socket.sendall(frame)
        except OSError as error:
            raise ContainerGone(f"the container did not take the call: {error}") from error

    def _end_call(self, number: int, pending: _Pending) -> None:
        """Have one call's cell killed; where that is not confirmed, the container goes."""
        self._send(frames.encode_cancel(number))
        if not pending.answered.wait(STOP_SECONDS):
            self.surprise = self.surprise or "a call did not end when it was told to"
            self.kill()
            pending.answered.wait(STOP_SECONDS)

    def _forget(self, number: int) -> None:
        with self._lock:
            self._pending.pop(number, None)

    def alive(self) -> bool:
        """Whether the container takes calls."""
        return self._listener is not None and self._listener.is_alive() and not self.surprise

    def disconnect(self) -> None:
        """Close the stream, which ends the container and every call in it."""
        if self._listener is not None:
            self.kill()
        super().disconnect()
