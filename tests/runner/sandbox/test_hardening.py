"""Each hardening option: an attack that fails with all of them, and succeeds without this one.

Where a second control stops the attack as well, what is asked is whether the first is in force:
the probe then reads the kernel's own word for it (mount flags, /proc/self/status).
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.sandbox import Sandbox
from runner.sandbox.engine import Engine
from runner.sandbox.errors import ContainerGone
from runner.sandbox.execution import DriverName
from runner.sandbox.frames import Request
from runner.sandbox.options import Hardening
from tests.runner.probes import attempt, expression
from tests.support.sandbox import QUICK, containers_of, job, run

pytestmark = [pytest.mark.docker, pytest.mark.slow]

FULL = Hardening()


def tmpfs_without(option: str) -> dict[str, Any]:
    parts = FULL.tmpfs.split(",")
    kept = [part for part in parts if part.split("=")[0] != option]
    assert len(kept) == len(parts) - 1
    # the engine adds these three unless told otherwise
    opposite = {"noexec": ["exec"], "nosuid": ["suid"], "nodev": ["dev"]}.get(option, [])
    return {"tmpfs": ",".join([*kept, *opposite])}


@dataclass(frozen=True)
class Control:
    """A control, how to take it away, and a probe that returns whether its attack succeeds."""

    name: str
    without: dict[str, Any]
    probe: str
    limits: dict[str, Any] = field(default_factory=dict)
    both: dict[str, Any] = field(default_factory=dict)
    """Taken away in both runs, where the one option does not start without the other."""


def status_field(name: str) -> str:
    return (
        f'[l.split(":")[1].strip() for l in open("/proc/self/status") if l.startswith("{name}:")]'
    )


CONTROLS = [
    Control(
        "network",
        {"network": "host"},
        expression('[l for l in open("/proc/net/dev").readlines()[2:] if "lo:" not in l]'),
    ),
    Control(
        "read_only",
        {"read_only": False},
        attempt('open("/var/tmp/x", "w").write("x")'),
    ),
    Control(
        "user",
        {"user": "0:0"},
        attempt('os.chmod("/tmp", 0o700)'),
    ),
    Control(
        "drop_capabilities",
        {"drop_capabilities": False},
        expression(f"int({status_field('CapBnd')}[0], 16)"),
    ),
    Control(
        "no_new_privileges",
        {"no_new_privileges": False},
        expression(f'{status_field("NoNewPrivs")} != ["1"]'),
        # without it the runtime installs the profile early, and the profile stops the runtime
        both={"seccomp": "unconfined"},
    ),
    Control(
        "seccomp",
        {"seccomp": "unconfined"},
        attempt('os.memfd_create("x")', "socket.socket(16, 3, 0)", imports="os, socket"),
    ),
    Control(
        "tmpfs noexec",
        tmpfs_without("noexec"),
        attempt(
            'shutil.copy("/usr/bin/python3", "/tmp/p")',
            'os.chmod("/tmp/p", 0o755)',
            'os.execv("/tmp/p", ["p", "-I", "-S", "-c", ANSWER])',
            imports="os, shutil",
        ).replace("ANSWER", repr("import os; os.write(4, b'\\0\\0\\0\\0\\4true')")),
    ),
    Control(
        "tmpfs nosuid",
        tmpfs_without("nosuid"),
        expression('not os.statvfs("/tmp").f_flag & os.ST_NOSUID'),
    ),
    Control(
        "tmpfs nodev",
        tmpfs_without("nodev"),
        expression('not os.statvfs("/tmp").f_flag & os.ST_NODEV'),
    ),
    Control(
        "tmpfs size",
        tmpfs_without("size"),
        attempt(
            "for name in 'abc':",
            "    with open('/tmp/' + name, 'wb', buffering=0) as file:",
            "        for _ in range(10): file.write(bytes(1 << 20))",
        ),
    ),
    Control(
        "tmpfs nr_inodes",
        {"tmpfs": FULL.tmpfs.replace("nr_inodes=1024", "nr_inodes=0")},
        attempt("for i in range(1500): os.mkdir(f'/tmp/{i}')"),
    ),
    Control(
        "memory_bytes",
        {"memory_bytes": 0},
        "def run(arguments):\n    return len(b'x' * (96 << 20)) > 0\n",
    ),
    Control(
        "pids",
        {"pids": 0},
        attempt(
            "for _ in range(40):",
            "    if os.fork() == 0:",
            "        import time; time.sleep(60)",
        ),
    ),
    Control(
        "nano_cpus",
        {"nano_cpus": 0},
        """
