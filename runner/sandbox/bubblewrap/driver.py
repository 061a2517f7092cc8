"""`SubprocessDriver`: confined processes on this machine, behind the seam of the containers."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

from runner.sandbox import orphans
from runner.sandbox.bubblewrap.command import Programs, command
from runner.sandbox.cell.bpf import UnsupportedProfile, compile_profile
from runner.sandbox.errors import SandboxUnavailable, unavailable
from runner.sandbox.events import Death
from runner.sandbox.oci.container import OciContainer
from runner.sandbox.oci.runtime import PATH, Process
from runner.sandbox.options import Hardening
from runner.sandbox.processes import Processes
from trust.errors import problem

FIRST_UID, UIDS = 1 << 30, 1 << 29
"""Users that exist nowhere: each process gets one of its own, so that its processes are counted.

They are drawn at random, since other runners of this host do the same.
"""
NOT_HELD: Final = (
    "memory of all processes together",
    "processor time of all processes together, but for the wall clock",
    "number of files in /tmp",
    "noexec on /tmp",
    "a root without setuid files",
    "the pinned image",
)
"""What no record may claim of this driver, of every runner's; docs/sandbox.md says more of each."""
PROCESSES_NOT_EXACT: Final = "number of processes, to within one"
PROCESSES_NOT_HELD: Final = "number of processes"
"""The one of a runner that is root, and gives each call a user of its own, and of any other."""


def _refuse(what: str, value: object, expected: str, advice: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        problem("sandbox.fallback", what, value=value, expected=expected, advice=advice)
    )


def find_programs() -> Programs:
    """Return the programs that it needs.

    Raises:
        SandboxUnavailable: one is missing.
    """
    found = {}
    for name in ("prlimit", "bwrap", "python3"):
        path = shutil.which(name, path=PATH)
        if path is None or (name == "python3" and not path.startswith("/usr/")):
            raise _refuse(
                "the fallback misses a program",
                name,
                "prlimit, bwrap and /usr/bin/python3",
                "install util-linux, bubblewrap and python3, or an engine, which is better",
            )
        found[name] = path
    return Programs(found["prlimit"], found["bwrap"], found["python3"])


class SubprocessDriver:
    """Processes in bubblewrap; safe to share between threads."""

    name = "subprocess"

    def __init__(self, programs: Programs, filter_program: bytes, serial: int) -> None:
        self.identity = orphans.runner_identity(serial)
        self._programs = programs
        self._filter = filter_program
        self._folder = Path(tempfile.mkdtemp(prefix="sealgate-fallback-"))
        self._processes = Processes()
        self._own_users = os.geteuid() == 0
        self._install()

    @classmethod
    def connect(cls, serial: int, hardening: Hardening | None = None) -> SubprocessDriver:
        """Check everything that it needs, and start one process to see that it works.

        Raises:
            SandboxUnavailable: a program is missing, this machine forbids namespaces, or the
                profile cannot be compiled for it.
        """
        wanted = hardening or Hardening()
        program = b""
        if wanted.seccomp != "unconfined":
            try:
                program = compile_profile(json.loads(wanted.seccomp), platform.machine())
            except UnsupportedProfile as error:
                raise _refuse(
                    "the seccomp profile cannot be compiled for this machine",
                    error,
                    "x86_64 or aarch64",
                    "use an engine",
                ) from error
        driver = cls(find_programs(), program, serial)
        try:
            driver.start(wanted).destroy()
        except BaseException:
            driver.close()
            raise
        return driver

    def _install(self) -> None:
        """Copy the harness to where a user without any rights can read it."""
        self._folder.chmod(0o755)
        with as_file(files("runner.sandbox").joinpath("harness")) as source:
            target = self._folder / "_sealgate_harness"
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.move(self._folder / "_sealgate_harness" / "start.py", self._folder / "start.py")
        for path in (self._folder, *self._folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def summary(self, hardening: Hardening) -> dict[str, Any]:
        """Return what a record says of the controls in force, and what is not held."""
        told = hardening.summary()
        for absent in ("nano_cpus", "auto_remove", "log_driver", "ipc", "swap", "tmpfs"):
            del told[absent]
        if self._own_users:
            return {**told, "not_held": [*NOT_HELD, PROCESSES_NOT_EXACT]}
        del told["pids"]
        return {**told, "not_held": [*NOT_HELD, PROCESSES_NOT_HELD]}

    def start(self, hardening: Hardening, request_id: str = "") -> OciContainer:
        """Start a process and wait until its supervisor is ready.

        Raises:
            SandboxUnavailable: it did not become ready.
        """
        return OciContainer.launch(self, secrets.token_hex(16), hardening)

    def launch(
        self, container: str, hardening: Hardening, stream: socket.socket, errors: int
    ) -> Process:
        """Start the process on those descriptors.

        Raises:
            SandboxUnavailable: it could not be started.
        """
        filtered = -1
        try:
            if self._filter:
                filtered = os.memfd_create("seccomp", os.MFD_CLOEXEC)
                os.write(filtered, self._filter)
                os.lseek(filtered, 0, os.SEEK_SET)
            process = self._spawn(hardening, stream, errors, filtered)
        except (OSError, subprocess.SubprocessError) as error:
            raise unavailable("start", "the process could not be started", value=error) from error
        finally:
            if filtered >= 0:
                os.close(filtered)
        return self._processes.add(container, process)

    def _spawn(
        self, hardening: Hardening, stream: socket.socket, errors: int, filtered: int
    ) -> Process:
        words = command(
            self._programs,
            hardening,
            self._folder,
            seccomp=filtered,
            count_processes=self._own_users,
        )
        user = FIRST_UID + secrets.randbelow(UIDS) if self._own_users else None
        started = subprocess.Popen(
            words,
            stdin=stream.fileno(),
            stdout=stream.fileno(),
            stderr=errors,
            env={"PATH": PATH},
            cwd="/",
            pass_fds=(filtered,) if filtered >= 0 else (),
            user=user,
            group=user,
            extra_groups=[] if self._own_users else None,
            start_new_session=True,
        )
        started.returncode = 0  # `Process` waits for it from here on
        return Process(started.pid)

    def remove(self, container: str) -> bool:
        """End a process and all that it started; return whether it is gone."""
        if not self._processes.kill(container):
            return False
        self._processes.forget(container)
        return True

    def ended(self, container: str, seconds: float) -> Death:
        """Return how a process ended, waiting at most `seconds` for its end."""
        process = self._processes.ended(container, seconds)
        if process is None:
            return Death(None, False)
        return Death(process.exit_code, False)

    def containers(self) -> list[str]:
        """Return the ids of the processes that have not been removed."""
        return self._processes.names()

    def check(self) -> None:
        """Raise SandboxUnavailable if a program is no longer there."""
        find_programs()

    def sweep(self) -> int:
        """Nothing outlives a runner here: its processes end when their stream or parent does."""
        return 0

    def close(self) -> None:
        """End what is left, and remove the copy of the harness."""
        for container in self.containers():
            self.remove(container)
        shutil.rmtree(self._folder, ignore_errors=True)
