"""The driver `oci`: what it refuses, what it leaves behind, and how its containers end.

That its containers are as hard as the engine's is held by `test_hardening.py` and the hostile
corpus, which run everything for both.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.main import open_service
from runner.sandbox import PoolSettings, Sandbox, SandboxUnavailable
from runner.sandbox.errors import ContainerGone
from runner.sandbox.events import Death
from runner.sandbox.frames import Request
from runner.sandbox.oci import driver as oci_driver
from runner.sandbox.oci import runtime as oci_runtime
from runner.sandbox.oci.cgroups import PARENT, Cgroups, hierarchies
from runner.sandbox.oci.container import OciContainer
from runner.sandbox.oci.spec import runtime_spec
from runner.sandbox.options import Hardening
from tests.runner.kit import Site
from tests.support.sandbox import QUICK, containers_of, job, run

OK = "def run(arguments):\n    return 1\n"
FULL = Hardening()

pytestmark = pytest.mark.docker


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def direct(image_id: str, images: Path) -> Iterator[Sandbox]:
    with Sandbox.connect(image_id, driver="oci", folder=images) as sandbox:
        yield sandbox


def started(sandbox: Sandbox) -> OciContainer:
    container = sandbox.start_container(QUICK, "test")
    assert isinstance(container, OciContainer)
    return container


def pid_of(container: OciContainer) -> int:
    process = container._process
    assert process is not None
    return process.pid


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_call_says_what_made_its_container(direct: Sandbox) -> None:
    execution = run(direct, "def run(arguments):\n    print('x')\n    return arguments\n", {"a": 1})
    assert (execution.status, execution.result, execution.stdout) == ("ok", {"a": 1}, "x\n")
    assert execution.sandbox["driver"] == "oci"
    assert execution.sandbox["image"] == direct.image
    assert execution.usage.source == "cgroup"


def test_nothing_is_left_of_a_used_container(direct: Sandbox) -> None:
    assert run(direct, OK).status == "ok"
    direct.drain()
    assert containers_of(direct) == []
    token = next(f.name for f in oci_driver.RUN.iterdir() if _identity(f) == direct.identity)
    assert Cgroups(token, hierarchies()).names() == set()
    assert list((oci_driver.RUN / token / "state").iterdir()) == []


def _identity(folder: Path) -> str:
    return (folder / "identity").read_text()


def test_large_frames_and_live_streams_pass(direct: Sandbox) -> None:
    source = (
        "def run(arguments):\n    print('y' * 100000)\n    return {'text': arguments['text'] * 2}\n"
    )
    value = {"text": "x" * (1 << 20)}
    execution = run(direct, source, value, output_bytes=4 << 20)
    assert execution.result == {"text": value["text"] * 2}
    assert len(execution.stdout) == 100001


def test_the_worker_holds_nothing_of_the_runner(direct: Sandbox) -> None:
    source = (
        "import os\ndef run(arguments):\n"
        "    held = [f'/proc/self/fd/{n}' for n in os.listdir('/proc/self/fd')]\n"
        "    return sorted(os.readlink(n).split(':')[0] for n in held if os.path.islink(n))\n"
    )
    # stdin; stdout, stderr and where the answer goes
    assert run(direct, source).result == ["/dev/null", "pipe", "pipe", "pipe"]


def test_a_container_ends_with_its_stream_whoever_else_was_started(direct: Sandbox) -> None:
    """Started side by side: no container holds another's stream open, in the runner or outside."""
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        made = list(threads.map(lambda _: started(direct), range(3)))
    try:
        pids = [pid_of(container) for container in made]
        assert made[1]._socket is not None
        made[1]._socket.close()  # no signal, only the end of the stream
        until(lambda: not alive(pids[1]))
        assert alive(pids[0])
        assert alive(pids[2])
        assert made[0].alive()
    finally:
        for container in made:
            container.destroy()