import glob

def run(arguments):
    # what the kernel enforces, read inside: a measured share of a busy machine would prove nothing
    for path in glob.glob("/sys/fs/cgroup/cpu*/cpu.cfs_quota_us"):
        return int(open(path).read()) < 0
    return open("/sys/fs/cgroup/cpu.max").read().startswith("max")
""",
    ),
    Control(
        "ipc",
        {"ipc": "private"},
        attempt('open("/dev/shm/x", "w").write("x")'),
    ),
    Control(
        "open_files",
        {"open_files": 0},
        attempt("for _ in range(300): os.open('/dev/null', 0)"),
    ),
    Control(
        "file_bytes",
        {"file_bytes": 0},
        attempt("os.truncate(os.open('/tmp/x', os.O_CREAT | os.O_RDWR), 1 << 30)"),
    ),
    Control(
        "core_dumps",
        {"core_dumps": True},
        expression("resource.getrlimit(resource.RLIMIT_CORE)[1] != 0", "resource"),
    ),
    Control(
        "message_queues",
        {"message_queues": True},
        attempt('os.open("/dev/mqueue/x", os.O_CREAT | os.O_RDWR)'),
    ),
    Control(
        "masked_paths",
        {"masked_paths": ()},
        expression('open("/proc/cmdline").read()'),
    ),
    Control(
        "readonly_paths",
        {"readonly_paths": ()},
        expression('not os.statvfs("/proc/sys").f_flag & os.ST_RDONLY'),
    ),
    Control(
        "hostname",
        {"hostname": ""},
        expression('os.uname().nodename != "sandbox"'),
    ),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the driver `oci` keeps the image's root."""
    return tmp_path_factory.mktemp("images")


@pytest.mark.parametrize("driver", ["engine", "oci"])
@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_control_is_what_stops_it(
    control: Control, driver: DriverName, image_id: str, images: Path, tmp_path: Path
) -> None:
    full = dataclasses.replace(FULL, **control.both)
    # the one attack that changes the root gets one of its own
    folder = tmp_path if "read_only" in control.without else images
    with Sandbox.connect(image_id, hardening=full, driver=driver, folder=folder) as sandbox:
        held = run(sandbox, control.probe, **control.limits)
    assert held.status in ("ok", "resource_limit"), held
    assert not held.result, f"the probe of {control.name} succeeds with every control in force"

    without = dataclasses.replace(full, **control.without)
    with Sandbox.connect(image_id, hardening=without, driver=driver, folder=folder) as weaker:
        open_ = run(weaker, control.probe, **control.limits)
    assert open_.status == "ok", open_
    assert open_.result is True, f"the probe of {control.name} shows nothing"


def test_every_option_has_a_test() -> None:
    elsewhere = {"swap", "log_driver", "stdin_once", "auto_remove", "runtime"}
    tested = {name for control in CONTROLS for name in control.without}
    assert {f.name for f in dataclasses.fields(Hardening)} == tested | elsewhere


