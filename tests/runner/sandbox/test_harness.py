"""The harness's own controls: each attack fails, and succeeds when that control is patched out.

The patch is applied in the container, by another entry point for the same image.
"""

from __future__ import annotations

from typing import Any

import pytest

from runner.sandbox import Execution, Sandbox
from runner.sandbox.options import Hardening
from tests.support.sandbox import run

pytestmark = [pytest.mark.docker, pytest.mark.slow]

START = """
import sys
sys.path.insert(0, "/sealgate")
from _sealgate_harness import supervisor, worker, meters
sys.path.pop(0)
{patch}
supervisor.main()
"""


def patched(patch: str) -> Hardening:
    """Return the full hardening, whose containers patch the harness before they start it."""

    class Patched(Hardening):
        def container_config(self, image: str, labels: dict[str, str]) -> dict[str, Any]:
            config = Hardening.container_config(self, image, labels)
            command = ["/usr/bin/python3", "-I", "-S", "-B", "-X", "utf8", "-c"]
            return {**config, "Entrypoint": [*command, START.format(patch=patch)]}

    return Patched()


def both(image_id: str, patch: str, source: str, **limits: Any) -> tuple[Execution, Execution]:
    """Run a plugin with the harness as it is, and with the patch."""
    with Sandbox.connect(image_id, hardening=patched("")) as sandbox:
        held = run(sandbox, source, **limits)
    with Sandbox.connect(image_id, hardening=patched(patch)) as sandbox:
        return held, run(sandbox, source, **limits)


FORGE = """
import os, struct, time

def run(arguments):
    body = b'"forged"'
    frame = struct.pack(
        ">4sBBxxIIIiIIII32s", b"SGA1", 0, 1, len(body), 0, 0, 0, 0, 0, 0, 0, bytes(32)
    )
    wrote = 0
    for number in range(64):
        try:
            if os.lstat(f"/proc/1/fd/{number}").st_mode & 0o600 != 0o200:
                continue  # not one that the supervisor writes to
            fd = os.open(f"/proc/1/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
            wrote += os.write(fd, frame + body) > 0
        except OSError:
            continue
    return wrote
"""


def test_undumpable_closes_the_supervisors_descriptors(image_id: str) -> None:
    """And where it does not, as under gVisor, the nonce still refuses the forged frame."""
    patch = "import types; supervisor._libc = types.SimpleNamespace(prctl=lambda *_: 0)"
    held, open_ = both(image_id, patch, FORGE)
    assert (held.status, held.result) == ("ok", 0)
    assert open_.status == "protocol_error"
    assert "nonce" in open_.detail


def test_without_the_nonce_a_forged_response_is_believed(
    image_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = "import types; supervisor._libc = types.SimpleNamespace(prctl=lambda *_: 0)"
    monkeypatch.setattr("runner.sandbox.frames.hmac.compare_digest", lambda *_: True)
    monkeypatch.setattr("runner.sandbox.frames.StreamReader.pending", 0)
    _, open_ = both(image_id, patch, FORGE)
    assert (open_.status, open_.result) == ("ok", "forged")


def test_output_is_capped_by_the_supervisor(image_id: str) -> None:
    flood = "import os\ndef run(arguments):\n    while True: os.write(1, b'x' * 65536)\n"
    patch = "supervisor._Call._take_log = lambda *_: None"
    held, open_ = both(image_id, patch, flood, wall_seconds=1.0, cpu_seconds=5)
    assert held.status == "resource_limit"
    assert held.usage.wall_seconds < 1
    assert open_.status == "timeout"


def test_cpu_time_is_counted_for_all_processes(image_id: str) -> None:
    burn = """
import os, time

def run(arguments):
    # each child stays below RLIMIT_CPU, together they do not
    while sum(os.times()[2:4]) < 1.6:
        pid = os.fork()
        if pid == 0:
            stop = time.process_time() + 0.2
            while time.process_time() < stop:
                pass
            os._exit(0)
        os.waitpid(pid, 0)
"""
    patch = "meters.Meters.cpu = lambda self: 0"
    held, open_ = both(image_id, patch, burn, wall_seconds=20.0, cpu_seconds=1)
    assert (held.status, held.detail.split(":")[0]) == ("timeout", "CPU time")
    assert open_.status == "ok"


def test_the_worker_is_the_first_victim(image_id: str) -> None:
    probe = """
import os

def run(arguments):
    return [int(open("/proc/self/oom_score_adj").read()), os.getpriority(os.PRIO_PROCESS, 0)]
"""
    held, open_ = both(image_id, "supervisor._make_first_victim = lambda: None", probe)
    assert held.result == [1000, 19]
    assert open_.result == [0, 0]


def test_the_worker_has_three_streams_and_one_pipe(image_id: str) -> None:
    probe = """
import os

def run(arguments):
    return sorted(fd for fd in range(256) if os.path.exists(f"/proc/self/fd/{fd}"))
"""
    held, open_ = both(image_id, "supervisor.os.closerange = lambda *_: None", probe)
    assert held.result == [0, 1, 2, 4]
    assert len(open_.result or []) > 4


def test_a_dead_worker_is_noticed_though_its_pipes_stay_open(image_id: str) -> None:
    source = """
import os, time

def run(arguments):
    if os.fork() == 0:
        time.sleep(60)
    os._exit(3)
"""
    held, open_ = both(
        image_id, "supervisor._Call._reap = lambda self: None", source, wall_seconds=1.0
    )
    assert held.status == "plugin_error"
    assert held.detail.endswith("it exited with 3")
    assert open_.status == "timeout"


def test_a_plugin_that_writes_no_answer_frame(image_id: str) -> None:
    source = "import os\ndef run(arguments):\n    os.write(4, b'\\x09' * 50)\n"
    with Sandbox.connect(image_id) as sandbox:
        assert run(sandbox, source).status == "protocol_error"