def test_a_container_that_was_killed_in_mid_call(direct: Sandbox) -> None:
    call = job("import time\ndef run(arguments):\n    time.sleep(60)\n")
    container = started(direct)
    killer = threading.Timer(0.2, os.kill, (pid_of(container), signal.SIGKILL))
    killer.start()
    try:
        with pytest.raises(ContainerGone):
            container.call(Request(call.wheel, call.module, call.qualname, b"{}", 20.0, 2, 1000))
        assert direct.driver.ended(container.id, 2.0) == Death(137, out_of_memory=False)
    finally:
        killer.join()
        container.destroy()
    assert containers_of(direct) == []


@pytest.mark.parametrize(("megabytes", "ran_out"), [(200, True), (1, False)])
def test_that_memory_ran_out_is_read_from_the_cgroup(
    direct: Sandbox, megabytes: int, ran_out: bool
) -> None:
    """Where the kernel takes the supervisor too, nobody is left in the container to tell."""
    call = job(f"def run(arguments):\n    return len(b'x' * ({megabytes} << 20))\n")
    container = started(direct)
    try:
        container.call(Request(call.wheel, call.module, call.qualname, b"{}", 20.0, 2, 1000))
        assert direct.driver.ended(container.id, 2.0).out_of_memory is ran_out
    finally:
        container.destroy()


def test_the_pool_takes_its_containers_from_it(image_id: str, images: Path) -> None:
    settings = PoolSettings(floor=2, ceiling=4)
    with Sandbox.connect(image_id, driver="oci", folder=images, pool=settings) as pooled:
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            call = job(OK)  # once: CPython 3.11's ast.parse, behind it, is not safe in threads
            calls = [threads.submit(pooled.execute, call) for _ in range(12)]
            assert [done.result().result for done in calls] == [1] * 12
        pooled.drain()
        assert len(containers_of(pooled)) <= 4
    assert containers_of(pooled) == []


CHILD = """
import sys
from pathlib import Path
from runner.sandbox import Sandbox
from tests.support.sandbox import QUICK, job
sandbox = Sandbox.connect(sys.argv[1], driver="oci", folder=Path(sys.argv[2]))
containers = [sandbox.start_container(QUICK, "orphan") for _ in range(2)]
print(sandbox.identity, flush=True)
sandbox.execute(job("import time\\ndef run(a): time.sleep(60)", wall_seconds=50.0))
"""


def test_after_kill_9_of_the_runner_nothing_runs_and_the_next_one_sweeps(
    image_id: str, images: Path, direct: Sandbox
) -> None:
    root = Path(__file__).parents[3]
    kept = started(direct)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, image_id, str(images)],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        identity = child.stdout.readline().strip()
        folder = next(f for f in oci_driver.RUN.iterdir() if _identity(f) == identity)
        mount = next(m for m in hierarchies() if (m / PARENT / folder.name).exists())
        group = mount / PARENT
        until(lambda: len(_of(group, folder.name)) >= 5)  # three of ours, and workers
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    until(lambda: _of(group, folder.name) == [])
    try:
        assert folder.exists()
        assert direct.sweep() == 3
        assert not folder.exists()
        assert not (mount / PARENT / folder.name).exists()
        assert kept.alive()
    finally:
        kept.destroy()


def _of(group: Path, token: str) -> list[int]:
    found = [path.read_text().split() for path in (group / token).glob("*/cgroup.procs")]
    return sorted(int(pid) for pids in found for pid in pids)


def test_it_is_roots_only(image_id: str, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SandboxUnavailable) as refusal:
        Sandbox.connect(image_id, driver="oci", folder=images)
    assert refusal.value.problem.code == "sandbox.oci"
    assert refusal.value.problem.value == "uid 1000"


def test_a_missing_runtime(image_id: str, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oci_runtime, "PATH", "/nonexistent")
    with pytest.raises(SandboxUnavailable) as refusal:
        Sandbox.connect(image_id, driver="oci", folder=images)
    assert refusal.value.problem.code == "sandbox.oci-runtime"