@pytest.mark.parametrize("driver", ["engine", "oci"])
def test_the_probes_of_memory_and_swap(driver: DriverName, image_id: str, images: Path) -> None:
    """The kernel's own figures: no swap beside the memory, unless that control is taken away."""
    probe = """
def run(arguments):
    for path in ("memory/memory.memsw.limit_in_bytes", "memory.swap.max"):
        try:
            return open("/sys/fs/cgroup/" + path).read().strip()
        except OSError:
            continue
"""
    with Sandbox.connect(image_id, driver=driver, folder=images) as sandbox:
        assert run(sandbox, probe).result in (str(QUICK.memory_bytes), "0")
    swapping = dataclasses.replace(FULL, swap=True)
    with Sandbox.connect(image_id, hardening=swapping, driver=driver, folder=images) as sandbox:
        assert run(sandbox, probe).result not in (str(QUICK.memory_bytes), "0")


HOLDS_SOCKETS = """
import socket, time

def run(arguments):
    held = [socket.socketpair() for _ in range(20)]
    print("held", flush=True)
    time.sleep(60)
"""
COUNTS_SOCKETS = """
def run(arguments):
    return len(open("/proc/net/unix").readlines()) - 1
"""


def beside(holder: Sandbox, counter: Callable[[str], Sandbox]) -> Any:
    """Return how many sockets a call sees while another one, in another container, holds 40."""
    container = holder.start_container(QUICK, "holder")
    call = job(HOLDS_SOCKETS)
    heard = threading.Event()

    def hold() -> None:
        request = Request(call.wheel, call.module, call.qualname, b"{}", 20.0, 2, 10000)
        live = dataclasses.replace(request, live=lambda *_: heard.set())
        with contextlib.suppress(ContainerGone):
            container.call(live)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert heard.wait(10)
        with counter(container.id) as other:
            return run(other, COUNTS_SOCKETS).result
    finally:
        container.kill()
        thread.join()
        container.destroy()


@pytest.mark.parametrize("driver", ["engine", "oci"])
def test_no_call_sees_another_calls_sockets(
    driver: DriverName, image_id: str, images: Path
) -> None:
    """A network namespace of its own, although it is empty: /proc/net tells about all in one."""

    def own(_: str) -> Sandbox:
        return Sandbox.connect(image_id, driver=driver, folder=images)

    with own("") as holder:
        assert beside(holder, own) == 0


def test_a_shared_network_namespace_tells_about_others(image_id: str) -> None:
    def sharing(container: str) -> Sandbox:
        shared = dataclasses.replace(FULL, network=f"container:{container}", hostname="")
        return Sandbox.connect(image_id, hardening=shared)

    with Sandbox.connect(image_id) as holder:
        assert beside(holder, sharing) == 40


@pytest.mark.parametrize(("driver", "kept"), [("none", False), ("json-file", True)])
def test_log_driver_keeps_nothing_on_the_host(driver: str, kept: bool, image_id: str) -> None:
    hardening = dataclasses.replace(FULL, log_driver=driver, auto_remove=False)
    with Sandbox.connect(image_id, hardening=hardening) as sandbox:
        container = sandbox.start_container(QUICK, "log-driver")
        try:
            state = Engine().client.inspect_container(container.id)
        finally:
            container.destroy()
    assert bool(state["LogPath"]) is kept


@pytest.mark.parametrize(
    ("changes", "left"),
    [({}, 0), ({"stdin_once": False}, 1), ({"auto_remove": False}, 1)],
    ids=["both", "without stdin_once", "without auto_remove"],
)
def test_a_container_ends_with_its_runner(
    changes: dict[str, Any], left: int, image_id: str
) -> None:
    """What the engine does when the runner's connection breaks, as it does when it is killed."""
    hardening = dataclasses.replace(FULL, **changes)
    with Sandbox.connect(image_id, hardening=hardening) as sandbox:
        container = sandbox.start_container(QUICK, "stdin-once")
        try:
            container.disconnect()
            end = time.monotonic() + (5 if left == 0 else 1.5)
            while time.monotonic() < end and len(containers_of(sandbox)) > 0:
                time.sleep(0.05)
            assert len(containers_of(sandbox)) == left
        finally:
            container.destroy()
