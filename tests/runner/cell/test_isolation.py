"""Nothing that one call leaves is seen by the next; calls side by side do not meet."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import io
import time
import zipfile
from typing import Any

import pytest

from runner.sandbox import Execution, Job
from runner.sandbox.cell import CellSandbox
from runner.sandbox.engine import Engine
from runner.sandbox.harness.cell_protocol import SPARE_CELLS
from tests.runner.cell.conftest import processes_of
from tests.support.sandbox import QUICK, containers_of, run

pytestmark = [pytest.mark.docker, pytest.mark.slow]

LEAVES = '''
import builtins, gc, os, signal, subprocess, sys, threading, time

MARK = "sealgate-left"

def found():
    seen = [os.path.join(a, n) for a, b, c in os.walk("/tmp") for n in (*b, *c)]
    seen += [n for n in (*os.environ, *sys.modules, *vars(builtins)) if MARK in n]
    seen += [t.name for t in threading.enumerate() if MARK in t.name]
    seen += [str(pid) for pid in range(2, 3000) if exists(pid)]
    if json_dumps is not None: seen.append("a patched module")
    if signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL: seen.append("a signal handler")
    if os.getcwd() != "/" or os.umask(0o22) != 0o22: seen.append("a setting")
    if POISONED: seen.append("compiled code")
    return seen

def exists(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True

import json
json_dumps = json.dumps if json.dumps.__module__ != "json" else None
POISONED = False

def poison():
    """Change the wheel and the compiled code wherever this process can reach them."""
    reached = 0
    for item in gc.get_objects():
        if type(item).__name__ == "CompiledWheelLoader":
            reached += len(item._compiled)
            for name, code in list(item._compiled.items()):
                item._compiled[name] = b"\\0" * len(code)
            item._names = frozenset()
    return reached

def run(arguments):
    seen = found()
    with open("/tmp/" + MARK, "w") as file:
        file.write(MARK)
    os.environ[MARK] = MARK
    sys.modules[MARK] = sys
    setattr(builtins, MARK, 1)
    json.dumps = lambda *a, **k: '"patched"'
    signal.signal(signal.SIGUSR1, lambda *a: None)
    os.chdir("/tmp"); os.umask(0)
    globals()["POISONED"] = True
    threading.Thread(target=time.sleep, args=(60,), name=MARK, daemon=True).start()
    subprocess.Popen(["/usr/bin/python3", "-I", "-S", "-c", "import time; time.sleep(60)"],
                     start_new_session=True)
    return {"seen": seen, "reached": poison()}
'''
PATCHED = LEAVES.replace("json.dumps = lambda *a, **k: '\"patched\"'", "")


def containers(cells: CellSandbox) -> set[str]:
    return {str(each["Id"]) for each in containers_of(cells)}


def processes(cells: CellSandbox, container: str) -> int:
    if cells.driver.name == "oci":
        return processes_of(container)
    return len(Engine().client.top(container)["Processes"])


def test_nothing_is_left_for_the_next_call(either: CellSandbox) -> None:
    before = containers(either)
    first = run(either, PATCHED)
    (container,) = containers(either) - before
    for execution in (first, *(run(either, PATCHED) for _ in range(6))):
        assert execution.status == "ok", execution
        assert execution.result["seen"] == []
        assert execution.result["reached"] >= 1, "the attack on the compiled code reached nothing"
    assert containers(either) - before == {container}
    end = time.monotonic() + 5
    # PID 1, the zygote, the berths, and a cell that waits in each
    waiting = 2 + 2 * (either.hardening.cells + SPARE_CELLS)
    while processes(either, container) != waiting and time.monotonic() < end:
        time.sleep(0.05)
    assert processes(either, container) == waiting


def test_a_patched_module_is_not_left(cells: CellSandbox) -> None:
    assert [run(cells, LEAVES).result for _ in range(3)] == ["patched"] * 3
    honest = "import json\ndef run(arguments):\n    return json.dumps([1])\n"
    assert run(cells, honest).result == "[1]"


def test_compiling_runs_nothing(cells: CellSandbox) -> None:
    """What a module does at its top level happens in the call, and in each call anew."""
    source = (
        "import os\n"
        "COUNT = len(os.listdir('/tmp'))\n"
        "open('/tmp/imported', 'w').close()\n"
        "print('imported')\n"
        "def run(arguments):\n"
        "    return [COUNT, os.listdir('/tmp')]\n"
    )
    for _ in range(3):
        execution = run(cells, source)
        assert (execution.result, execution.stdout) == ([0, ["imported"]], "imported\n")


def test_what_does_not_compile_is_the_calls_error(cells: CellSandbox) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("broken.py", "def run(arguments:\n    return 1\n")
        archive.writestr("whole.py", "def run(arguments):\n    return 1\n")
    job = Job(buffer.getvalue(), "whole", "run", b"{}", QUICK, "request", "cell")
    assert cells.execute(job).result == 1
    execution = cells.execute(dataclasses.replace(job, module="broken"))
    assert execution.status == "plugin_error"
    assert (execution.error or {})["type"] == "SyntaxError"


SECRET_HUNTER = """
import ctypes, gc, os, time

