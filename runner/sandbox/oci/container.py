"""A warm container without an engine: its stream is a socket pair, not a hijacked connection."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import Protocol

from runner.sandbox.container import START_SECONDS, WarmContainer
from runner.sandbox.errors import (
    ContainerGone,
    DeadlinePassed,
    ProtocolViolation,
    SandboxUnavailable,
    unavailable,
)
from runner.sandbox.frames import MAX_STARTUP_STDERR, StreamReader
from runner.sandbox.harness import protocol
from runner.sandbox.oci.runtime import Process
from runner.sandbox.options import Hardening

CHUNK = 1 << 16


class PlainReader(StreamReader):
    """A container's stdout as it comes: nobody frames it, and stderr is another descriptor."""

    def _fill(self) -> None:
        data = self._some(min(CHUNK, self._room + 1))
        self._room -= len(data)
        if self._room < 0:
            raise ProtocolViolation("the container wrote more than one response may have")
        self._stdout += data


class Launches(Protocol):
    """What starts and removes containers: the driver."""

    def launch(
        self, container: str, hardening: Hardening, stream: socket.socket, errors: int
    ) -> Process:
        """Start the container's first process on those descriptors; raises SandboxUnavailable."""

    def remove(self, container: str) -> bool:
        """End and remove a container; return whether it is gone."""


class OciContainer(WarmContainer):
    """A started container that waits for its one call; make it with `launch`."""

    def __init__(self, driver: Launches, container: str, hardening: Hardening) -> None:
        super().__init__(driver, container, hardening)
        self._reader = PlainReader(self._receive, len(protocol.READY))
        self._process: Process | None = None

    @classmethod
    def launch(
        cls,
        driver: Launches,
        container: str,
        hardening: Hardening,
        *,
        seconds: float = START_SECONDS,
    ) -> OciContainer:
        """Start a container and wait until it is ready.

        Raises:
            SandboxUnavailable: the runtime refused, or the container did not become ready.
        """
        warm = cls(driver, container, hardening)
        ours, theirs = socket.socketpair()
        told, errors = os.pipe()
        try:
            warm._socket = ours
            try:
                warm._process = driver.launch(container, hardening, theirs, errors)
            finally:
                # from here on only the container holds its ends
                theirs.close()
                os.close(errors)
            warm._deadline = time.monotonic() + seconds
            if warm._reader.take(len(protocol.READY)) != protocol.READY:
                raise ProtocolViolation("the container did not say READY")
        except (ContainerGone, DeadlinePassed, ProtocolViolation, SandboxUnavailable) as error:
            warm.destroy()
            said = _said(told)
            if isinstance(error, SandboxUnavailable) and not said:
                raise
            raise unavailable(
                "start", "the container did not become ready", value=f"{error} {said}".strip()
            ) from error
        finally:
            os.close(told)
        return warm

    def disconnect(self) -> None:
        """Close the stream and kill the container."""
        super().disconnect()
        if self._process is not None:
            self._process.kill()


def _said(pipe: int) -> str:
    """Return what runtime and harness wrote on stderr, the first part of it."""
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        return os.read(pipe, MAX_STARTUP_STDERR).decode("utf-8", "replace").strip()
    return ""
