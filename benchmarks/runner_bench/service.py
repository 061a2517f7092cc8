"""The service under test: a deployment with an admitted plugin, called over HTTP.

What is real: the trust root, layout and signed bundles, the gate, the policy with a caller's
token, the audit log on disk with its fsync, the engine and its containers, and the runner in a
process of its own on a loopback socket. The registry that the runner asks once is a small one.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.runner_bench import job
from benchmarks.runner_bench.load import IDLE_SECONDS, Connection
from benchmarks.runner_bench.variant import NotAvailable, TurnedAway, Variant
from runner.sandbox import Job, Sandbox
from runner.sandbox.cell import CellSandbox
from runner.sandbox.choice import choose_driver
from runner.sandbox.execution import DriverName, Level
from runner.sandbox.pool import PoolSettings
from runner.service import Executes
from tests.runner.kit import NAME, Site, TestRegistry
from tests.support import ports
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_manifest, make_wheel
from trust import strictjson
from trust.wheel import Limits

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
INVOCATIONS = "/v1/invocations"
WARM_UP = 140
"""Calls before the first that is measured: a service that has been running for a while. Its log's
write-ahead file has its full length, and the interpreter has specialised its code (PEP 659)."""


def manifest() -> dict[str, Any]:
    """Return the manifest of the plugin that does the job."""
    method = {
        "callable": f"{NAME.replace('-', '_')}:run",
        "summary": "Sum numbers.",
        "arguments": job.ARGUMENTS_SCHEMA,
        "result": job.RESULT_SCHEMA,
    }
    return make_manifest(NAME, methods={"run": method})


def request_body(version: str = "1.0.0") -> str:
    """Return the body of the call that does the job."""
    body = {"plugin": NAME, "version": version, "method": "run", "arguments": job.ARGUMENTS}
    return json.dumps(body)


class Client(threading.local):
    """A caller: kept-alive connections for each thread."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token
        self._connections: dict[str, Connection] = {}
        self._used = 0.0
        self._library = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def get(self, path: str) -> int:
        """Return the status of a GET."""
        try:
            self._library.request("GET", path)
            answer = self._library.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._library.close()
            return 0
        return answer.status

    def invoke(self, version: str = "1.0.0") -> dict[str, Any]:
        """Do the job; return the whole reply, whose receipt was not verified."""
        connection = self._connections.get(version)
        if connection is None:
            body = request_body(version)
            connection = Connection(self.port, self.token, INVOCATIONS, body)
            self._connections[version] = connection
        reply: dict[str, Any] = json.loads(connection.exchange()[1])
        return reply

    def invoke_by_library(self) -> dict[str, Any]:
        """As `invoke`, by Python's `http.client`."""
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._library.close()  # and opened again by the request
        self._used = time.monotonic()
        self._library.request("POST", INVOCATIONS, request_body(), self._headers)
        reply: dict[str, Any] = json.loads(self._library.getresponse().read())
        return reply


class Deployment:
    """A runner with one admitted plugin, in a folder of its own.

    Args:
        image: the runtime image's id.
        sandbox: the policy's `sandbox` member.
        plugin: further members of the plugin's entry in the policy.
        phases: where the runner writes the time of each part, when it ends.
    """

    def __init__(
        self,
        image: str,
        sandbox: Mapping[str, Any],
        plugin: Mapping[str, Any] | None = None,
        phases: Path | None = None,
    ) -> None:
        self._image, self._sandbox, self._plugin = image, sandbox, plugin or {}
        self._phases = phases

    @contextmanager
    def run(self) -> Iterator[Client]:
        """Start the runner; stop it in the end."""
        registry = TestRegistry()
        try:
            # not below /tmp where that is in memory: a durable record must cost what it costs
            with tempfile.TemporaryDirectory(prefix="bench-", dir=_on_disk()) as folder:
                site = Site(Path(folder), TrustFixture(), registry, image=self._image)
                site.policy["sandbox"] = dict(self._sandbox)
                site.policy["plugins"][0].update(self._plugin)
                site.release(source=job.FUNCTION, manifest=manifest())
                with self._process(site) as client:
                    yield client
        finally:
            registry.close()

    @contextmanager
    def _process(self, site: Site) -> Iterator[Client]:
        settings, port = site.settings, ports.free()[0]
        command = [sys.executable, "-m", "benchmarks.runner_bench.serve",
                   str(settings.policy.parent), str(settings.state), str(port)]  # fmt: skip
        if self._phases is not None:
            command += ["--phases", str(self._phases)]
        errors = site.folder / "runner.stderr"
        with (
            errors.open("wb") as sink,
            subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=sink, env=_environment()
            ) as process,
        ):
            client = Client(port, site.token.token)
            try:
                self._wait(process, client, errors)
                yield client
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()

    def _wait(self, process: subprocess.Popen[bytes], client: Client, errors: Path) -> None:
        end = time.monotonic() + START_SECONDS
        while client.get("/readyz") != 200:
            if process.poll() is not None or time.monotonic() > end:
                lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise NotAvailable(f"the runner did not start: {(lines or ['no output'])[-1]}")
            time.sleep(0.1)


