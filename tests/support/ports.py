"""TCP ports of this machine that nobody listens on."""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free(count: int = 1) -> list[int]:
    """Return that many ports."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def consecutive(count: int = 3) -> int:
    """Return the first of that many ports in a row."""
    while True:
        (first,) = free()
        try:
            with ExitStack() as held:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            continue
        return first
