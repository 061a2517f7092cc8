"""Which containers belong to a runner that is no more.

Every container carries its runner's identity. With `stdin_once` and `auto_remove` a runner's
containers end with it; what is left over are those that were created and not yet started, and
those of an engine that was stopped in between.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from runner.sandbox.engine import ENGINE_ERRORS, Engine
from runner.sandbox.errors import unavailable
from runner.sandbox.options import LABEL_RUNNER


def _start_ticks(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; "" if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _world() -> str:
    """Return what must be equal for a process id to mean the same: host, boot, PID namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        boot = namespace = "-"
    return f"{socket.gethostname()}/{boot}/{namespace}"


def runner_identity(serial: int = 0) -> str:
    """Return the identity of a sandbox in this process: host, boot, PID namespace, PID, start."""
    pid = os.getpid()
    return f"{_world()}/{pid}/{_start_ticks(pid)}/{serial}"


def is_dead(identity: str) -> bool:
    """Whether the runner of that identity is certainly gone; False where that cannot be known."""
    world, _, rest = identity.rpartition("/")[0].rpartition("/")[0].rpartition("/")
    parts = identity.split("/")
    if len(parts) != 6 or world != _world() or not rest.isdecimal():
        return False
    return _start_ticks(int(rest)) != parts[4]


def sweep(engine: Engine) -> int:
    """Remove the containers of dead runners of this host; return how many there were.

    Raises:
        SandboxUnavailable: the engine does not answer.
    """
    try:
        found = engine.client.containers(all=True, filters={"label": LABEL_RUNNER})
    except ENGINE_ERRORS as error:
        raise unavailable("engine", "the Docker engine does not answer", value=error) from error
    removed = 0
    for container in found:
        if is_dead(str((container.get("Labels") or {}).get(LABEL_RUNNER, ""))):
            removed += engine.remove(str(container["Id"]))
    return removed
