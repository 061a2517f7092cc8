"""Runs the analysis in a process of its own and reads one bounded reply, whatever happens to it.

The process is a fresh interpreter with an empty environment in a session of its own. It imports
the scanner, confines itself (`scanner.jail`), and only then reads the wheel from its standard
input. Here are the bounds that it cannot set for itself: elapsed time, the size of its output, and
the reading of its reply. Every way to end that is not a whole reply is a `Problem`.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import site
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scanner import frames
from scanner.policy import ScanPolicy
from trust.errors import SealgateError, problem

BOOT = """\
import json, sys
sys.path.extend(json.loads(sys.argv[1]))
from scanner.child import main
sys.exit(main(json.loads(sys.argv[2])))
"""
"""The program of the process: the standard library comes first, then the scanner's packages."""

_STDERR_BYTES = 64 * 1024
_CHUNK = 1 << 16
_GRACE_SECONDS = 5.0
"""How long the process may live on after it has closed its output."""


class Confined(SealgateError):
    """The confined process did not give a whole reply; the problem says why and where."""


def package_path() -> list[str]:
    """Return the directories that the scanner and its dependencies are imported from."""
    own = str(Path(__file__).resolve().parent.parent)
    places = [own, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return list(dict.fromkeys([*places, *site.getsitepackages()]))


def command(scratch: Path, policy: ScanPolicy, path: Sequence[str]) -> list[str]:
    """Return the command line of the process.

    `-I -S`: no environment, no user packages, no working directory on the path, no `.pth` files.
    """
    bounds = {
        "scratch": str(scratch),
        "cpu_seconds": policy.cpu_seconds,
        "memory_bytes": policy.memory_bytes,
        "require_network_isolation": policy.require_network_isolation,
        "bandit": policy.bandit,
    }
    flags = ["-I", "-S", "-B", "-X", "utf8", "-W", "ignore"]
    return [sys.executable, *flags, "-c", BOOT, json.dumps(list(path)), json.dumps(bounds)]


def run(request: bytes, policy: ScanPolicy) -> bytes:
    """Run the confined process once.

    Args:
        request: what it gets on its standard input, as `frames.pack_request` makes it.
        policy: the bounds.

    Returns:
        The payload of its reply.

    Raises:
        Confined: it could not be started, was killed, died, said too much, or nothing whole.
    """
    with tempfile.TemporaryDirectory(prefix="sealgate-scan-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o500)
        try:
            process = subprocess.Popen(
                command(scratch, policy, package_path()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                cwd=scratch,
                start_new_session=True,
            )
        except OSError as error:
            raise _confined("scan.not-started", error, "a process", "") from error
        try:
            output, complaint = _converse(process, request, policy)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        finally:
            _end(process)
            scratch.chmod(0o700)
    return _judge(process.returncode, output, complaint)


def _converse(
    process: subprocess.Popen[bytes], request: bytes, policy: ScanPolicy
) -> tuple[bytes, str]:
    """Write the request, read the output; return it with the last line of its complaints.

    Raises:
        Confined: the time is over, or the output is too large.
    """
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise ValueError("the process needs three pipes")
    deadline = time.monotonic() + policy.wall_seconds
    pending = memoryview(request)
    output, complaint = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdin, process.stdout, process.stderr):
            os.set_blocking(pipe.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            events = selector.select(left) if left > 0 else []
            if not events and time.monotonic() >= deadline:
                raise _confined(
                    "scan.timeout",
                    f"not done after {policy.wall_seconds:g} seconds",
                    f"an analysis within {policy.wall_seconds:g} seconds",
                    frames.last_progress(bytes(output)),
                )
            for key, _ in events:
                if key.fileobj is process.stdin:
                    pending = _write(key.fd, pending)
                    done = not pending
                else:
                    sink = output if key.fileobj is process.stdout else complaint
                    chunk = os.read(key.fd, _CHUNK)
                    sink += chunk
                    done = not chunk
                if done:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr] # one of the three pipes
            if len(output) > policy.output_bytes or len(complaint) > _STDERR_BYTES:
                raise _confined(
                    "scan.output-too-large",
                    f"more than {policy.output_bytes} bytes",
                    "a reply within the policy's output_bytes",
                    frames.last_progress(bytes(output)),
                )
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return bytes(output), lines[-1] if lines else ""


def _write(descriptor: int, pending: memoryview) -> memoryview:
    """Write what fits; return the rest, nothing where nobody reads any more."""
    try:
        return pending[os.write(descriptor, pending[:_CHUNK]) :]
    except BrokenPipeError:
        return pending[:0]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process with its whole session and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _judge(status: int, output: bytes, complaint: str) -> bytes:
    where = frames.last_progress(output)
    if status != 0:
        reason = f"exit status {status}" if status > 0 else signal.Signals(-status).name
        if -status == signal.SIGXCPU:
            reason += ": its processor time was over"
        detail = f"{reason}; {complaint}" if complaint else reason
        raise _confined("scan.died", detail, "a process that ends by itself, with a reply", where)
    try:
        return frames.reply_of(output)
    except frames.FrameInvalid as error:
        raise _confined("scan.no-reply", error, "one whole reply", where) from error


def _confined(code: str, value: object, expected: str, where: str) -> Confined:
    at = f"while it looked at {where}" if where else "before it looked at any file"
    return Confined(
        problem(
            code,
            f"the confined analysis did not end well, {at}",
            value=value,
            expected=expected,
            advice="make the file smaller or simpler, or have an operator raise the scan policy's"
            " limits; the outcome is the same as a failed scan until it runs to its end",
            where=where,
        )
    )
