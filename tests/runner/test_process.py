"""The runner as the process that an operator starts, with the real sandbox."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from runner.audit_source import open_source
from runner.audit_verify import verify
from runner.client import NoReply, RunnerClient
from tests.runner.kit import NAME, Site, TestRegistry
from tests.support.evidence import TrustFixture, sha256
from trust.outcomes import Passed

pytestmark = pytest.mark.docker

SOURCE = """
import time

def greet(arguments):
    print("to stdout")
    return {"greeting": "Hello, " + arguments["name"] + "!"}

def sleep(arguments):
    time.sleep(arguments["seconds"])
    return {}

def fail(arguments):
    raise ValueError("no")

def write(arguments):
    with open("/etc/owned", "w") as file:
        file.write("x")
    return {}
"""
START = """
import sys
from pathlib import Path
from runner.main import RunnerSettings, serve
serve(RunnerSettings.under(Path(sys.argv[1]), Path(sys.argv[2])), "127.0.0.1", int(sys.argv[3]))
"""


class Process:
    """A runner process on a free port."""

    def __init__(self, site: Site) -> None:
        self.site = site
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        settings = site.settings
        self.output = site.folder / "output"
        with self.output.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, settings.policy.parent, settings.state,
                 str(self.port)],
                stdout=file, stderr=file,
            )  # fmt: skip
        self.url = f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> Process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if requests.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return self
            except requests.ConnectionError:
                time.sleep(0.1)
        raise AssertionError(self.output.read_text())

    def client(self) -> RunnerClient:
        return RunnerClient(self.url, self.site.token.token)

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def real(
    tmp_path: Path, trust_fixture: TrustFixture, registry: TestRegistry, image_id: str
) -> Site:
    """A site whose policy pins the real image, with a plugin that does what it is asked."""
    site = Site(tmp_path, trust_fixture, registry, image_id)
    site.release(source=SOURCE)
    return site


@pytest.fixture
def process(real: Site) -> Iterator[Process]:
    started = Process(real).wait_ready()
    yield started
    started.stop()


def test_a_call_end_to_end(process: Process) -> None:
    site = process.site
    with process.client() as client:
        reply = client.invoke(NAME, "greet", {"name": "Ada"})
        assert reply.result == {"greeting": "Hello, Ada!"}
        assert reply.raw["stdout"] == "to stdout\n"
        assert reply.raw["sandbox"]["image"] == site.image
        assert reply.raw["sandbox"]["level"] == "container"
        assert reply.raw["usage"]["wall_seconds"] > 0
        wheel = site.registry.releases[NAME, "1.0.0"].wheel
        assert reply.raw["evidence"]["wheel_sha256"] == sha256(wheel)
        assert isinstance(reply.verify_receipt(site.vkey), Passed)

        assert client.invoke(NAME, "fail").raw["error"]["type"] == "ValueError"
        assert client.invoke(NAME, "write").status == "plugin_error"
        assert not Path("/etc/owned").exists()
        assert client.invoke(NAME, "missing").status == "refused"
        site.release("2.0.0", source=SOURCE, bundles=[])
        refused = client.invoke(NAME, "greet", {"name": "Ada"}, "2.0.0")
        assert refused.status == "refused"
        assert refused.raw["usage"] is None
        with ThreadPoolExecutor(4) as pool:
            # The version is named: without it the new one is chosen as soon as the list is old.
            replies = pool.map(
                lambda n: client.invoke(NAME, "greet", {"name": str(n)}, "1.0.0"), range(8)
            )
            assert [r.result["greeting"] for r in replies] == [f"Hello, {n}!" for n in range(8)]
    assert requests.get(f"{process.url}/readyz", timeout=5).json()["checks"]["sandbox"] == []
    assert process.stop() == 0
    lines = process.output.read_bytes().splitlines()
    assert site.token.token.encode() not in process.output.read_bytes()
    assert all(line.startswith(b"{") for line in lines)
    with open_source(site.log) as source:
        report = verify(source, site.vkey)
    assert (report.problems, report.open_calls) == ([], [])


def test_sigterm_lets_calls_end_and_takes_no_more(real: Site) -> None:
    process = Process(real).wait_ready()
    with process.client() as client, ThreadPoolExecutor(1) as pool:
        assert client.invoke(NAME, "greet", {"name": "Ada"}).status == "ok"
        waiting = pool.submit(process.client().invoke, NAME, "sleep", {"seconds": 3})
        later = client.submit(NAME, "sleep", {"seconds": 3.2})
        deadline = time.monotonic() + 20
        while len(real.records()) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        refused = client.invoke(NAME, "greet", {"name": "Ada"})
        assert [p.code for p in refused.problems] == ["call.shutting-down"]
        assert client.result(later) is None
        assert waiting.result(30).status == "ok"
    assert process.process.wait(30) == 0
    outcomes = [r for r in real.records() if r["type"] == "outcome"]
    assert [r["status"] for r in outcomes] == ["ok", "ok", "ok"]
    assert later in [r["request_id"] for r in outcomes]
    with open_source(real.log) as source:
        report = verify(source, real.vkey)
    assert (report.problems, report.open_calls) == ([], [])


def test_kill_9_in_mid_call_then_restart(real: Site) -> None:
    process = Process(real).wait_ready()
    with process.client() as client, ThreadPoolExecutor(1) as pool:
        assert client.invoke(NAME, "greet", {"name": "Ada"}).status == "ok"
        future = pool.submit(client.invoke, NAME, "sleep", {"seconds": 8})
        deadline = time.monotonic() + 20
        while len(real.records()) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        admitted = real.records()[2]
        assert admitted["decision"] == "admitted"
        time.sleep(1)  # it runs by now, or will not be waited for
        assert process.stop(signal.SIGKILL) == -signal.SIGKILL
        with pytest.raises(NoReply):
            future.result(30)
    with open_source(real.log) as source:
        report = verify(source, real.vkey)
    assert report.ok
    assert report.open_calls == [admitted["request_id"]]

    again = Process(real).wait_ready()
    try:
        interrupted = real.records()[3]
        assert interrupted["status"] == "interrupted"
        assert interrupted["request_id"] == admitted["request_id"]
        with again.client() as client:
            assert client.invoke(NAME, "greet", {"name": "Ada"}).status == "ok"
    finally:
        assert again.stop() == 0
    with open_source(real.log) as source:
        report = verify(source, real.vkey)
    assert (report.problems, report.open_calls) == ([], [])


def test_a_runner_without_its_image_does_not_start(real: Site) -> None:
    real.policy["image"] = "sha256:" + "0" * 64
    process = Process(real)
    assert process.process.wait(60) != 0
    assert "sandbox.image-missing" in process.output.read_text()


def test_a_runner_without_an_engine_does_not_start(
    real: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "DOCKER_HOST", "unix:///nowhere/docker.sock")
    process = Process(real)
    assert process.process.wait(60) != 0
    assert "sandbox." in process.output.read_text()
