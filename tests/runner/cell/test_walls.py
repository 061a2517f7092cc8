"""Each wall of a cell: an attack that fails with all of them, and succeeds without this one.

The image's command of this level takes no options. These tests start the container with another
command, which makes the supervisor with one wall left out.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from runner.sandbox import Execution
from runner.sandbox.cell import CellSandbox
from runner.sandbox.cell.options import COMMAND, CellHardening
from runner.sandbox.harness.cell_steps import Steps
from tests.runner import probes
from tests.runner.cell.conftest import Opens
from tests.runner.probes import expression
from tests.support.sandbox import run

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@contextmanager
def without(
    opens: Opens, walls: tuple[str, ...], hardening: dict[str, Any] | None = None
) -> Iterator[CellSandbox]:
    """Open a sandbox whose cells lack some walls."""
    changes = ", ".join(f"{name}=False" for name in walls)
    program = (
        "import sys; sys.path.insert(0, '/sealgate'); "
        "from _sealgate_harness import cell_init, cell_steps; sys.path.pop(0); "
        f"cell_init.main(cell_steps.Steps({changes}))"
    )
    changed = dataclasses.replace(
        CellHardening(), command=(*COMMAND[:-1], "-c", program), **(hardening or {})
    )
    sandbox = opens(changed)
    try:
        yield sandbox
    finally:
        sandbox.close()


attempt = partial(probes.attempt, errors="(OSError, MemoryError)")


@dataclass(frozen=True)
class Wall:
    """A wall, and a probe that returns whether its attack succeeds."""

    name: str
    probe: str
    walls: tuple[str, ...] = ()
    """Other walls that are left out in both runs, because they stop the attack or the probe."""
    hardening: dict[str, Any] = field(default_factory=dict)
    """Options of the container that are changed in both runs, for the same reason."""
    limits: dict[str, Any] = field(default_factory=dict)


def limit(name: str) -> str:
    return expression(
        f"resource.getrlimit(resource.RLIMIT_{name})[1] == resource.RLIM_INFINITY", "resource"
    )


CAPABILITIES = """
import ctypes, struct

def run(arguments):
    libc = ctypes.CDLL(None)
    found = ctypes.create_string_buffer(24)
    libc.capget(struct.pack("Ii", 0x20080522, 0), found)
    bounding = any(libc.prctl(23, number, 0, 0, 0) == 1 for number in range(41))
    ambient = any(libc.prctl(47, 1, number, 0, 0) == 1 for number in range(41))
    return any(found.raw) or bounding or ambient
"""

WALLS = [
    Wall("sealed_root", expression('os.listdir("/proc") or os.path.exists("/sealgate")')),
    Wall(
        "own_tmp",
        """
import os

def run(arguments):
    found = os.path.exists("/tmp/left")
    open("/tmp/left", "w").close()
    return found
""",
        # without a root of our own, /tmp is the container's, and can be written
        walls=("sealed_root",),
    ),
    Wall("sacrifice", expression("os.getpriority(os.PRIO_PROCESS, 0) < 5")),
    Wall("sacrifice", expression("os.sched_getscheduler(0) != os.SCHED_BATCH")),
    Wall("address_space", attempt("mmap.mmap(-1, 512 << 20)", imports="mmap")),
    Wall("cpu", limit("CPU")),
    Wall("open_files", attempt("for _ in range(300): os.open('/dev/null', 0)")),
    Wall(
        "file_size",
        attempt("os.truncate(os.open('/tmp/x', os.O_CREAT | os.O_RDWR), 1 << 30)"),
        hardening={"file_bytes": 0},
    ),
    Wall("core", limit("CORE"), hardening={"core_dumps": True}),
    Wall("stack", limit("STACK")),
    Wall(
        "processes",
        attempt(
            "for _ in range(40):",
            "    if os.fork() == 0:",
            "        import time; time.sleep(60)",
        ),
    ),
    Wall(
        "queues",
        expression("resource.getrlimit(resource.RLIMIT_MSGQUEUE)[1]", "resource"),
        hardening={"message_queues": True},
    ),
    Wall("drop_capabilities", CAPABILITIES),
    Wall(
        "no_new_privileges",
        expression("ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 0", "ctypes"),
        # a filter needs it, unless its process has a capability that a cell does not have
        walls=("seccomp",),
        hardening={"no_new_privileges": False, "seccomp": "unconfined"},
    ),
    Wall("seccomp", expression("ctypes.CDLL(None).unshare(0x10020000) == 0", "ctypes")),
    Wall(
        "close_descriptors",
        """
