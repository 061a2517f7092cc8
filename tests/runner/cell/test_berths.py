"""A berth's network namespace: nothing of one cell is there for the next, or for a neighbour.

The cells' filter refuses sockets, and the engine's profile around it too. Both are taken away here,
so that the namespace is all that is left.
"""

from __future__ import annotations

import concurrent.futures
import time

import pytest

from runner.sandbox.cell import CellSandbox
from runner.sandbox.harness.cell_protocol import SPARE_CELLS
from tests.runner.cell.conftest import Opens
from tests.runner.cell.test_walls import without
from tests.support.sandbox import run

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    # a berth makes its namespace by itself, whoever made the container
    pytest.mark.parametrize("driver", ["engine"]),
]

OPEN = {"seccomp": "unconfined"}

MEETS = """
import os, socket, time

def run(arguments):
    try:
        socket.socket(socket.AF_UNIX).connect("\\0sealgate-berth")
        return True
    except ConnectionRefusedError:
        pass
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\\0sealgate-berth")
    listener.listen()
    if os.fork() == 0:
        os.setsid()
        time.sleep(30)
    time.sleep(arguments["seconds"])
    return False
"""

CHANGES = """
import fcntl, socket, struct

def run(arguments):
    asked = struct.pack("16sH14x", b"lo", 0)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    (flags,) = struct.unpack_from("H", fcntl.ioctl(sock, 0x8913, asked), 16)
    try:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))
    except PermissionError:
        return False
    return True
"""


def one_after_the_other(sandbox: CellSandbox, source: str) -> set[bool]:
    """Call often enough that every berth has had more than one cell."""
    calls = 3 * (sandbox.hardening.cells + SPARE_CELLS)
    done = [run(sandbox, source, {"seconds": 0}) for _ in range(calls)]
    assert {each.status for each in done} == {"ok"}, done
    return {each.result for each in done if isinstance(each.result, bool)}


def side_by_side(sandbox: CellSandbox) -> set[bool]:
    run(sandbox, "def run(arguments): pass\n")
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        first = threads.submit(run, sandbox, MEETS, {"seconds": 1.0})
        time.sleep(0.4)
        second = threads.submit(run, sandbox, MEETS, {"seconds": 0})
        both = [first.result(), second.result()]
    assert [each.status for each in both] == ["ok", "ok"], both
    return {each.result for each in both if isinstance(each.result, bool)}


def test_a_socket_of_one_cell_is_not_there_for_the_next(opens: Opens) -> None:
    with without(opens, ("seccomp",), OPEN) as held:
        assert one_after_the_other(held, MEETS) == {False}
    with without(opens, ("seccomp", "pid_namespace"), OPEN) as weaker:
        assert one_after_the_other(weaker, MEETS) == {False, True}


def test_nor_for_the_one_beside_it(opens: Opens) -> None:
    with without(opens, ("seccomp",), OPEN) as held:
        assert side_by_side(held) == {False}
    with without(opens, ("seccomp", "network_namespace"), OPEN) as weaker:
        assert side_by_side(weaker) == {False, True}


def test_no_cell_can_change_its_network(opens: Opens) -> None:
    """Not even one that kept its capabilities: they are in another user namespace."""
    with without(opens, ("seccomp", "drop_capabilities"), OPEN) as held:
        assert one_after_the_other(held, CHANGES) == {False}
    with without(opens, ("seccomp", "drop_capabilities", "user_namespace"), OPEN) as weaker:
        assert one_after_the_other(weaker, CHANGES) == {True}
