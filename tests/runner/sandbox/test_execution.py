"""What a call gets and gives: the plugin's road, and what its caller sees."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json

import pytest

from runner.sandbox import Job, Sandbox
from tests.support.sandbox import QUICK, containers_of, job, run
from tests.support.wheels import make_wheel
from trust.wheel import Limits

pytestmark = pytest.mark.docker


def test_the_default_plugin(sandbox: Sandbox) -> None:
    _, wheel = make_wheel()
    execution = sandbox.execute(
        Job(wheel, "example_plugin", "greet", b'{"name": "Ada"}', Limits(), "request-1")
    )
    assert execution.status == "ok"
    assert execution.result == {"greeting": "Hello, Ada!"}
    assert execution.error is None
    assert execution.sandbox["level"] == "container"
    assert execution.sandbox["runtime"] == "runc"
    assert execution.sandbox["image"] == sandbox.image
    assert 0 < execution.usage.wall_seconds < 5
    assert execution.usage.source == "cgroup"
    assert execution.usage.cpu_seconds is not None
    assert 1 << 20 < (execution.usage.memory_peak_bytes or 0) <= Limits().memory_bytes


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1.5,
        "",
        "ünïcödé \U0001f40d\n\x00",
        [],
        {},
        [[{"a": [1, 2.5, None]}]],
        10**30,
    ],
)
def test_json_travels_both_ways(sandbox: Sandbox, value: object) -> None:
    source = "def run(arguments):\n    return arguments['value']\n"
    execution = run(sandbox, source, {"value": value})
    assert (execution.status, execution.result) == ("ok", value)


def test_stdout_and_stderr_are_told_apart(sandbox: Sandbox) -> None:
    source = (
        "import sys, os\n"
        "def run(arguments):\n"
        "    print('out'); print('err', file=sys.stderr); os.write(1, b'raw')\n"
    )
    execution = run(sandbox, source)
    assert (execution.stdout, execution.stderr) == ("out\nraw", "err\n")
    assert (execution.usage.stdout_bytes, execution.usage.stderr_bytes) == (7, 4)


def test_methods_of_classes(sandbox: Sandbox) -> None:
    source = (
        "class Base:\n"
        "    def inherited(self, arguments): return [type(self).__name__, arguments]\n"
        "class Tool(Base):\n"
        "    def plain(self, arguments): return ['plain', arguments]\n"
        "    @staticmethod\n"
        "    def static(arguments): return ['static', arguments]\n"
        "    @classmethod\n"
        "    def of_class(cls, arguments): return [cls.__name__, arguments]\n"
    )
    for qualname, first in (
        ("Tool.plain", "plain"),
        ("Tool.static", "static"),
        ("Tool.of_class", "Tool"),
        ("Tool.inherited", "Tool"),
    ):
        execution = run(sandbox, source, {"a": 1}, qualname=qualname)
        assert execution.result == [first, {"a": 1}], execution


def test_an_exception_shows_the_plugins_own_lines(sandbox: Sandbox) -> None:
    source = "def run(arguments):\n    return arguments['missing']\n"
    execution = run(sandbox, source)
    assert execution.status == "plugin_error"
    assert execution.error is not None
    assert execution.error["type"] == "KeyError"
    assert execution.error["message"] == "'missing'"
    assert "/plugin/example_plugin/__init__.py" in execution.error["traceback"]
    assert "return arguments['missing']" in execution.error["traceback"]
    assert "worker.py" not in execution.error["traceback"]


def test_resources_and_metadata_come_from_the_wheel(sandbox: Sandbox) -> None:
    source = (
        "import importlib.metadata, importlib.resources, pkgutil\n"
        "from example_plugin import other\n"
        "from example_plugin.deep import inner\n"
        "def run(arguments):\n"
        "    files = importlib.resources.files('example_plugin')\n"
        "    return [\n"
        "        (files / 'data' / 'words.txt').read_text(),\n"
        "        pkgutil.get_data('example_plugin', 'data/words.txt').decode(),\n"
        "        importlib.metadata.version('example-plugin'),\n"
        "        other.NAME, inner.NAME, other.__file__,\n"
        "        sorted(i.name for i in files.joinpath('data').iterdir()),\n"
        "    ]\n"
    )
    _, wheel = make_wheel(
        source=source,
        files={
            "example_plugin/data/words.txt": "one two",
            "example_plugin/other.py": "NAME = __name__",
            "example_plugin/deep/__init__.py": "",
            "example_plugin/deep/inner.py": "from .. import other\nNAME = other.NAME + '!'",
        },
    )
    execution = sandbox.execute(Job(wheel, "example_plugin", "run", b"{}", QUICK, "r"))
    assert execution.result == [
        "one two",
        "one two",
        "1.0.0",
        "example_plugin.other",
        "example_plugin.other!",
        "/plugin/example_plugin/other.py",
        ["words.txt"],
    ], execution


@pytest.mark.parametrize(
    "module", ["os", "json", "subprocess", "example_plugin.missing", "_ctypes"]
)
def test_only_modules_of_the_wheel_are_called(sandbox: Sandbox, module: str) -> None:
    call = dataclasses.replace(job("def run(arguments):\n    return 1\n"), module=module)
    execution = sandbox.execute(call)
    assert execution.status == "plugin_error"
    assert execution.error is not None
    assert execution.error["type"] == "ImportError"


def test_a_wheel_cannot_replace_the_standard_library(sandbox: Sandbox) -> None:
    _, wheel = make_wheel(
        source="import colorsys\ndef run(arguments):\n    return colorsys.__file__\n",
        files={"colorsys.py": "raise SystemExit"},
    )
    execution = sandbox.execute(Job(wheel, "example_plugin", "run", b"{}", QUICK, "r"))
    assert execution.result is not None, execution
    assert execution.result.startswith("/usr/lib/python3")


def test_what_was_written_before_the_time_ran_out_is_kept(sandbox: Sandbox) -> None:
    source = "import time\ndef run(arguments):\n    print('so far')\n    time.sleep(60)\n"
    execution = run(sandbox, source, wall_seconds=0.5)
    assert (execution.status, execution.stdout) == ("timeout", "so far\n")
    assert 0.5 <= execution.usage.wall_seconds < 2
    assert "0.5 s" in execution.detail


def test_limits_are_those_of_the_call(sandbox: Sandbox) -> None:
    eats = "def run(arguments):\n    return len(b'x' * (80 << 20))\n"
    assert run(sandbox, eats, memory_bytes=64 << 20).status == "resource_limit"
    assert run(sandbox, eats, memory_bytes=128 << 20).status == "ok"
    forks = (
        "import os, time\ndef run(arguments):\n    n = 0\n    try:\n"
        "        while n < 50:\n            if os.fork() == 0: time.sleep(60)\n            n += 1\n"
        "    except OSError: pass\n    return n\n"
    )
    assert run(sandbox, forks, processes=4).result == 3
    assert run(sandbox, forks, processes=1).result == 0
    long = "def run(arguments):\n    return 'x' * 5000\n"
    assert run(sandbox, long, output_bytes=5000).status == "resource_limit"
    assert run(sandbox, long, output_bytes=5002).status == "ok"


def test_what_fails_at_a_limit_says_so(sandbox: Sandbox) -> None:
    source = (
        "import os, signal\n"
        "def run(arguments):\n"
        "    while True:\n"
        "        os.fork() or signal.pause()\n"
    )
    execution = run(sandbox, source, processes=3)
    assert execution.status == "resource_limit"
    assert execution.detail.startswith("processes: more than 3")
    assert execution.error is not None
    assert execution.error["type"] == "BlockingIOError"


def test_calls_run_side_by_side(sandbox: Sandbox) -> None:
    source = "def run(arguments):\n    return arguments['n'] * 2\n"
    # made here: CPython 3.11's ast.parse, behind make_wheel, is not safe in threads
    jobs = [job(source, {"n": n}) for n in range(8)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = [execution.result for execution in pool.map(sandbox.execute, jobs)]
    assert results == [n * 2 for n in range(8)]
    sandbox.drain()
    assert containers_of(sandbox) == []


def test_large_arguments_and_results(sandbox: Sandbox) -> None:
    source = "def run(arguments):\n    return arguments\n"
    value = {"text": "x" * (1 << 20), "list": list(range(20000))}
    execution = run(sandbox, source, value, output_bytes=4 << 20)
    assert execution.result == value


def test_a_job_that_does_not_fit_is_the_callers_mistake(sandbox: Sandbox) -> None:
    for wrong in ({"wheel": b""}, {"module": ""}, {"qualname": "x" * 2000}, {"arguments": b""}):
        with pytest.raises(ValueError, match="bytes, expected"):
            sandbox.execute(dataclasses.replace(job("def run(a): ..."), **wrong))
    sandbox.drain()
    assert containers_of(sandbox) == []


def test_a_wheel_that_is_no_zip(sandbox: Sandbox) -> None:
    call = dataclasses.replace(job("def run(a): ..."), wheel=b"not a zip")
    execution = sandbox.execute(call)
    assert execution.status == "plugin_error"
    assert execution.error is not None
    assert execution.error["type"] == "BadZipFile"


def test_an_execution_is_json(sandbox: Sandbox) -> None:
    execution = run(sandbox, "def run(arguments):\n    return 1\n")
    assert json.loads(json.dumps(dataclasses.asdict(execution)))["status"] == "ok"
