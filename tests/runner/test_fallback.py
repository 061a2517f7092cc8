"""The fallback for machines without an engine: an explicit choice, and said everywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.main import RunnerSettings, open_service
from runner.records import check
from runner.sandbox import Sandbox
from runner.sandbox.bubblewrap import command as bubblewrap
from runner.sandbox.bubblewrap import driver
from runner.sandbox.errors import SandboxUnavailable
from runner.sandbox.options import Hardening
from tests.runner.kit import Calls, Site
from tests.support.sandbox import job, run
from trust.errors import SealgateError

IMAGE = "sha256:" + "0" * 64


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which no engine answers."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")


@pytest.fixture(scope="module")
def fallback() -> Iterator[Sandbox]:
    with Sandbox.connect(IMAGE, driver="subprocess") as sandbox:
        yield sandbox


def settings(site: Site) -> RunnerSettings:
    return site.settings


def test_without_the_operators_word_nothing_falls_back(site: Site, no_engine: None) -> None:
    with pytest.raises(SealgateError) as refused, open_service(settings(site)):
        pass
    assert refused.value.problem.code.startswith("sandbox.")


def test_it_runs_calls_and_is_said_in_record_and_reply(site: Site, no_engine: None) -> None:
    site.policy["sandbox"]["fallback"] = "subprocess"
    with open_service(settings(site)) as service:
        calls = Calls(site, service)
        reply = calls.call()
        assert calls.get("/readyz").status_code == 200
    assert reply["status"] == "ok", reply
    assert reply["result"] == {"greeting": "Hello, Ada!"}
    assert reply["sandbox"]["driver"] == reply["sandbox"]["level"] == "subprocess"
    assert reply["sandbox"]["image"] == "host"
    assert "memory of all processes together" in reply["sandbox"]["hardening"]["not_held"]
    decision, outcome = site.records()
    assert decision["sandbox"]["image"] == outcome["sandbox"]["image"] == "host"
    assert (check(decision), check(outcome)) == ((), ())
    assert decision["sandbox"]["driver"] == decision["sandbox"]["level"] == "subprocess"
    assert decision["sandbox"]["runtime"] == "bubblewrap"
    decision["sandbox"]["level"] = "container"
    assert check(decision), "a container is of the pinned image"


@pytest.mark.docker
def test_where_an_engine_answers_it_is_not_used(site: Site, image_id: str) -> None:
    site.policy["image"] = image_id
    site.policy["sandbox"]["fallback"] = "subprocess"
    with open_service(settings(site)) as service:
        reply = Calls(site, service).call()
    assert reply["sandbox"]["driver"] == "engine"
    assert reply["sandbox"]["level"] == "container"


def test_a_missing_program_is_no_lesser_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "PATH", "/nowhere")
    with pytest.raises(SandboxUnavailable) as refused:
        Sandbox.connect(IMAGE, driver="subprocess")
    assert refused.value.problem.code == "sandbox.fallback"


REACHES = """
import ctypes, os, socket
def run(arguments):
    escaped = []
    try:
        socket.socket().close()
        escaped.append("socket")
    except OSError:
        pass
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000) == 0:
        escaped.append("unshare")
    for kind, host in arguments.items():
        if os.readlink("/proc/self/ns/" + kind) == host:
            escaped.append(kind)
    for place in ("/usr/x", "/sealgate/x", "/dev/x", "/x"):
        try:
            open(place, "w").close()
            escaped.append(place)
        except OSError:
            pass
    return {"escaped": escaped, "processes": len([p for p in os.listdir("/proc") if p.isdigit()])}
"""


KINDS = ("net", "uts", "ipc", "mnt", "user", "cgroup", "pid")


def namespaces() -> dict[str, str]:
    """Return the host's namespaces, which no plugin may be in."""
    return {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in KINDS}


def test_what_it_holds(fallback: Sandbox) -> None:
    execution = run(fallback, REACHES, namespaces())
    assert execution.status == "ok", execution
    assert execution.result == {"escaped": [], "processes": 2}


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ("--unshare-all", ["net"]),
        ("--seccomp", ["socket", "unshare"]),
        ("--remount-ro", ["/x"]),
    ],
)
def test_each_wall_is_what_holds(
    monkeypatch: pytest.MonkeyPatch, without: str, expected: list[str]
) -> None:
    original = bubblewrap._confinement

    def weaker(harness: Path, seccomp: int) -> Iterator[str]:
        words = list(original(harness, seccomp))
        if without == "--unshare-all":
            words[:1] = ["--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        elif without == "--seccomp":
            at = words.index("--seccomp")
            del words[at : at + 2]
        else:
            at = [i for i, word in enumerate(words) if word == "--remount-ro"][-1]
            del words[at : at + 2]
        yield from words

    monkeypatch.setattr(bubblewrap, "_confinement", weaker)
    with Sandbox.connect(IMAGE, driver="subprocess") as sandbox:
        execution = run(sandbox, REACHES, namespaces())
    assert execution.status == "ok", execution
    assert execution.result is not None
    assert set(expected) <= set(execution.result["escaped"])


def test_processes_are_counted_where_each_call_has_a_user(fallback: Sandbox) -> None:
    source = """
import os, time
def run(arguments):
    made = 0
    try:
        while made < 100:
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
            made += 1
    except OSError:
        pass
    return made
"""
    execution = run(fallback, source)
    assert execution.status == "ok", execution
    assert 10 < execution.result <= 16


def test_a_plugin_of_one_process_runs(fallback: Sandbox) -> None:
    assert run(fallback, "def run(arguments):\n    return 1\n", processes=1).status == "ok"


def test_the_driver_says_what_it_does_not_hold(fallback: Sandbox) -> None:
    told = fallback.driver.summary(Hardening())
    assert told["not_held"][:-1] == list(driver.NOT_HELD)
    assert "tmpfs" not in told
    assert "nano_cpus" not in told


def test_the_docs_have_the_same_list() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    table = page.partition("| not held by the fallback | in a container |")[2].partition("\n\n")[0]
    rows = {line.strip("| ").replace("`", "") for line in table.splitlines()[2:]}
    known = [*driver.NOT_HELD, driver.PROCESSES_NOT_EXACT]
    assert len(rows) == len(known)
    for sentence in known:
        assert any(row.startswith(sentence) for row in rows), sentence


def test_what_it_is_said_not_to_hold_it_does_not(fallback: Sandbox) -> None:
    source = """
import os, sys, subprocess
def run(arguments):
    with open("/tmp/x", "w") as file:
        file.write("#!/bin/sh\\necho ran")
    os.chmod("/tmp/x", 0o755)
    return [subprocess.run(["/tmp/x"], capture_output=True).stdout.decode(), sys.version]
"""
    execution = run(fallback, source)
    assert execution.status == "ok", execution
    host = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print(sys.version)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert execution.result == ["ran\n", host.stdout.strip()]


def test_nothing_is_left(fallback: Sandbox) -> None:
    made = replace(job("def run(arguments):\n    return 1\n"), request_id="r")
    assert fallback.execute(made).status == "ok"
    fallback.drain()
    assert fallback.driver.containers() == []