def run(arguments):
    if "secret" in arguments:
        time.sleep(1.2)
        return len(arguments["secret"])
    time.sleep(0.2)
    wanted = "-".join(["my", "neighbours", "secret"]).encode()
    pages = set()
    for item in gc.get_objects():
        for each in (item, *(gc.get_referents(item))):
            pages.add(id(each) & ~0xFFFFF)
    hits = 0
    for page in pages:
        for at in range(page, page + 0x100000, 4096):
            # a page that is not there is an error of write(2), not a crash
            try:
                data = read(at)
            except OSError:
                continue
            hits += data.count(wanted)
    # the one that this very function made
    return hits

def read(at):
    a, b = os.pipe()
    try:
        if ctypes.CDLL(None, use_errno=True).write(b, ctypes.c_void_p(at), 4096) != 4096:
            raise OSError(14, "no such page")
        return os.read(a, 4096)
    finally:
        os.close(a); os.close(b)
"""


def beside(cells: CellSandbox, source: str, one: Any, other: Any) -> tuple[Execution, Execution]:
    """Run one call, and another that starts a little later, side by side."""
    run(cells, "def run(arguments): pass", {})
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        first = threads.submit(run, cells, source, one)
        time.sleep(0.3)
        second = threads.submit(run, cells, source, other)
        return first.result(), second.result()


def test_a_call_does_not_find_its_neighbours_arguments(cells: CellSandbox) -> None:
    run(cells, SECRET_HUNTER, {"secret": "-".join(["my", "neighbours", "secret"])})
    secret = "-".join(["my", "neighbours", "secret"]) * 500
    neighbour, hunter = beside(cells, SECRET_HUNTER, {"secret": secret}, {})
    assert (neighbour.status, neighbour.result) == ("ok", len(secret)), neighbour
    assert hunter.status == "ok", hunter
    # its own constant, and no more; the secret is there 500 times
    assert hunter.result < 20


SIGNALS = """
import os, signal, time

def run(arguments):
    if arguments["wait"]:
        time.sleep(1.0)
        return "lived"
    reached = []
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
        for pid in (-1, *range(2, 2000)):
            try:
                os.kill(pid, number)
                reached.append(pid)
            except OSError:
                continue
    return reached
"""


def test_a_call_cannot_signal_its_neighbour(cells: CellSandbox) -> None:
    neighbour, killer = beside(cells, SIGNALS, {"wait": True}, {"wait": False})
    assert (neighbour.status, neighbour.result) == ("ok", "lived")
    assert (killer.status, killer.result) == ("ok", [])


STARVES = """
import os, time

def cpu():
    for _ in range(14):
        if os.fork() == 0:
            while True: pass
    while True: pass

def memory():
    kept = []
    while True:
        for _ in range(3):
            if os.fork() == 0:
                kept.append(bytearray(40 << 20)); time.sleep(60)
        time.sleep(0.2)

def processes():
    while True:
        try:
            if os.fork() == 0:
                time.sleep(60)
        except OSError:
            time.sleep(0.1)

def disk():
    number = 0
    while True:
        try:
            with open(f"/tmp/{number}", "wb") as file: file.write(bytes(1 << 20))
            number += 1
        except OSError:
            time.sleep(0.1)

def output():
    while True:
        os.write(1, b"x" * 65536)

def run(arguments):
    if "starve" in arguments:
        globals()[arguments["starve"]]()
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        children.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    with open("/tmp/mine", "wb") as file:
        file.write(bytes(4 << 20))
    return [len(bytearray(16 << 20)), children, os.path.getsize("/tmp/mine")]
"""


@pytest.mark.parametrize("what", ["cpu", "memory", "processes", "disk", "output"])
def test_a_call_cannot_starve_its_neighbours(what: str, cells: CellSandbox) -> None:
    good = [16 << 20, [7] * 4, 4 << 20]
    assert run(cells, STARVES, {}).result == good
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        hogs = [threads.submit(run, cells, STARVES, {"starve": what}) for _ in range(2)]
        time.sleep(0.1)
        took = []
        while not all(hog.done() for hog in hogs) and len(took) < 12:
            began = time.monotonic()
            execution = run(cells, STARVES, {})
            took.append(time.monotonic() - began)
            assert (execution.status, execution.result) == ("ok", good), execution
        for hog in hogs:
            assert hog.result().status in ("timeout", "resource_limit"), hog.result()
    if took:
        assert sorted(took)[len(took) // 2] < 1.5, took


def test_calls_run_side_by_side(cells: CellSandbox) -> None:
    source = "import time\ndef run(arguments):\n    time.sleep(0.4)\n    return arguments['n']\n"
    run(cells, source, {"n": 0})
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda n: run(cells, source, {"n": n}).result, range(8)))
    assert results == list(range(8))
    assert time.monotonic() - began < 8 * 0.4
