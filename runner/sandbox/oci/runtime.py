"""One container's process: started by the OCI runtime, then a child of this process.

`runc run --detach` gives the container's first process the descriptors that it was itself started
with, and ends. As a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER) this process is then the parent:
it learns the exit code, and the process id cannot be another's before it has asked.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from runner.sandbox.errors import SandboxUnavailable, unavailable
from trust.errors import problem

PR_SET_CHILD_SUBREAPER = 36
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RUNTIMES = ("runc",)
START_SECONDS = 20.0
TOLD_BYTES = 4096

_reapers = 0
_reapers_lock = threading.Lock()
_libc = ctypes.CDLL(None, use_errno=True)


def adopt(on: bool) -> None:
    """Become the parent of what the runtime leaves, or no longer; counted, for several drivers."""
    global _reapers
    with _reapers_lock:
        _reapers += 1 if on else -1
        changed = _reapers == (1 if on else 0)
        if changed and _libc.prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
            error = os.strerror(ctypes.get_errno())
            raise unavailable("oci-reaper", "this process cannot adopt containers", value=error)


def find(runtime: str) -> str:
    """Return the path of an OCI runtime's binary, which nobody but root can have put there.

    Raises:
        SandboxUnavailable: there is none, or others could change it.
    """
    path = shutil.which(runtime, path=PATH) if runtime in RUNTIMES else None
    if path is None:
        raise SandboxUnavailable(
            problem(
                "sandbox.oci-runtime",
                "the driver `oci` does not find the runtime that the policy asks for",
                value=runtime,
                expected=f"one of {', '.join(RUNTIMES)}, on {PATH}",
                advice="install it (Debian: runc), or use the driver `engine`",
            )
        )
    found = Path(path).resolve()
    for each in (found, *found.parents):
        state = each.stat()
        if state.st_uid != 0 or stat.S_IMODE(state.st_mode) & 0o022:
            raise SandboxUnavailable(
                problem(
                    "sandbox.oci-runtime",
                    "the runtime's binary could be changed by others than root",
                    value=f"{each}: owner {state.st_uid}, mode {state.st_mode:o}",
                    expected="owner root, not writable by group and others",
                    advice="mend owner and mode, or use the driver `engine`",
                )
            )
    return str(found)


class Process:
    """The first process of a container, a child of this one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)
        self._lock = threading.Lock()
        self._code: int | None = None
        self._reaped = False

    def kill(self) -> None:
        """Kill it, and with it every process of its PID namespace."""
        with self._lock:
            if not self._reaped:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, reap it; return whether it has ended."""
        if not self._ended(seconds):
            return False
        with self._lock:
            if self._reaped:
                return True
            with suppress(ChildProcessError):
                status = os.waitpid(self.pid, 0)[1]
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code
            self._reaped = True
            os.close(self._handle)
            return True

    def _ended(self, seconds: float) -> bool:
        """Wait for its end; meanwhile others may kill it."""
        with self._lock:
            if self._reaped:
                return True
            handle = os.dup(self._handle)
        try:
            waiter = select.poll()
            waiter.register(handle, select.POLLIN)
            return bool(waiter.poll(seconds * 1000))
        finally:
            os.close(handle)

    @property
    def exit_code(self) -> int | None:
        """The exit code as a shell tells it (128 and the signal); None while it is not known."""
        return self._code


class Runtime:
    """An OCI runtime's binary and where it keeps its own state.

    Args:
        binary: the path.
        state: a folder that does not outlive the machine's uptime.
    """

    def __init__(self, binary: str, state: Path) -> None:
        self.binary = binary
        self.state = state

    def run(self, container: str, bundle: Path, stream: socket.socket, errors: int) -> Process:
        """Start a container; its stdin and stdout are `stream`, its stderr is `errors`.

        Raises:
            SandboxUnavailable: the runtime refused, or did not end in time.
        """
        pid_file = bundle / "pid"
        command = [self.binary, "--root", str(self.state), "run", "--detach"]
        command += ["--pid-file", str(pid_file), "--bundle", str(bundle), container]
        environment = {"PATH": PATH, "XDG_RUNTIME_DIR": str(self.state)}
        try:
            done = subprocess.run(
                command,
                stdin=stream.fileno(),
                stdout=stream.fileno(),
                stderr=errors,
                env=environment,
                timeout=START_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise unavailable("start", "the OCI runtime did not run", value=error) from error
        if done.returncode != 0:
            raise unavailable(
                "start",
                "the OCI runtime did not start the container",
                value=f"exit {done.returncode}",
                advice="look at what the runtime says",
            )
        return Process(int(pid_file.read_text()))

    def forget(self, container: str) -> None:
        """Remove what the runtime keeps of a container that has ended."""
        shutil.rmtree(self.state / container, ignore_errors=True)
