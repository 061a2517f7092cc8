"""What people do without Sealgate: a subprocess, `docker run`, a fresh container by the SDK."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.utils.socket import frames_iter_no_tty

from benchmarks.runner_bench import job
from benchmarks.runner_bench.variant import NotAvailable, Variant

DEBIAN_PYTHON = "/usr/bin/python3"
"""The interpreter that is in the runtime image as well; a version manager's shim on PATH would
make the subprocess look slower than it is."""
CALL_SECONDS = 60


def system_python() -> str:
    """Return the interpreter of the subprocess."""
    return DEBIAN_PYTHON if Path(DEBIAN_PYTHON).exists() else sys.executable


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, input=job.ARGUMENT_BYTES, capture_output=True, timeout=CALL_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr[-300:]!r}")
    job.check(done.stdout)


class Subprocess(Variant):
    """`python3 -c JOB`: no isolation, no verification, no record."""

    def __init__(self, name: str, title: str, options: tuple[str, ...] = ()) -> None:
        super().__init__(name, title, settles=False, clients=() if options else (2, 4, 8))
        python = system_python()
        self._command = [python, *options, "-c", job.SCRIPT]
        version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True)
        self.details = {"python": version.stdout.strip()}

    def worker(self) -> tuple[str, dict[str, Any]]:
        settings = {"command": self._command, "input": job.ARGUMENT_BYTES.decode()}
        return "program", {**settings, "wanted": job.EXPECTED}

    def call(self) -> None:
        _run(self._command)


class DockerRun(Variant):
    """`docker run --rm -i` of the runtime image, with the job for its command."""

    def __init__(self, image: str) -> None:
        super().__init__("docker_run", "docker run --rm -i, the runtime image")
        self._command = ["docker", "run", "--rm", "-i", "--network", "none",
                         "--entrypoint", DEBIAN_PYTHON, image, "-c", job.SCRIPT]  # fmt: skip

    def open(self) -> AbstractContextManager[Any]:
        if not shutil.which("docker"):
            raise NotAvailable("the docker command is not installed")
        return super().open()

    def call(self) -> None:
        _run(self._command)


class ColdSdk(Variant):
    """docker SDK for Python: create, attach, start, talk, remove, for each call anew.

    With the options that a careful user sets: no network, read-only root, no capabilities, no new
    privileges, limits on memory, processes and CPU, nobody's uid.
    """

    def __init__(self, image: str) -> None:
        super().__init__(
            "cold_sdk", "docker SDK, a fresh hardened container each call", clients=(2, 4)
        )
        self._image = image
        self._local = threading.local()

    def worker(self) -> tuple[str, dict[str, Any]]:
        return "cold_sdk", {"image": self._image, "root": str(Path(__file__).parents[2])}

    def _client(self) -> Any:
        if not hasattr(self._local, "client"):
            self._local.client = docker.from_env(timeout=CALL_SECONDS)
        return self._local.client

    @contextmanager
    def _container(self) -> Iterator[Any]:
        container = self._client().containers.create(
            self._image,
            entrypoint=[DEBIAN_PYTHON, "-c", job.SCRIPT],
            stdin_open=True,
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit="256m",
            memswap_limit="256m",
            pids_limit=64,
            nano_cpus=1_000_000_000,
            tmpfs={"/tmp": "size=16m,noexec,nosuid,nodev"},
            user="65534:65534",
            log_config={"type": "none"},
        )
        try:
            yield container
        finally:
            container.remove(force=True, v=True)

    def call(self) -> None:
        with self._container() as container:
            parameters = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = container.attach_socket(params=parameters)
            try:
                container.start()
                attached._sock.sendall(job.ARGUMENT_BYTES)
                attached._sock.shutdown(socket.SHUT_WR)
                said = b"".join(data for kind, data in frames_iter_no_tty(attached) if kind == 1)
            finally:
                attached._sock.close()
                attached.close()
            job.check(said)


def baselines(image: str) -> list[Variant]:
    """Return the variants that need nothing but Python and the engine.

    Args:
        image: the runtime image's id.
    """
    return [
        Subprocess("subprocess", "python3 -c, a bare subprocess"),
        Subprocess("subprocess_isolated", "python3 -I -S -c, the least that Python starts with",
                   ("-I", "-S")),
        DockerRun(image),
        ColdSdk(image),
    ]  # fmt: skip
