"""A Docker engine of a test's own, to be killed, hung and started again.

It shares nothing with the engine that the other tests use: folders, socket and containerd are its
own, and so is its mount namespace.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from runner.sandbox.engine import Client

START = """
mount --make-rprivate /
if [ -e /sys/fs/cgroup/memory ] && mountpoint -q /sys/fs/cgroup/unified; then
    umount /sys/fs/cgroup/unified
fi
exec dockerd --config-file "$1"
"""
ATTEMPTS = 3
START_SECONDS = 25.0
STOP_SECONDS = 15.0


class OwnEngine:
    """A dockerd under `folder`, whose path must be short: a socket's may have 107 bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{folder}/sock"
        self._config = folder / "daemon.json"
        settings = {
            "hosts": [self.url],
            "data-root": f"{folder}/data",
            "exec-root": f"{folder}/exec",
            "pidfile": f"{folder}/pid",
            "iptables": False,
            "ip6tables": False,
            "bridge": "none",
            "log-level": "warn",
        }
        self._config.write_text(json.dumps(settings))
        self._process: subprocess.Popen[bytes] | None = None

    def client(self) -> Client:
        """Return a client; the caller must close it."""
        return docker.APIClient(self.url, version="auto", timeout=20)

    def start(self) -> None:
        """Start it, and wait until it answers.

        dockerd gives up when its containerd does not start in time, as happens after a crash on a
        busy machine; whoever runs an engine starts it again then, and so do we.
        """
        for attempt in range(ATTEMPTS):
            if self._answers():
                return
            self.close()
            (self._folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
            if attempt == ATTEMPTS - 1:
                told = (self._folder / "log").read_text()[-2000:]
                raise AssertionError(f"the engine does not answer: {told}")

    def _answers(self) -> bool:
        command = ["unshare", "-m", "sh", "-c", START, "sh", str(self._config)]
        log = self._folder / "log"
        with log.open("ab") as file:
            # every `exec` on the way keeps the process id: it is dockerd's
            self._process = subprocess.Popen(
                command, stdout=file, stderr=file, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.client().close()
            except (DockerException, requests.RequestException, OSError):
                time.sleep(0.05)
            else:
                return True
        return False

    def signal(self, number: int) -> None:
        """Send dockerd, and nothing else, a signal."""
        if self._process is None:
            raise AssertionError("the engine was not started")
        self._process.send_signal(number)

    def kill(self) -> None:
        """End dockerd as a crash does: its containerd goes with it, its containers are left."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(STOP_SECONDS)
        # a new dockerd that still finds the old containerd alive would wait for it in vain
        deadline = time.monotonic() + STOP_SECONDS
        while (left := list(self._containerd())) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _containerd(self) -> Iterator[int]:
        for pid in self._left():
            with suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "containerd":
                    yield pid

    def load(self, image: str) -> None:
        """Bring an image over from the shared engine."""
        with docker.from_env().api as shared, self.client() as own:
            own.load_image(b"".join(shared.get_image(image)))

    def close(self) -> None:
        """End everything that it started."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_SECONDS)
        for pid in self._left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _left(self) -> Iterator[int]:
        """Yield what dockerd left: containerd and its shims name this engine's folder."""
        mark = f"{self._folder}/".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "cmdline").read_bytes():
                    yield int(entry.name)
            except OSError:  # it ended meanwhile
                continue


@contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """Run an engine of one's own, without images; afterwards nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="sg-engine-", dir="/tmp"))
    engine = OwnEngine(folder)
    try:
        engine.start()
        yield engine
    finally:
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)