import os

def run(arguments):
    found = False
    for fd in range(5, 1024):
        try:
            os.fstat(fd)
            found = True
        except OSError:
            pass
    return found
""",
    ),
    Wall("clean_environment", expression('set(os.environ) - {"HOME", "TMPDIR", "LANG"}')),
]
NAMESPACES = {
    "pid_namespace": ("pid", ()),
    # a mount that others see, in a namespace of others, is not allowed
    "mount_namespace": ("mnt", ("own_tmp",)),
    "ipc_namespace": ("ipc", ()),
    "uts_namespace": ("uts", ()),
    "network_namespace": ("net", ()),
}


def test_every_wall_has_a_test() -> None:
    names = {wall.name for wall in WALLS} | set(NAMESPACES) | {"user_namespace"}
    assert names == {field.name for field in dataclasses.fields(Steps)}
    assert all(getattr(Steps(), name) is True for name in names)


@pytest.mark.parametrize("wall", WALLS, ids=lambda wall: wall.name)
def test_wall_is_what_stops_it(wall: Wall, either: CellSandbox, opens: Opens) -> None:
    def last(sandbox: CellSandbox) -> Execution:
        run(sandbox, wall.probe, **wall.limits)
        return run(sandbox, wall.probe, **wall.limits)

    if wall.walls or wall.hardening:
        with without(opens, wall.walls, wall.hardening) as sandbox:
            held = last(sandbox)
    else:
        held = last(either)
    assert held.status == "ok", held
    assert held.result is False, f"the probe of {wall.name} succeeds with every wall"

    with without(opens, (*wall.walls, wall.name), wall.hardening) as weaker:
        open_ = last(weaker)
    assert open_.status == "ok", open_
    assert open_.result is True, f"the probe of {wall.name} shows nothing"


@pytest.mark.parametrize("name", NAMESPACES)
def test_namespace_is_the_cells_own(name: str, opens: Opens) -> None:
    """Two cells side by side say which namespace they are in; /proc is left visible for it."""
    kind, walls = NAMESPACES[name]
    probe = (
        "import os, time\n"
        "def run(arguments):\n"
        "    time.sleep(arguments['seconds'])\n"
        f"    return os.readlink('/proc/self/ns/{kind}')\n"
    )

    def two(sandbox: CellSandbox) -> set[str]:
        run(sandbox, probe, {"seconds": 0})
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            both = list(threads.map(lambda _: run(sandbox, probe, {"seconds": 0.3}), range(2)))
        assert [each.status for each in both] == ["ok", "ok"], both
        return {each.result for each in both}

    with without(opens, ("sealed_root", *walls)) as held:
        assert len(two(held)) == 2
    with without(opens, ("sealed_root", *walls, name)) as weaker:
        assert len(two(weaker)) == 1


def test_user_namespace_is_the_cells_own(either: CellSandbox, opens: Opens) -> None:
    """Processes are counted for each user namespace: two cells do not take them from each other."""
    probe = (
        "import os, time\n"
        "def run(arguments):\n"
        "    for _ in range(12):\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(60)\n"
        "    time.sleep(0.6)\n"
    )

    def two(sandbox: CellSandbox) -> list[str]:
        run(sandbox, "def run(arguments): pass\n")
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            return sorted(threads.map(lambda _: run(sandbox, probe).status, range(2)))

    assert two(either) == ["ok", "ok"]
    with without(opens, ("user_namespace",)) as weaker:
        assert two(weaker) != ["ok", "ok"]


def test_the_images_command_takes_no_options(opens: Opens) -> None:
    """Arguments and variables change nothing in the command that production starts."""
    hardening = dataclasses.replace(
        CellHardening(), command=(*COMMAND, "--no-seccomp", "Steps(seccomp=False)")
    )
    sandbox = opens(hardening)
    try:
        probe = expression("ctypes.CDLL(None).unshare(0x10020000) == 0", "ctypes")
        assert run(sandbox, probe).result is False
    finally:
        sandbox.close()
