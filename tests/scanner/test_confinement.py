"""The confined process: what it can do after `jail.enter`, and how it looks from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner import ScanPolicy, confine, scan
from tests.scanner.hostile import slow_wheel
from tests.scanner.processes import alive, child_of, status_of

PROBE = """\
import ctypes, json, os, resource, socket, sys
sys.path.extend(json.loads(sys.argv[1]))
from pathlib import Path
from scanner import jail
jail.os.fsencode("x")
report = {}
def attempt(name, action):
    try:
        report[name] = repr(action())
    except BaseException as error:
        report[name] = type(error).__name__ + ": " + str(error)
uid = int(sys.argv[3])
if uid:
    os.chown(sys.argv[2], uid, uid)
    os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # dumpable, as a process started by that user is
elif os.geteuid() == 0:
    os.setgroups([4242])
libc = ctypes.CDLL(None, use_errno=True)
before = {name: os.readlink(f"/proc/self/ns/{name}") for name in ("net", "ipc", "user")}
links = os.open("/proc/self/ns", os.O_PATH)
parent = os.getppid()
if sys.argv[4] == "enter":
    jail.enter(Path(sys.argv[2]), jail.Bounds(5, 1 << 30, True))
attempt("namespaces", lambda: [n for n in before if os.readlink(n, dir_fd=links) != before[n]])
os.close(links)
attempt("descriptor", lambda: os.close(os.open("/", os.O_RDONLY)))
attempt("socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close())
def connect():
    os.close(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("198.51.100.1", 9))
attempt("connect", connect)
attempt("root", lambda: sorted(os.listdir("/")))
base = "/" if sys.argv[4] == "enter" else sys.argv[2] + "/"
attempt("write", lambda: os.close(os.open(base + "written", os.O_CREAT | os.O_WRONLY)))
attempt("mkdir", lambda: os.mkdir(base + "made"))
attempt("outside", lambda: os.stat("/etc/passwd"))
attempt("parent", lambda: Path(f"/proc/{parent}/environ").read_bytes())
attempt("regain", lambda: os.setresuid(0, 0, 0))
attempt("limit", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
attempt("chroot", lambda: os.chroot("/"))
attempt("unshare", lambda: libc.unshare(0x00020000))
attempt("trace", lambda: libc.prctl(3, 0, 0, 0, 0))
report["uid"] = os.getuid()
report["groups"] = os.getgroups()
report["limits"] = [resource.getrlimit(k)[1] for k in
                    (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)]
print(json.dumps(report), flush=True)
"""

ROOT = os.geteuid() == 0
USERS = [pytest.param(0, id="as-started"), *([pytest.param(12345, id="as-a-user")] * ROOT)]


def probe(scratch: Path, uid: int, how: str = "enter") -> dict[str, object]:
    """Run the probe in a process of its own, as `uid` (0: as this user)."""
    source = json.dumps(confine.package_path())
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROBE, source, str(scratch), str(uid), how],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.fixture
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o500)
        yield path
        path.chmod(0o700)


@pytest.mark.parametrize("uid", USERS)
def test_the_jail_holds(uid: int, scratch: Path) -> None:
    report = probe(scratch, uid)
    assert "Too many open files" in str(report["descriptor"])
    assert "Too many open files" in str(report["socket"])
    assert "Network is unreachable" in str(report["connect"])
    assert "'net'" in str(report["namespaces"])
    assert "'ipc'" in str(report["namespaces"])
    assert report["root"] in ("[]", "PermissionError: [Errno 13] Permission denied: '/'")
    for name in ("write", "mkdir"):
        assert "PermissionError" in str(report[name]), name
    assert "FileNotFoundError" in str(report["outside"]) or "Permission" in str(report["outside"])
    assert "Error" in str(report["parent"])
    assert "PermissionError" in str(report["regain"]) or "Invalid" in str(report["regain"])
    assert "ValueError" in str(report["limit"]) or "PermissionError" in str(report["limit"])
    assert "PermissionError" in str(report["chroot"])
    assert report["unshare"] == "-1"
    assert report["trace"] == "0"
    assert report["uid"] == 65534
    assert report["groups"] == []
    assert report["limits"] == [0, 0, 3]


def test_the_probe_can_do_all_that_outside_of_the_jail(scratch: Path) -> None:
    """So that the test above fails for each control that is taken away, and only then."""
    report = probe(scratch, 0, "stay")
    assert report["namespaces"] == "[]"
    assert report["descriptor"] == "None"
    assert report["socket"] == "None"
    assert report["mkdir"] == "None"
    assert "bin" in str(report["root"])
    assert "stat_result" in str(report["outside"])
    assert str(report["parent"]).startswith("b'")


def test_the_real_child_is_confined_and_its_death_is_incomplete() -> None:
    """Seen from outside while it is at work, then killed."""
    name, wheel = slow_wheel()
    results = []
    thread = threading.Thread(target=lambda: results.append(scan(wheel, name)))
    thread.start()
    try:
        pid = child_of(os.getpid(), b"scanner.child")
        deadline = time.monotonic() + 30
        while status_of(pid)["NoNewPrivs"] != "1" or status_of(pid)["CapEff"].strip("0"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.3)
        status = status_of(pid)
        limits = Path(f"/proc/{pid}/limits").read_text()
        if ROOT:
            network = Path(f"/proc/{pid}/ns/net").readlink()
            root = Path(f"/proc/{pid}/root").readlink()
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            descriptors = sorted(entry.name for entry in Path(f"/proc/{pid}/fd").iterdir())
        session = os.getsid(pid)
    finally:
        os.kill(pid, 9)
        thread.join(60)
    assert status["CapPrm"].strip("0") == ""
    assert status["Threads"] == "1"
    assert session == pid
    assert [line.split()[3:5] for line in limits.splitlines() if "open files" in line] == [
        ["3", "3"]
    ]
    if ROOT:
        assert status["Uid"].split() == ["65534"] * 4
        assert status["Groups"] == ""
        assert network != Path("/proc/self/ns/net").readlink()
        assert "sealgate-scan-" in str(root)
        assert environment == b""
        assert descriptors == ["0", "1", "2"] or descriptors == ["1", "2"]
    (result,) = results
    assert result.verdict == "incomplete"
    (problem,) = result.problems
    assert problem.code == "scan.died"
    assert "SIGKILL" in problem.value


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    """Stopped, it can only be ended by the kernel."""
    name, wheel = slow_wheel()
    (tmp_path / name).write_bytes(wheel)
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\nfrom scanner import scan\n"
        "scan(Path(sys.argv[1]).read_bytes(), Path(sys.argv[1]).name)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / name), *confine.package_path()]
    with subprocess.Popen(command) as parent:
        child = child_of(parent.pid, b"scanner.child")
        deadline = time.monotonic() + 30
        while status_of(child)["CapEff"].strip("0") or status_of(child)["NoNewPrivs"] != "1":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(child, signal.SIGSTOP)
        parent.kill()
        parent.wait(30)
    deadline = time.monotonic() + 10
    while alive(child):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            raise AssertionError("the confined process outlived its parent")
        time.sleep(0.02)


def test_the_child_hears_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALGATE_SECRET", "hunter2")
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    monkeypatch.setenv("LD_PRELOAD", "")
    assert "hunter2" not in " ".join(confine.command(Path("/x"), ScanPolicy(), []))
    seen = {}
    original = subprocess.Popen

    class Recorder(original):  # type: ignore[misc, valid-type] # a class at run time
        def __init__(self, *args: object, **kwargs: object) -> None:
            seen.update(kwargs)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", Recorder)
    name, wheel = slow_wheel(files=1, lines=10)
    assert scan(wheel, name).verdict == "passed"
    assert seen["env"] == {}
    assert seen["start_new_session"] is True
