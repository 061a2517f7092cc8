"""The stream of a container that answers many calls: one thread reads it for all who wait.

There is no thread for it. Whoever waits for a response and finds nobody reading leads: it reads
frames, hands each to the call that it belongs to, and passes the lead on when its own call has
ended. What a thread sends and the stream does not take at once, the leader sends for it. So a call
that is alone is woken by its own response, and by nothing before.

While no call waits, nobody reads. `silent` then says whether the stream is as it must be.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable

from runner.sandbox.container import WarmContainer
from runner.sandbox.errors import ContainerGone, DeadlinePassed, ProtocolViolation

FRAME_SECONDS = 5.0
"""How long a frame that has begun may take to arrive whole; PID 1 writes each in one go."""

_logger = logging.getLogger(__name__)


class Waiter:
    """Somebody who waits for something to arrive; `Conversation` sets what is here."""

    __slots__ = ("done", "error", "event", "stopping", "waits")

    def __init__(self) -> None:
        self.event = threading.Event()
        self.done = False
        """What it waits for has arrived, or never will: then there is `error`."""
        self.stopping = False
        """It was told to wait no longer."""
        self.waits = False
        """It is in `wait` now, and can be asked to lead."""
        self.error: Exception | None = None


class Conversation:
    """Reads and writes frames for many threads; safe to share between them."""

    def __init__(self, warm: WarmContainer, take_frame: Callable[[], Waiter | None]) -> None:
        """Take the stream of a container that has said READY.

        Args:
            warm: the container; it takes no call of its own any more.
            take_frame: reads one frame from `reader`, and returns whose wait it ends, if any's;
                one thread at a time calls it. What it raises ends the conversation.

        Raises:
            ContainerGone: the stream is closed.
        """
        self._warm = warm
        self._take_frame = take_frame
        self._socket, self.reader = warm.give_stream(self._receive)
        self._lock = threading.Lock()
        self._waiting: dict[Waiter, None] = {}
        self._leader: Waiter | None = None
        self._over: Exception | None = None
        self._closing = False
        self._unsent = bytearray()
        self._frame_end = 0.0
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._incoming = select.poll()
        self._incoming.register(self._socket, select.POLLIN)
        self._anything = select.poll()
        self._anything.register(self._wake, select.POLLIN)
        self._asked_for = 0

    @property
    def over(self) -> Exception | None:
        """Why nothing is read any more; None while it is."""
        return self._over

    def exchange(self, data: bytes, size: int, seconds: float) -> bytes:
        """Send something and return the `size` bytes that answer it, before anybody waits.

        Raises:
            ContainerGone, DeadlinePassed, ProtocolViolation: no answer.
        """
        self._frame_end = time.monotonic() + seconds
        self._socket.settimeout(seconds)
        try:
            self._socket.sendall(data)
            self._socket.settimeout(None)
        except TimeoutError:
            raise DeadlinePassed("the container did not take the wheel") from None
        except OSError as error:
            raise ContainerGone(f"the container did not take the wheel: {error}") from error
        self.reader.allow(size)
        return self.reader.take(size)

    def enter(self, waiter: Waiter) -> None:
        """Begin to wait; `leave` in any case.

        Raises:
            ContainerGone: nothing is read any more.
        """
        with self._lock:
            if self._over is not None:
                raise ContainerGone(f"the container takes no calls: {self._over}")
            self._waiting[waiter] = None

    def alone(self, waiter: Waiter) -> bool:
        """Whether nobody else waits."""
        with self._lock:
            return len(self._waiting) == 1 and waiter in self._waiting

    def leave(self, waiter: Waiter) -> None:
        """Wait no longer, whatever has come of it; somebody else leads, if nobody does."""
        with self._lock:
            self._waiting.pop(waiter, None)
            if self._leader is None:
                for other in self._waiting:
                    if other.waits:
                        other.event.set()
                        break

    def send(self, frame: bytes) -> None:
        """Send a frame whole, and without waiting: the leader sends what is left of it.

        Raises:
            ContainerGone: the stream takes nothing.
        """
        with self._lock:
            if self._over is not None:
                raise ContainerGone(f"the container takes no calls: {self._over}")
            self._unsent += frame
            self._push()
            if self._unsent and self._leader is not None:
                os.eventfd_write(self._wake, 1)

    def _push(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent, socket.MSG_DONTWAIT)]
        except BlockingIOError:
            return
        except OSError as error:
            raise ContainerGone(f"the container did not take the call: {error}") from error

    def stop(self, waiter: Waiter) -> None:
        """Tell who waits to wait no longer; called by another thread."""
        with self._lock:
            waiter.stopping = True
            if self._leader is waiter:
                os.eventfd_write(self._wake, 1)
            else:
                waiter.event.set()

    def wait(self, waiter: Waiter, deadline: float) -> bool:
        """Wait until it is done or told to stop; return whether it was, in time.

        Args:
            waiter: who has entered.
            deadline: on the monotonic clock.
        """
        while True:
            with self._lock:
                waiter.waits = not (waiter.done or waiter.stopping)
                if not waiter.waits:
                    return True
                leads = self._leader is None
                if leads:
                    self._leader = waiter
                else:
                    waiter.event.clear()
            if leads:
                try:
                    self._lead(waiter, deadline)
                finally:
                    self._step_down()
            else:
                waiter.event.wait(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                return self._no_longer(waiter)

    def _no_longer(self, waiter: Waiter) -> bool:
        with self._lock:
            waiter.waits = False
            return waiter.done or waiter.stopping

    def _lead(self, waiter: Waiter, deadline: float) -> None:
        try:
            while not (waiter.done or waiter.stopping):
                if not self.reader.pending and not self._readable(deadline):
                    if time.monotonic() >= deadline:
                        return
                    continue
                self._frame_end = time.monotonic() + FRAME_SECONDS
                ended = self._take_frame()
                if ended is not None:
                    self._finish(ended)
        except DeadlinePassed:
            self.end(ProtocolViolation("a frame of the container was not whole in time"))
        except (ContainerGone, ProtocolViolation) as error:
            self.end(error)
        except BaseException as error:
            # whoever else waits must hear of it, whatever it is
            self.end(ContainerGone(f"its stream was not read on: {type(error).__name__}: {error}"))
            if not isinstance(error, Exception):
                raise
            _logger.exception("the stream of a container of cells is not read on")

    def _readable(self, deadline: float) -> bool:
        """Wait until the stream has something, or somebody wants something; send what is unsent."""
        asked_for = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        if asked_for != self._asked_for:
            self._anything.register(self._socket, asked_for)
            self._asked_for = asked_for
        found = False
        left = max(0.0, deadline - time.monotonic())
        for fd, events in self._anything.poll(left * 1000):
            if fd == self._wake:
                os.eventfd_read(self._wake)
                continue
            if events & select.POLLOUT:
                with self._lock:
                    self._push()
            found = found or events & ~select.POLLOUT != 0
        return found

    def _receive(self, count: int) -> bytes:
        while True:
            try:
                return self._socket.recv(count, socket.MSG_DONTWAIT)
            except BlockingIOError:
                left = self._frame_end - time.monotonic()
                if left <= 0:
                    raise DeadlinePassed("the container did not answer in time") from None
                self._incoming.poll(left * 1000)
            except OSError as error:
                raise ContainerGone(f"the connection to the container broke: {error}") from error

    def _finish(self, waiter: Waiter) -> None:
        with self._lock:
            self._waiting.pop(waiter, None)
            waiter.done = True
            if waiter is not self._leader:
                waiter.event.set()

    def _step_down(self) -> None:
        with self._lock:
            self._leader = None
            if self._closing:
                self._let_go()

    def end(self, error: Exception) -> None:
        """Let nobody wait any longer: nothing that comes is read from now on."""
        with self._lock:
            self._over = self._over or error
            waiting, self._waiting = self._waiting, {}
            for waiter in waiting:
                waiter.error = error
                waiter.done = True
                waiter.event.set()
        self._warm.kill()

    def silent(self) -> bool:
        """Whether the stream is open, and has nothing to say while nobody waits.

        While somebody does, who reads finds out.
        """
        with self._lock:
            if self._over is not None:
                return False
            if self._waiting or self._leader is not None:
                return True
            heard = self.reader.pending
            if not heard and not self._incoming.poll(0):
                return True
            try:
                heard = heard or len(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            except OSError:
                heard = 0
            if heard:
                self._over = ProtocolViolation("the container spoke unasked")
            else:
                self._over = ContainerGone("the container's stream ended")
        self._warm.kill()
        return False

    def close(self) -> None:
        """End it, and the container with it; whoever reads is woken first."""
        self.end(ContainerGone("the container was let go"))
        with self._lock:
            self._closing = True
            if self._leader is None:
                self._let_go()

    def _let_go(self) -> None:
        self._warm.disconnect()
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1
