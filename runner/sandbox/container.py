"""One single-use container, from `start` to `destroy`."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol, Self

from runner.sandbox import frames
from runner.sandbox.engine import ENGINE_ERRORS, Engine
from runner.sandbox.errors import (
    ContainerGone,
    DeadlinePassed,
    ProtocolViolation,
    unavailable,
)
from runner.sandbox.harness import protocol
from runner.sandbox.options import Hardening

START_SECONDS = 20.0
"""How long a started container may take until it says READY, in seconds."""

GRACE_SECONDS = 0.5
"""How much later than the supervisor's wall clock the runner's own ends the call, in seconds."""


class Removes(Protocol):
    """What can end a container."""

    def remove(self, container: str) -> bool:
        """End and remove a container; return whether it is gone."""


class WarmContainer:
    """A started container that waits for its one call; make it with `start`.

    `call` may be used once. Whoever started it must `destroy` it, whatever happened.
    """

    def __init__(self, owner: Removes, container_id: str, hardening: Hardening) -> None:
        self.id = container_id
        self.hardening = hardening
        self.born = time.monotonic()
        self._owner = owner
        self._attached: Any = None
        self._socket: socket.socket | None = None
        self._deadline = 0.0
        self._reader = frames.StreamReader(self._receive, len(protocol.READY))
        self._used = False
        self._failed: ContainerGone | DeadlinePassed | None = None
        self._nonce = b""
        self._live: frames.LiveReader | None = None
        self._begun = False
        self.answered = False
        """Whether it has given its one response, after which nothing runs in it."""

    @classmethod
    def start(
        cls,
        engine: Engine,
        image: str,
        hardening: Hardening,
        labels: dict[str, str],
        *,
        seconds: float = START_SECONDS,
    ) -> Self:
        """Create, attach and start a container, and wait until it is ready.

        Args:
            engine: where.
            image: the runtime image's id.
            hardening: every control.
            labels: what the container is marked with.
            seconds: how long it may take to become ready.

        Raises:
            SandboxUnavailable: the engine refused or does not answer, or the container did not
                become ready.
        """
        config = hardening.container_config(image, labels)
        try:
            container_id = str(engine.client.create_container_from_config(config)["Id"])
        except ENGINE_ERRORS as error:
            raise unavailable("create", "the engine made no container", value=error) from error
        warm = cls(engine, container_id, hardening)
        try:
            warm._attach(engine)
            engine.client.start(container_id)
            warm._deadline = time.monotonic() + seconds
            if warm._reader.take(len(protocol.READY)) != protocol.READY:
                raise ProtocolViolation("the container did not say READY")
            warm._reader.ready = True
        except (ContainerGone, DeadlinePassed, ProtocolViolation, *ENGINE_ERRORS) as error:
            told = bytes(warm._reader.stderr).decode("utf-8", "replace").strip()
            warm.destroy()
            raise unavailable(
                "start", "the container did not become ready", value=f"{error} {told}".strip()
            ) from error
        return warm

    def _attach(self, engine: Engine) -> None:
        parameters = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = engine.client.attach_socket(self.id, parameters)
        self._attached = attached
        # a SocketIO around the hijacked connection; nothing can have been read ahead, because
        # the container has not been started yet
        self._socket = getattr(attached, "_sock", attached)

    def _receive(self, count: int) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0 or self._socket is None:
            raise DeadlinePassed("the wall clock ran out")
        self._socket.settimeout(left)
        try:
            return self._socket.recv(count)
        except TimeoutError:
            raise DeadlinePassed("the wall clock ran out") from None
        except OSError as error:
            raise ContainerGone(f"the connection to the engine broke: {error}") from error

    def alive(self) -> bool:
        """Whether the stream is still open and silent, as that of a waiting container must be."""
        if self._socket is None or self._used:
            return False
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def prepare(self, request: frames.Request) -> None:
        """Send the request but for its arguments; until they come, nothing of the plugin runs.

        What goes wrong with the container is raised by `call`.

        Raises:
            ValueError: the request does not fit the protocol, or the container was used before.
        """
        if self._used or self._socket is None:
            raise ValueError("a container takes one call")
        self._used = True
        self._nonce = secrets.token_bytes(protocol.NONCE_BYTES)
        self._live = frames.live_reader(request)
        frame = frames.encode_request(request, self._nonce, self._live)
        self._hand_over(frame, request.wall_seconds + GRACE_SECONDS)

    def _hand_over(self, data: bytes, seconds: float) -> None:
        try:
            if self._socket is None:
                raise OSError("it was disconnected")
            self._socket.settimeout(seconds)
            self._socket.sendall(data)
        except TimeoutError:
            self._failed = DeadlinePassed("the container did not take the request")
        except OSError as error:
            self._failed = ContainerGone(f"the container did not take the request: {error}")

    def call(self, request: frames.Request) -> frames.Response:
        """Let the call begin, and read the response before the wall clock runs out.

        Sends the whole request, unless `prepare` has sent all but the arguments. The deadline is
        `request.wall_seconds` and a short grace, in which the supervisor can say
        itself that the time is up and hand over what the plugin had written by then.

        Raises:
            ContainerGone: the container ended without a response.
            DeadlinePassed: the runner's own clock ran out.
            ProtocolViolation: what came is not a response to this request.
            ValueError: the request does not fit the protocol, or the container was used before.
        """
        if not self._nonce:
            self.prepare(request)
        elif self._begun:
            raise ValueError("a container takes one call")
        self._begun = True
        live = self._live
        self._deadline = time.monotonic() + request.wall_seconds + GRACE_SECONDS
        if self._failed is None:
            self._hand_over(request.arguments, request.wall_seconds + GRACE_SECONDS)
        if self._failed is not None:
            raise self._failed
        most = frames.response_bound(request.output_bytes) + (live.bound if live else 0)
        self._reader.allow(most)
        response = frames.read_response(self._reader, self._nonce, request.output_bytes, live)
        self.answered = True
        return response

    def give_stream(
        self, receive: Callable[[int], bytes]
    ) -> tuple[socket.socket, frames.StreamReader]:
        """Give the stream to a protocol of many calls; this one's single call is gone with it.

        Args:
            receive: what the reader gets the stream's bytes by from here on.

        Raises:
            ContainerGone: the stream is closed.
        """
        if self._socket is None:
            raise ContainerGone("the connection to the container is closed")
        self._used = True
        self._socket.settimeout(None)
        self._reader._receive = receive
        return self._socket, self._reader

    def kill(self) -> None:
        """End the container now, without waiting; whoever holds it still has to destroy it."""
        held = self._socket
        if held is not None:
            # closing a socket alone does not wake the thread that reads from it
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    def disconnect(self) -> None:
        """Close the stream; with `stdin_once` that alone ends the container."""
        for end in (self._socket, self._attached):
            if end is not None:
                try:
                    end.close()
                except OSError:  # it is gone already, which is what we want
                    continue
        self._socket = self._attached = None

    def destroy(self) -> bool:
        """Close the stream, kill and remove; return whether the engine agreed."""
        self.disconnect()
        return self._owner.remove(self.id)
