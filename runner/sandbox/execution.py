"""What a call is and what came of it: the sandbox's own vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from runner.sandbox.control import Control
from runner.sandbox.deadline import Deadline
from runner.sandbox.frames import Request
from trust.wheel import Limits

Status = Literal[
    "ok",
    "plugin_error",
    "timeout",
    "resource_limit",
    "unavailable",
    "protocol_error",
    "stopped",
]
"""`stopped`: the call was told to end, by its control, and did."""

DriverName = Literal["engine", "oci", "subprocess"]
"""What makes containers: a Docker engine, or the OCI runtime called directly."""

HOST_IMAGE = "host"
"""In place of an image's id, where calls run on this machine's own Python and libraries."""

Level = Literal["container", "cell"]
"""A container for each call, or a cell for each call in the container of its plugin version."""


@dataclass(frozen=True, slots=True)
class Job:
    """One call of one method.

    Attributes:
        wheel: the bytes that were verified; these very bytes are executed.
        module: the module, from the manifest.
        qualname: `function` or `Class.method`, from the manifest.
        arguments: the arguments object, JSON, already validated.
        limits: what the plugin was granted.
        request_id: marks the container, for the operator.
        level: the isolation level that the policy names.
        control: ends the call while it is under way.
        ask: called once there is a place for the call: begins what `clear` waits for, and does not
            wait itself.
        clear: called after `ask`, and before anything of the plugin runs; it returns when the call
            may begin, and raises if it must not.
        deadline: until when the caller waits; None: as long as the limits say. It is never more
            time than they grant.
    """

    wheel: bytes
    module: str
    qualname: str
    arguments: bytes
    limits: Limits
    request_id: str
    level: Level = "container"
    control: Control = field(default_factory=Control, repr=False, compare=False)
    ask: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)
    clear: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)
    deadline: Deadline | None = None

    def request(self) -> Request:
        """Return the job as it goes into a container.

        Raises:
            TooLate: the caller's deadline has passed.
        """
        return Request(
            wheel=self.wheel,
            module=self.module,
            qualname=self.qualname,
            arguments=self.arguments,
            wall_seconds=self._within_deadline(self.limits.wall_seconds),
            cpu_seconds=self.limits.cpu_seconds,
            output_bytes=self.limits.output_bytes,
            live=self.control.live,
        )

    def _within_deadline(self, seconds: float) -> float:
        return seconds if self.deadline is None else min(seconds, self.deadline.left())

    def still(self, request: Request) -> Request:
        """Return the job's request with the time that it has if it begins now.

        Raises:
            TooLate: none; it must not begin.
        """
        if self.deadline is None:
            return request
        return replace(request, wall_seconds=self._within_deadline(request.wall_seconds))

    def told(
        self,
        image: str,
        runtime: str,
        hardening: dict[str, Any],
        *,
        driver: str = "engine",
    ) -> dict[str, Any]:
        """Return what record and reply say of the sandbox of this call.

        Args:
            image: the runtime image's id.
            runtime: the OCI runtime.
            hardening: the summary of the controls in force.
            driver: what made the container.
        """
        return {
            "level": "subprocess" if driver == "subprocess" else self.level,
            "driver": driver,
            "runtime": runtime,
            "image": HOST_IMAGE if driver == "subprocess" else image,
            "limits": asdict(self.limits),
            "hardening": hardening,
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """What the call used.

    Attributes:
        wall_seconds: measured by the runner, from sending the request to the end.
        cpu_seconds: told by the supervisor; None where the container ended without a response.
        memory_peak_bytes: as `cpu_seconds`; the highest that it was.
        source: `cgroup` (every process, page cache, tmpfs, the harness), `rusage` (reaped
            processes only) or "" where there was no response.
        result_bytes, stdout_bytes, stderr_bytes: length of what was taken over.
        waited_seconds: how long the call waited for its container; not part of `wall_seconds`.
    """

    wall_seconds: float
    cpu_seconds: float | None = None
    memory_peak_bytes: int | None = None
    source: str = ""
    result_bytes: int = 0
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    waited_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return every attribute by its name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Execution:
    """What came of a call.

    `result`, `error`, `stdout` and `stderr` are the plugin's claims; the rest is the runner's own.

    Attributes:
        status: what happened.
        result: the result, strictly parsed JSON; None unless the status is `ok`.
        error: {"type", "message", "traceback"} of an exception or of its like; None if `ok`.
        stdout, stderr: what the plugin wrote, bytes that are not UTF-8 replaced.
        usage: what the call used.
        sandbox: the controls in force: runtime, image, level, limits.
        detail: one sentence about the status, for people.
        deadline: the caller's own, where that is what ended the call: before it began
            (`unavailable`) or while it ran (`timeout`).
    """

    status: Status
    result: Any | None
    error: dict[str, str] | None
    stdout: str
    stderr: str
    usage: Usage
    sandbox: dict[str, Any] = field(default_factory=dict)
    detail: str = ""
    deadline: Deadline | None = None