@pytest.mark.parametrize("spoiled", ["file", "folder"])
def test_a_runtime_that_others_can_change(
    tmp_path: Path, spoiled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path("/opt") if Path("/opt").exists() else tmp_path
    folder = place / f"sealgate-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        binary = folder / "runc"
        binary.write_text("#!/bin/sh\n")
        binary.chmod(0o755)
        monkeypatch.setattr(oci_runtime, "PATH", str(folder))
        assert oci_runtime.find("runc") == str(binary)
        (binary if spoiled == "file" else folder).chmod(0o777)
        with pytest.raises(SandboxUnavailable) as refusal:
            oci_runtime.find("runc")
        assert refusal.value.problem.code == "sandbox.oci-runtime"
    finally:
        binary.unlink()
        folder.rmdir()


def test_a_runtime_that_does_not_start_containers(
    image_id: str, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oci_runtime, "find", lambda _: "/bin/false")
    before = set(oci_driver.RUN.iterdir())
    with pytest.raises(SandboxUnavailable) as refusal:
        Sandbox.connect(image_id, driver="oci", folder=images)
    assert "exit 1" in refusal.value.problem.value + refusal.value.problem.what
    assert set(oci_driver.RUN.iterdir()) == before


def test_what_the_runtime_says_is_passed_on(direct: Sandbox) -> None:
    wrong = dataclasses.replace(FULL, tmpfs="rw,size=nonsense")
    with pytest.raises(SandboxUnavailable) as refusal:
        direct.driver.start(wrong)
    assert "mount" in refusal.value.problem.value
    assert containers_of(direct) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"stdin_once": False},
        {"auto_remove": False},
        {"log_driver": "json-file"},
        {"network": "bridge"},
        {"ipc": "host"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_option_that_it_does_not_have_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SandboxUnavailable) as refusal:
        runtime_spec(
            dataclasses.replace(FULL, **changes),
            root="/r",
            command=("x",),
            container="c",
            cgroup="/g",
        )
    assert refusal.value.problem.code == "sandbox.oci-option"


def test_a_profile_with_a_condition_is_refused_not_widened() -> None:
    """Docker's own profiles have rules for some kernels or capabilities only."""
    profile = json.loads(FULL.seccomp)
    profile["syscalls"][0]["includes"] = {"caps": ["CAP_SYS_ADMIN"]}
    wrong = dataclasses.replace(FULL, seccomp=json.dumps(profile))
    with pytest.raises(SandboxUnavailable) as refusal:
        runtime_spec(wrong, root="/r", command=("x",), container="c", cgroup="/g")
    assert "includes" in refusal.value.problem.value


def test_apparmor_is_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enabled, profiles = tmp_path / "enabled", tmp_path / "profiles"
    enabled.write_text("Y\n")
    profiles.write_text("docker-default (enforce)\n")
    monkeypatch.setattr(oci_driver, "APPARMOR", enabled)
    monkeypatch.setattr(oci_driver, "APPARMOR_PROFILES", profiles)
    assert oci_driver._apparmor() == "docker-default"
    spec = runtime_spec(
        FULL, root="/r", command=("x",), container="c", cgroup="/g", apparmor="docker-default"
    )
    assert spec["process"]["apparmorProfile"] == "docker-default"
    profiles.write_text("something-else (enforce)\n")
    with pytest.raises(SandboxUnavailable):
        oci_driver._apparmor()


def test_a_runner_whose_driver_cannot_work_does_not_start(
    site: Site, image_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never slides to the engine, which answers here."""
    site.policy["image"] = image_id
    site.policy["sandbox"] = {"runtime": "runc", "driver": "oci"}
    monkeypatch.setattr(oci_runtime, "PATH", "/nonexistent")
    with pytest.raises(SandboxUnavailable), open_service(site.settings):
        pass
    assert site.records() == []


def test_a_call_over_the_service_is_recorded_with_its_driver(site: Site, image_id: str) -> None:
    site.policy["image"] = image_id
    site.policy["sandbox"] = {
        "runtime": "runc",
        "driver": "oci",
        "pool": {"floor": 1, "ceiling": 2},
    }
    with site.runner(sandbox=None) as calls:
        reply = calls.call()
        assert calls.get("/readyz").status_code == 200
    assert reply["status"] == "ok", reply
    assert reply["sandbox"]["driver"] == "oci"
    told = [r["sandbox"]["driver"] for r in site.records() if (r.get("sandbox") or {})]
    assert told
    assert set(told) == {"oci"}
