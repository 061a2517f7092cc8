"""Every hostile plugin, under runc, under gVisor, by the driver `oci`, and in the fallback.

What its caller sees, and that nothing else comes of it.

The fallback (a process in bubblewrap) holds less than a container: a plugin that says `Not held by
the fallback` must get through there, or the sentence has become untrue.

A plugin of the corpus says in its docstring what it tries, which statuses its caller may see and
what stops it. It returns {"escaped": [...]}: whatever stands there got through. `Runtimes: runc`
stands where the harness alone decides, which is the same under gVisor.
"""

from __future__ import annotations

import platform
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.sandbox import Execution, Sandbox
from tests.support.sandbox import containers_of, run

PLUGINS = Path(__file__).parent / "plugins"
HONEST = "def run(arguments):\n    return {'sum': sum(arguments['numbers'])}\n"
WALL_SECONDS = 1.5
KERNEL_SETTINGS = ("core_pattern", "hostname", "domainname", "sysrq", "panic")

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@dataclass(frozen=True)
class Hostile:
    """One plugin of the corpus, as its docstring describes it."""

    name: str
    source: str
    expected: dict[str, set[str]]
    calls: int
    machine: str
    runtimes: tuple[str, ...]
    not_held: str

    @classmethod
    def read(cls, path: Path) -> Hostile:
        source = path.read_text(encoding="utf-8")
        text = re.sub(r"\n    ", " ", source.split('"""')[1])
        facts = dict(re.findall(r"^([A-Z][a-z0-9 ]+): (.+)$", text, re.MULTILINE))
        assert {"Tries", "Expected", "Stopped by"} <= set(facts), f"{path.name}: {facts}"
        runc = set(facts["Expected"].split(", "))
        runsc = set(facts.get("Expected under runsc", facts["Expected"]).split(", "))
        fallback = set(facts.get("Expected in the fallback", facts["Expected"]).split(", "))
        return cls(
            name=path.stem,
            source=source,
            expected={"runc": runc, "runsc": runsc, "bubblewrap": fallback},
            not_held=facts.get("Not held by the fallback", ""),
            calls=int(facts.get("Calls", "1")),
            machine=facts.get("Machine", ""),
            runtimes=tuple(facts.get("Runtimes", "runc, runsc").split(", ")),
        )


CORPUS = [Hostile.read(path) for path in sorted(PLUGINS.glob("*.py"))]
CASES = [
    (hostile, kind)
    for hostile in CORPUS
    for kind in (
        *hostile.runtimes,
        *(["oci", "subprocess"] if "runc" in hostile.runtimes else []),
    )
]


def host_state() -> dict[str, str]:
    """What a hostile plugin must not be able to change."""
    places = {name: Path("/proc/sys/kernel") / name for name in KERNEL_SETTINGS}
    state = {name: path.read_text() for name, path in places.items() if path.exists()}
    state["clock"] = str(round((time.time() - time.monotonic()) / 60))
    state["host"] = socket.gethostname()
    return state


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 40


@pytest.mark.parametrize(
    ("hostile", "kind"), CASES, ids=lambda value: getattr(value, "name", value)
)
def test_hostile_plugin(hostile: Hostile, kind: str, sandboxes: dict[str, Sandbox]) -> None:
    if kind not in sandboxes:
        pytest.skip(f"this engine does not have the runtime {kind}")
    if hostile.machine and hostile.machine != platform.machine():
        pytest.skip(f"written for {hostile.machine}, this is {platform.machine()}")
    sandbox = sandboxes[kind]
    runtime = sandbox.hardening.runtime
    before = host_state()

    began = time.monotonic()
    executions: list[Execution] = [
        run(
            sandbox,
            hostile.source,
            {"runtime": "runc" if kind == "subprocess" else runtime, "kind": kind},
            wall_seconds=WALL_SECONDS,
            cpu_seconds=1,
        )
        for _ in range(hostile.calls)
    ]
    elapsed = time.monotonic() - began

    for execution in executions:
        assert execution.status in hostile.expected[runtime], execution
        assert execution.usage.wall_seconds <= WALL_SECONDS + 1.5
        assert len(execution.stdout) + len(execution.stderr) <= 256 << 10
        if execution.status == "ok":
            held = kind != "subprocess" or not hostile.not_held
            assert (execution.result["escaped"] == []) is held, execution
        else:
            assert execution.result is None
            assert execution.detail
    assert elapsed < hostile.calls * (WALL_SECONDS + 8)

    honest = run(sandbox, HONEST, {"numbers": [1, 2, 3]}, wall_seconds=10.0)
    assert (honest.status, honest.result) == ("ok", {"sum": 6}), honest
    sandbox.drain()
    assert containers_of(sandbox) == []
    assert host_state() == before
