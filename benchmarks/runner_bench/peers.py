"""Other sandboxes from PyPI on the same engine, each in a virtual environment of its own.

The environments are made under var/bench/ when the benchmark first runs. Each peer lives in a
process of its own interpreter, which times its calls itself: the pipe to it costs nothing.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from benchmarks.runner_bench import job
from benchmarks.runner_bench.variant import NotAvailable, Variant

HERE = Path(__file__).parent
VENVS = HERE.parents[1] / "var" / "bench"
INSTALL_SECONDS = 300
IMAGE_NAME = "sealgate-bench-shell"
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/nonexistent\n"
EPICBOX = ("epicbox==1.1.0", "docker==7.1.0", "requests==2.31.0", "urllib3==1.26.20")
"""epicbox passes an argument to urllib3 that its version 2 no longer takes."""
LLM_SANDBOX = ("llm-sandbox[docker]==0.3.46",)


def venv(name: str, requirements: tuple[str, ...]) -> str:
    """Return the interpreter of an environment with `requirements`; make it if need be.

    Raises:
        NotAvailable: it cannot be made here (no package index, for example).
    """
    folder, wanted = VENVS / name, "\n".join(requirements)
    python, marker = str(folder / "bin" / "python"), folder / ".requirements"
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements]
    for command in ([sys.executable, "-m", "venv", str(folder)], pip):
        try:
            subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            told = str(getattr(error, "stderr", "") or error).strip().splitlines() or [""]
            raise NotAvailable(f"its environment cannot be made: {told[-1]}") from error
    marker.write_text(wanted, encoding="utf-8")
    return python


def shell_image(image: str) -> str:
    """Return the id of the runtime image with what the peers need: a shell, and no entry point.

    Raises:
        NotAvailable: this host has no shell that runs in the image.
    """
    client = docker.from_env()
    tag = image.removeprefix("sha256:")[:16]
    try:
        return str(client.images.get(f"{IMAGE_NAME}:{tag}").id)
    except docker.errors.ImageNotFound:
        return _make_shell_image(client, image, tag)


def _make_shell_image(client: Any, image: str, tag: str) -> str:
    shell = shutil.which("dash") or shutil.which("busybox")
    if shell is None:
        raise NotAvailable("this host has neither dash nor busybox to put into the peers' image")
    container = client.containers.create(image, network_mode="none")
    try:
        exported = b"".join(container.export())
    finally:
        container.remove(force=True)
    told = client.api.import_image_from_data(
        _with_shell(exported, Path(shell).resolve()),
        changes=['CMD ["/bin/sh"]', "ENV PATH=/usr/bin:/bin"],
    )
    made = client.images.get(json.loads(told.splitlines()[-1])["status"])
    trial = client.containers.create(made.id, ["/bin/sh", "-c", "python -V"], network_mode="none")
    try:
        trial.start()
        if trial.wait()["StatusCode"] != 0:
            raise NotAvailable("the host's shell does not run in the peers' image")
    except docker.errors.DockerException as error:
        raise NotAvailable(f"the peers' image does not start: {error}") from error
    finally:
        trial.remove(force=True)
    made.tag(IMAGE_NAME, tag)
    return str(made.id)


def _with_shell(exported: bytes, shell: Path) -> bytes:
    """Return a root file system (tar) with what the peers need beyond the runtime image."""
    result = io.BytesIO()
    links = {"bin": "usr/bin", "usr/bin/python": "python3"}
    ours = {"usr/bin/sh", "etc/passwd", "sandbox", *links}
    with (
        tarfile.open(fileobj=io.BytesIO(exported)) as old,
        tarfile.open(fileobj=result, mode="w") as new,
    ):
        for member in old:
            if member.name.strip("./") not in ours:
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
        with shell.open("rb") as file:
            new.addfile(new.gettarinfo(str(shell), "usr/bin/sh"), file)
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            new.addfile(link)
        passwd = tarfile.TarInfo("etc/passwd")
        passwd.size = len(_PASSWD)
        new.addfile(passwd, io.BytesIO(_PASSWD))
        folder = tarfile.TarInfo("sandbox")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o777
        new.addfile(folder)
    return result.getvalue()


class Peer(Variant):
    """Another sandbox, in a process of its own."""

    def __init__(
        self,
        name: str,
        title: str,
        image: str,
        *,
        worker: str,
        requirements: tuple[str, ...],
        options: dict[str, Any] | None = None,
        calls: int | None = None,
    ) -> None:
        super().__init__(name, title, calls=calls)
        self._image, self._worker, self._requirements = image, worker, requirements
        self._options = options or {}
        self._process: subprocess.Popen[str] | None = None
        self.details = {"packages": list(requirements)}

    @contextmanager
    def open(self) -> Iterator[None]:
        task = {
            "image": shell_image(self._image),
            "script": job.SCRIPT,
            "embedded": job.embedded(),
            "arguments": job.ARGUMENT_BYTES.decode(),
            **self._options,
        }
        python = venv(self._worker, self._requirements)
        path = HERE / f"peer_{self._worker.replace('-', '_')}.py"
        with subprocess.Popen(
            [python, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            self._process = process
            try:
                self._ask(task)
                yield
            finally:
                if process.stdin is not None:
                    process.stdin.close()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()

    def _ask(self, message: Any) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("the peer is not open")
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the peer ended"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def call(self) -> float:
        answer = self._ask({})
        job.check(answer["result"])
        return float(answer["seconds"])


def peers(image: str) -> list[Variant]:
    """Return the peers.

    Args:
        image: the runtime image's id; the peers run in the same files, with a shell added.
    """
    llm = {"worker": "llm-sandbox", "requirements": LLM_SANDBOX}
    return [
        Peer("epicbox", "epicbox, a container each call", image, worker="epicbox",
             requirements=EPICBOX),
        Peer("llm_sandbox", "llm-sandbox, one session reused (no isolation between calls)", image,
             options={"session": "reused"}, **llm),
        Peer("llm_sandbox_session", "llm-sandbox, a session each call, stopped by SIGKILL", image,
             options={"session": "each", "runtime": {"stop_signal": "SIGKILL"}}, **llm),
        Peer("llm_sandbox_default", "llm-sandbox, a session each call, as it comes", image,
             options={"session": "each"}, calls=2, **llm),
    ]  # fmt: skip
