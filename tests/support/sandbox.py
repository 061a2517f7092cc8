"""Calls of small plugins in real containers, for tests of the sandbox and of the runner."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

from runner.sandbox import Execution, Job, Sandbox
from runner.sandbox.cell import CellSandbox
from runner.sandbox.execution import Level
from tests.support.wheels import make_wheel
from trust.wheel import Limits

QUICK = Limits(
    wall_seconds=3.0,
    cpu_seconds=2,
    memory_bytes=64 << 20,
    processes=16,
    output_bytes=256 << 10,
)
"""Limits that a hostile plugin runs into soon."""


def job(source: str, arguments: Any = None, *, qualname: str = "run", **limits: Any) -> Job:
    """Return a job that calls `qualname` of a plugin with that source; `limits` change QUICK."""
    _, wheel = make_wheel(source=source)
    return Job(
        wheel=wheel,
        module="example_plugin",
        qualname=qualname,
        arguments=json.dumps({} if arguments is None else arguments).encode(),
        limits=dataclasses.replace(QUICK, **limits),
        request_id=str(uuid.uuid4()),
    )


def run(
    sandbox: Sandbox | CellSandbox, source: str, arguments: Any = None, **options: Any
) -> Execution:
    """Run a plugin's source once, at the level of the sandbox."""
    level: Level = "cell" if isinstance(sandbox, CellSandbox) else "container"
    made = job(source, arguments, **options)
    return sandbox.execute(dataclasses.replace(made, level=level))


def containers_of(sandbox: Sandbox | CellSandbox) -> list[dict[str, Any]]:
    """Return the containers that this sandbox started and that are not gone yet."""
    return [{"Id": container} for container in sandbox.driver.containers()]
