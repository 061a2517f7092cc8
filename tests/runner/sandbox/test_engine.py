"""When the engine is down, hangs, or its containers outlive their runner."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.sandbox import Sandbox, SandboxUnavailable
from runner.sandbox import container as container_module
from runner.sandbox.engine import Engine
from runner.sandbox.options import LABEL_RUNNER, Hardening
from runner.sandbox.orphans import is_dead, runner_identity, sweep
from tests.support.sandbox import QUICK, containers_of, run

OK = "def run(arguments):\n    return 1\n"


def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable) as refusal:
        Sandbox.connect("sha256:" + "0" * 64, base_url=f"unix://{tmp_path}/none.sock")
    assert refusal.value.problem.code == "sandbox.engine"
    assert refusal.value.problem.advice


class Proxy:
    """A door to the real engine that can stop letting anything through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open = threading.Event()
        self.open.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.socket(socket.AF_UNIX)
                theirs.connect("/var/run/docker.sock")
                self._ends += [ours, theirs]
                for source, target in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.open.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.open.set()
        for end in [self._listener, *self._ends]:
            end.close()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    if not Path("/var/run/docker.sock").exists():
        pytest.skip("the engine is not on its usual socket")
    made = Proxy(tmp_path / "engine.sock")
    yield made
    made.close()


@pytest.mark.docker
def test_an_engine_that_hangs_before_the_call(proxy: Proxy, image_id: str) -> None:
    sandbox = Sandbox.connect(image_id, base_url=f"unix://{proxy.path}", engine_seconds=1)
    assert run(sandbox, OK).status == "ok"
    sandbox.drain()
    proxy.open.clear()
    began = time.monotonic()
    execution = run(sandbox, OK)
    assert time.monotonic() - began < 4
    assert execution.status == "unavailable"
    assert execution.detail
    proxy.open.set()
    assert run(sandbox, OK).status == "ok"
    sandbox.close()


@pytest.mark.docker
def test_an_engine_that_hangs_in_mid_call(proxy: Proxy, image_id: str) -> None:
    sandbox = Sandbox.connect(image_id, base_url=f"unix://{proxy.path}", engine_seconds=1)
    timer = threading.Timer(1.5, proxy.open.clear)
    timer.start()
    source = "import time\ndef run(arguments):\n    time.sleep(1.7)\n    return 1\n"
    began = time.monotonic()
    execution = run(sandbox, source, wall_seconds=2.0)
    elapsed = time.monotonic() - began
    assert execution.status in ("timeout", "unavailable"), execution
    assert elapsed < 2.0 + container_module.GRACE_SECONDS + 4
    timer.join()
    proxy.open.set()
    sandbox.drain()
    assert containers_of(sandbox) == []
    sandbox.close()


@pytest.mark.docker
def test_a_missing_image() -> None:
    with pytest.raises(SandboxUnavailable) as refusal:
        Sandbox.connect("sha256:" + "0" * 64)
    assert refusal.value.problem.code == "sandbox.image-missing"


@pytest.mark.docker
def test_an_image_is_named_by_its_id(image_id: str) -> None:
    from runner.sandbox.image import tag

    with pytest.raises(SandboxUnavailable) as refusal:
        Sandbox.connect(tag())
    assert refusal.value.problem.code == "sandbox.image-other"


@pytest.mark.docker
def test_an_image_with_another_harness(image_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.sandbox.image.HARNESS_VERSION", "0")
    with pytest.raises(SandboxUnavailable) as refusal:
        Sandbox.connect(image_id)
    assert refusal.value.problem.code == "sandbox.image-other"
    assert image_id in refusal.value.problem.value


@pytest.mark.docker
def test_a_missing_runtime(image_id: str) -> None:
    with pytest.raises(SandboxUnavailable) as refusal:
        Sandbox.connect(image_id, "kata")
    assert refusal.value.problem.code == "sandbox.runtime"
    assert "runc" in refusal.value.problem.value


CHILD = """
import sys, time
from runner.sandbox import Sandbox
from tests.support.sandbox import QUICK, job
sandbox = Sandbox.connect(sys.argv[1])
containers = [sandbox.start_container(QUICK, "orphan") for _ in range(2)]
print(sandbox.identity, flush=True)
sandbox.execute(job("import time\\ndef run(a): time.sleep(60)", wall_seconds=50.0))
"""


@pytest.mark.docker
def test_after_kill_9_of_the_runner_nothing_is_left(image_id: str) -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, image_id], cwd=root, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        identity = child.stdout.readline().strip()
        filters = {"label": f"{LABEL_RUNNER}={identity}"}
        client = Engine().client
        end = time.monotonic() + 20
        while len(client.containers(filters=filters)) < 3 and time.monotonic() < end:
            time.sleep(0.05)
        assert len(client.containers(filters=filters)) == 3
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert is_dead(identity)
    end = time.monotonic() + 10
    while client.containers(all=True, filters=filters) and time.monotonic() < end:
        time.sleep(0.05)
    assert client.containers(all=True, filters=filters) == []


@pytest.mark.docker
def test_what_a_dead_runner_left_is_swept_and_no_other(image_id: str, sandbox: Sandbox) -> None:
    """A container that was created and never started is what a dead runner can leave."""
    engine = Engine()
    parts = runner_identity(7).split("/")
    dead = "/".join([*parts[:4], "1", "7"])
    left = {}
    for name, label in (("dead", dead), ("alive", runner_identity(8)), ("unknown", "elsewhere")):
        config = Hardening(auto_remove=False).container_config(image_id, {LABEL_RUNNER: label})
        left[name] = engine.client.create_container_from_config(config)["Id"]
    try:
        assert sweep(engine) >= 1
        known = {found["Id"] for found in engine.client.containers(all=True)}
        assert {name for name, ident in left.items() if ident in known} == {"alive", "unknown"}
    finally:
        for ident in left.values():
            engine.remove(ident)


def test_who_is_dead() -> None:
    alive = runner_identity()
    host, boot, namespace, pid, start, serial = alive.split("/")
    assert not is_dead(alive)
    assert is_dead("/".join([host, boot, namespace, pid, "1", serial]))
    assert is_dead("/".join([host, boot, namespace, "4194305", start, serial]))
    assert not is_dead("/".join(["other", boot, namespace, "4194305", start, serial]))
    assert not is_dead("nonsense")
    assert not is_dead("")


@pytest.mark.docker
def test_a_container_is_used_once(sandbox: Sandbox) -> None:
    from runner.sandbox.frames import Request
    from tests.support.sandbox import job

    call = job(OK)
    request = Request(call.wheel, call.module, call.qualname, b"{}", 2.0, 1, 1000)
    container = sandbox.start_container(QUICK, "once")
    try:
        assert container.alive()
        assert container.call(request).payload == b"1"
        assert not container.alive()
        with pytest.raises(ValueError, match="one call"):
            container.call(request)
    finally:
        container.destroy()


@pytest.mark.docker
def test_a_container_that_does_not_start(image_id: str) -> None:
    hardening = dataclasses.replace(Hardening(), memory_bytes=0, pids=0, network="no-such-network")
    with Sandbox.connect(image_id, hardening=hardening) as sandbox:
        execution = run(sandbox, OK)
        assert execution.status == "unavailable"
        assert "no-such-network" in execution.detail
        sandbox.drain()
        assert containers_of(sandbox) == []
