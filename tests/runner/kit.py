"""What the runner's tests share: a registry on a real socket, a site with real trust material."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.clock import SystemClock
from runner.main import RunnerSettings, Service, open_service
from runner.receipts import verify_reply_receipt
from runner.sandbox import Execution, Job, Usage
from runner.setup import CallerToken, default_policy, initialise, make_caller_token
from tests.support.evidence import TrustFixture, sha256
from tests.support.wheels import make_wheel
from trust import strictjson
from trust.log import MerkleLog
from trust.outcomes import Passed

IMAGE = "sha256:" + "ab" * 32
NAME = "example-plugin"


@dataclass
class Release:
    """One version as a registry offers it."""

    name: str
    version: str
    filename: str
    wheel: bytes
    bundles: list[bytes]
    state: str = "published"
    digest: str = ""
    locked: Mapping[str, bytes] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "filename": self.filename,
            "sha256": self.digest or sha256(self.wheel),
            "state": self.state,
        }


Handler = Callable[[http.server.BaseHTTPRequestHandler], None]


class TestRegistry:
    """Answers as the real registry does, from releases in memory, on a real socket.

    `hostile` maps a path to a function that answers in its own way; `down` closes every
    connection without an answer.
    """

    __test__ = False

    def __init__(self) -> None:
        self.releases: dict[tuple[str, str], Release] = {}
        self.hostile: dict[str, Handler] = {}
        self.requests: list[str] = []
        self.down = False
        outer = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                if outer.down:
                    self.close_connection = True
                    return
                handler = outer.hostile.get(self.path)
                if handler is not None:
                    handler(self)
                    return
                body = outer.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A runner that hangs up is not an error here."""

        self._server = Server(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def add(self, release: Release) -> Release:
        self.releases[release.name, release.version] = release
        return release

    def answer(self, path: str) -> bytes | None:
        parts = path.removeprefix("/api/v1/plugins/").split("/")
        if len(parts) == 1:
            lines = [r.line() for (name, _), r in self.releases.items() if name == parts[0]]
            body = {"name": parts[0], "versions": lines}
            return strictjson.dumps(body) if lines else None
        release = self.releases.get((parts[0], parts[1]))
        if release is None:
            return None
        if len(parts) == 2:
            return strictjson.dumps(release.line())
        if parts[2] == "wheel":
            return release.wheel
        if parts[2] == "dependencies":
            return release.locked.get(parts[3])
        if len(parts) == 3:
            return strictjson.dumps([{"sha256": sha256(bundle)} for bundle in release.bundles])
        return next((b for b in release.bundles if sha256(b) == parts[3]), None)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class RecordingSandbox:
    """Executes nothing: remembers each job, and what the audit log had when it came.

    For tests whose subject is what happens before and after the execution.
    """

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.records_before: list[list[dict[str, Any]]] = []
        self.log: Path | None = None
        self.behave: Callable[[Job], Execution] = executed

    def execute(self, job: Job) -> Execution:
        job.ask()
        job.clear()
        if job.control.stopped:
            return executed(job, status="stopped", result=None, usage=Usage(0.0))
        self.jobs.append(job)
        if self.log is not None:
            self.records_before.append(records_of(self.log))
        return self.behave(job)


def executed(job: Job, **changes: Any) -> Execution:
    """Return the execution of `greet` or `echo`, or what `changes` say."""
    arguments = json.loads(job.arguments)
    result: Any = {"value": arguments}
    if job.qualname == "greet":
        result = {"greeting": f"Hello, {arguments['name']}!"}
    parts: dict[str, Any] = {
        "status": "ok",
        "result": result,
        "error": None,
        "stdout": "",
        "stderr": "",
        "usage": Usage(0.01),
        "sandbox": {"level": "container", "runtime": "runc", "limits": asdict(job.limits)},
    }
    return Execution(**(parts | changes))


def records_of(path: Path) -> list[dict[str, Any]]:
    """Return every record of a log."""
    log = MerkleLog(path, None)
    try:
        return [strictjson.loads(entry) for entry in log.entries(0, log.size)]
    finally:
        log.close()


@dataclass
class Site:
    """A runner's whole surroundings in a temporary folder."""

    folder: Path
    trust: TrustFixture
    registry: TestRegistry
    image: str = IMAGE
    token: CallerToken = field(default_factory=make_caller_token)
    sandbox: RecordingSandbox = field(default_factory=RecordingSandbox)

    def __post_init__(self) -> None:
        keys = self.keys
        self.vkey = initialise(self.state, keys).vkey
        (keys / "trusted_root.json").write_bytes(self.trust.sigstore.trusted_root)
        (keys / "layout.json").write_bytes(self.trust.layout)
        (keys / "layout_owners.json").write_bytes(self.trust.owners)
        self.policy: dict[str, Any] = default_policy(
            image=self.image,
            registry=self.registry.url,
            callers={"demo": self.token.sha256},
            plugins={NAME: [self.trust.author]},
        )

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def state(self) -> Path:
        return self.folder / "runner"

    @property
    def settings(self) -> RunnerSettings:
        """The settings, with the policy written as it stands now."""
        (self.keys / "runner_policy.json").write_text(json.dumps(self.policy))
        settings = RunnerSettings.under(self.keys, self.state)
        return RunnerSettings(**{**asdict(settings), "copy_to_stdout": False})

    @property
    def log(self) -> Path:
        return self.state / "audit.sqlite"

    def records(self) -> list[dict[str, Any]]:
        return records_of(self.log)

    def release(
        self, version: str = "1.0.0", *, bundles: Sequence[bytes] | None = None, **wheel: Any
    ) -> Release:
        """Publish a version with full evidence, or with `bundles`."""
        filename, data = make_wheel(NAME, version, **wheel)
        evidence = list(self.trust.full(filename, data) if bundles is None else bundles)
        return self.registry.add(Release(NAME, version, filename, data, evidence))

    @contextmanager
    def runner(self, **parts: Any) -> Iterator[Calls]:
        """Open the service with the recording sandbox, or with `parts`."""
        self.sandbox.log = self.log
        with open_service(self.settings, **({"sandbox": self.sandbox} | parts)) as service:
            yield Calls(self, service)


@dataclass
class Calls:
    """Calls on an open service over its WSGI application."""

    site: Site
    service: Service

    def post(self, body: Any, *, token: str | None = None, **options: Any) -> Any:
        """POST an invocation; return werkzeug's response. `body` is bytes or JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        held = self.site.token.token if token is None else token
        headers = {"Authorization": f"Bearer {held}", "Content-Type": "application/json"}
        with self.service.app.test_client() as client:
            return client.post(
                "/v1/invocations",
                data=data,
                headers=headers | options.pop("headers", {}),
                **options,
            )

    def get(self, path: str, token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with self.service.app.test_client() as client:
            return client.get(path, headers=headers)

    def call(
        self,
        method: str = "greet",
        arguments: Mapping[str, Any] | None = None,
        version: str | None = "1.0.0",
        plugin: str = NAME,
        **options: Any,
    ) -> dict[str, Any]:
        """Call and return the reply."""
        body = {
            "plugin": plugin,
            "method": method,
            "arguments": {"name": "Ada"} if arguments is None else arguments,
        }
        if version is not None:
            body["version"] = version
        reply: dict[str, Any] = self.post(body, **options).get_json()
        return reply


def codes(reply: Mapping[str, Any]) -> list[str]:
    """Return the codes of a reply's problems."""
    return [each["code"] for each in (reply["error"] or {}).get("problems", ())]


def hexdigest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


MEMBERS = {
    "request_id", "status", "result", "error", "stdout", "stderr", "usage", "sandbox",
    "evidence", "receipt",
}  # fmt: skip


def assert_refused(site: Site, reply: dict[str, Any], code: str, status: str = "refused") -> None:
    """Check that a call was refused, told so in the one shape, recorded, and never executed."""
    assert set(reply) == MEMBERS
    assert reply["status"] == status
    assert code in codes(reply)
    assert reply["result"] is None
    assert site.sandbox.jobs == []
    record = site.records()[-1]
    assert (record["type"], record["decision"], record["status"]) == ("decision", "refused", status)
    assert record["request_id"] == reply["request_id"]
    assert code in [p["code"] for p in record["problems"]]
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)


class HandClock(SystemClock):
    """A clock that a test sets: `wall` and `steady_seconds`."""

    def __init__(self) -> None:
        self.wall = datetime.now(UTC)
        self.steady_seconds = 1000.0
        super().__init__(lambda: self.wall, lambda: self.steady_seconds)

    def pass_time(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady_seconds += seconds
