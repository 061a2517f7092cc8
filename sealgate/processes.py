"""Start and stop the services of a local deployment as background processes.

Each service is `sealgate --home HOME serve NAME` in a session of its own, with its pid in
var/run/NAME.pid and its output in var/log/NAME.log. Only processes that this module started, and
that still run that very command, are ever signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import requests

from sealgate.deployment import Deployment
from trust.errors import SealgateError, problem

START_SECONDS = 60.0
STOP_SECONDS = 20.0


class ServiceFailed(SealgateError):
    """A service did not start, or did not stop."""


def _address(deployment: Deployment, service: str) -> str | None:
    return {
        "authority": deployment.addresses.authority,
        "registry": deployment.addresses.registry,
        "runner": deployment.addresses.runner,
    }.get(service)


def _probe(deployment: Deployment, service: str) -> str | None:
    """Return the URL that answers 200 when `service` is ready; a worker has none."""
    address = _address(deployment, service)
    if address is None:
        return None
    return address + ("/healthz" if service == "authority" else "/readyz")


def pid_of(deployment: Deployment, service: str) -> int | None:
    """Return the pid of the running `service` of this deployment, or None.

    The pid file alone is not believed: the process must still be this deployment's service.
    """
    try:
        pid = int((deployment.var / "run" / f"{service}.pid").read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    wanted = [b"--home", os.fsencode(deployment.home.resolve()), b"serve", service.encode()]
    return pid if command[-len(wanted) - 1 : -1] == wanted else None


def start(
    deployment: Deployment, services: Sequence[str], say: Callable[[str], None] = lambda _: None
) -> None:
    """Start `services` in order, each when the one before it is ready.

    Raises:
        ServiceFailed: a service ended, or was not ready within `START_SECONDS`; its log is named.
    """
    for folder in ("run", "log"):
        (deployment.var / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    for service in services:
        if pid_of(deployment, service) is not None:
            say(f"{service}: already running")
            continue
        log = deployment.var / "log" / f"{service}.log"
        command = [sys.executable, "-m", "sealgate", "--home", str(deployment.home.resolve())]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*command, "serve", service],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                close_fds=True,
            )
        (deployment.var / "run" / f"{service}.pid").write_text(f"{process.pid}\n", encoding="ascii")
        _wait_ready(process, service, _probe(deployment, service), log)
        say(f"{service}: {_address(deployment, service) or 'running'}")


def _wait_ready(
    process: subprocess.Popen[bytes], service: str, probe: str | None, log: Path
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            _fail(f"{service} ended at once", f"exit code {process.returncode}", log)
        if probe is None:
            # a worker has no port: it is ready when it has said so in its log
            if b"ready" in log.read_bytes():
                return
        else:
            try:
                if requests.get(probe, timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                pass
        time.sleep(0.1)
    _fail(f"{service} was not ready in time", f"{START_SECONDS:.0f} s", log)


def _fail(what: str, value: str, log: Path) -> None:
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or [""]
    raise ServiceFailed(
        problem(
            "service.failed",
            what,
            value=f"{value}: {tail[0]}",
            expected="a service that is ready",
            advice=f"read {log}",
        )
    )


def stop(
    deployment: Deployment, services: Sequence[str], say: Callable[[str], None] = lambda _: None
) -> None:
    """Stop `services` in order: SIGTERM, and SIGKILL after `STOP_SECONDS`."""
    for service in services:
        pid = pid_of(deployment, service)
        if pid is None:
            continue
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while pid_of(deployment, service) == pid and time.monotonic() < deadline:
            time.sleep(0.05)
        if pid_of(deployment, service) == pid:
            os.kill(pid, signal.SIGKILL)
        say(f"{service}: stopped")