def _on_disk() -> Path:
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Http(Variant):
    """The service, end to end, at one isolation level under one OCI runtime."""

    def __init__(
        self,
        name: str,
        title: str,
        deployment: Deployment,
        *,
        level: str,
        runtime: str,
        driver: str = "engine",
        clients: tuple[int, ...] = (),
    ) -> None:
        super().__init__(name, title, warm_up=WARM_UP, clients=clients)
        self._deployment, self._ran = deployment, (level, runtime, driver)
        self._client: Client | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        with self._deployment.run() as self._client:
            yield

    def worker(self) -> tuple[str, dict[str, Any]]:
        return "http", {
            "port": self.client.port,
            "token": self.client.token,
            "path": INVOCATIONS,
            "body": request_body(),
            "wanted": f'"result":{strictjson.dumps(job.EXPECTED).decode()}',
        }

    def call(self) -> None:
        self.take(self.client.invoke())

    @property
    def client(self) -> Client:
        """The caller."""
        if self._client is None:
            raise RuntimeError("the service is not open")
        return self._client

    def take(self, reply: dict[str, Any]) -> None:
        """Look whether a reply is the job's, from where it must come from."""
        if reply["status"] == "unavailable":
            raise TurnedAway(json.dumps(reply["error"]))
        if reply["status"] != "ok":
            raise RuntimeError(f"{reply['status']}: {json.dumps(reply['error'])}")
        job.check(reply["result"])
        ran = tuple(reply["sandbox"][name] for name in ("level", "runtime", "driver"))
        if ran != self._ran or not reply["receipt"]["checkpoint"]:
            raise RuntimeError(f"the call ran at {ran}, or has no receipt")


class ByLibrary(Variant):
    """The service of another variant, which is open, called by Python's `http.client`."""

    def __init__(self, name: str, other: Http) -> None:
        super().__init__(name, f"{other.title}; the caller uses http.client")
        self._other = other

    def call(self) -> None:
        self._other.take(self._other.client.invoke_by_library())


class Alone(Variant):
    """A sandbox without the service, in this process."""

    def __init__(
        self,
        name: str,
        title: str,
        connect: Callable[[], AbstractContextManager[Executes]],
        *,
        level: Level,
        clients: tuple[int, ...],
    ) -> None:
        super().__init__(name, title, clients=clients)
        self._connect, self._level = connect, level
        self._sandbox: Executes | None = None
        self._wheel = make_wheel(NAME, source=job.FUNCTION, manifest=manifest())[1]

    @contextmanager
    def open(self) -> Iterator[None]:
        with self._connect() as self._sandbox:
            yield

    def call(self) -> None:
        if self._sandbox is None:
            raise RuntimeError("the sandbox is not open")
        done = self._sandbox.execute(
            Job(
                wheel=self._wheel,
                module=NAME.replace("-", "_"),
                qualname="run",
                arguments=job.ARGUMENT_BYTES,
                limits=Limits(),
                request_id=str(uuid.uuid4()),
                level=self._level,
            )
        )
        if done.status == "unavailable":
            raise TurnedAway(done.detail)
        if done.status != "ok":
            raise RuntimeError(f"{done.status}: {done.detail}")
        job.check(done.result)


class Same(Variant):
    """What this machine has under another name already."""

    def __init__(self, name: str, title: str, other: str) -> None:
        super().__init__(name, title)
        self._other = other

    def open(self) -> AbstractContextManager[Any]:
        raise NotAvailable(f"it is {self._other}")


@contextmanager
def _pool(image: str, driver: DriverName) -> Iterator[Sandbox]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=_on_disk()) as folder,
        Sandbox.connect(image, pool=PoolSettings(), driver=driver, folder=Path(folder)) as sandbox,
    ):
        yield sandbox


@contextmanager
def _cells(image: str, driver: DriverName) -> Iterator[CellSandbox]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=_on_disk()) as folder,
        CellSandbox.connect(image, driver=driver, folder=Path(folder)) as sandbox,
    ):
        yield sandbox


def _container(name: str, title: str, image: str, driver: DriverName) -> Http:
    deployment = Deployment(image, {"runtime": "runc", "driver": driver})
    return Http(name, f"Sealgate over HTTP, a warm container each call{title}", deployment,
                level="container", runtime="runc", driver=driver, clients=(4, 8))  # fmt: skip


def _cell(name: str, title: str, image: str, driver: DriverName) -> Http:
    deployment = Deployment(image, {"runtime": "runc", "driver": driver}, {"cell_versions": "*"})
    return Http(name, f"Sealgate over HTTP, a fresh cell each call{title}", deployment,
                level="cell", runtime="runc", driver=driver, clients=(4, 8))  # fmt: skip


def services(image: str) -> list[Variant]:
    """Return the variants of Sealgate itself.

    Those without a driver in their name have the one that `sealgate init` chooses here.

    Args:
        image: the runtime image's id.
    """
    chosen = choose_driver(image).driver
    by = f", driver {chosen}"
    warm, cell = (_container("http_warm", by, image, chosen), _cell("cell_warm", by, image, chosen))
    variants: list[Variant] = [
        warm,
        Alone("pool", f"the pool of warm containers alone, without the service{by}",
              lambda: _pool(image, chosen), level="container", clients=(2, 4)),
        cell,
        Alone("cells", f"the cells alone, without the service{by}",
              lambda: _cells(image, chosen), level="cell", clients=(2, 4)),
        Http("gvisor_warm", "Sealgate over HTTP, a warm gVisor container each call",
             Deployment(image, {"runtime": "runsc"}), level="container", runtime="runsc"),
        ByLibrary("http_warm_library", warm),
        ByLibrary("cell_warm_library", cell),
    ]  # fmt: skip
    if chosen == "engine":
        names = (
            ("http_engine", "http_warm"),
            ("pool_engine", "pool"),
            ("cell_engine", "cell_warm"),
        )
        return [*variants, *(Same(name, "the driver engine", other) for name, other in names)]
    return [
        *variants,
        _container("http_engine", ", driver engine", image, "engine"),
        Alone("pool_engine", "the pool alone, driver engine", lambda: _pool(image, "engine"),
              level="container", clients=(2, 4)),
        _cell("cell_engine", ", driver engine", image, "engine"),
    ]  # fmt: skip
