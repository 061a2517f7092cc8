"""A running deployment of real processes, and its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealgate import processes
from sealgate.deployment import Addresses, Deployment
from sealgate.setup import Plan, initialise
from tests.support import ports
from tests.support.evidence import AUTHOR, OUTSIDER
from tests.support.wheels import make_wheel

SERVICES = ("authority", "registry", "worker")


def initialised(home: Path) -> Deployment:
    """Make a deployment on free ports, whose runner would run `example-plugin`."""
    plan = Plan(
        image="sha256:" + "0" * 64,
        authors=(AUTHOR, OUTSIDER),
        plugins={"example-plugin": AUTHOR},
    )
    return initialise(home, Addresses.on_ports(ports.consecutive()), plan)


@contextmanager
def running(deployment: Deployment) -> Iterator[Deployment]:
    """Run everything but the runner."""
    processes.start(deployment, SERVICES)
    try:
        yield deployment
    finally:
        processes.stop(deployment, tuple(reversed(SERVICES)))


def sealgate(
    deployment: Deployment, *words: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one command of the deployment."""
    return subprocess.run(
        [sys.executable, "-m", "sealgate", "--home", deployment.home, *words],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, **environment},
    )


def write(folder: Path, **changes: object) -> Path:
    """Write a test wheel into `folder`."""
    filename, wheel = make_wheel(**changes)  # type: ignore[arg-type] # make_wheel's own names
    path = folder / filename
    path.write_bytes(wheel)
    return path
