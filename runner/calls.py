"""What a caller asks, what it is answered: the same shape always.

Statuses: `ok`; `refused` (the caller, the policy or the gate says no); `invalid_arguments`;
`plugin_error` (the plugin raised, broke the protocol, or returned what its schema forbids);
`timeout`; `resource_limit`; `unavailable` (it could not be decided, run or recorded: try later).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from runner.schemas import CompiledSchema
from trust import strictjson
from trust.errors import Problem
from trust.outcomes import Failed, Passed

MAX_BODY_BYTES = 1 << 20

Status: TypeAlias = Literal[
    "ok",
    "refused",
    "invalid_arguments",
    "plugin_error",
    "timeout",
    "resource_limit",
    "unavailable",
]

REQUEST_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["plugin", "method", "arguments"],
    "properties": {
        "plugin": {
            "description": "The plugin's name, normalised (PEP 503).",
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
        },
        "version": {
            "description": "A PEP 440 version; without it, the highest that is allowed.",
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
        },
        "method": {
            "description": "The name of a method that the manifest declares.",
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
        },
        "arguments": {
            "description": "Valid against the method's `arguments` schema.",
            "type": "object",
        },
        "timeout_seconds": {
            "description": "How long the caller is willing to wait, from when the runner takes the "
            "request on: for a container as well as for the call's end. It shortens what the "
            "plugin's manifest grants, and extends nothing.",
            "type": "number",
            "minimum": 0.001,
            "maximum": 3600,
        },
    },
}
_compiled = CompiledSchema(REQUEST_SCHEMA)


@dataclass(frozen=True, slots=True)
class InvocationRequest:
    """One call that somebody asks for; `timeout_seconds` is how long that one waits at most."""

    plugin: str
    method: str
    arguments: Mapping[str, Any]
    version: str | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class InvocationReply:
    """What a caller is answered.

    Attributes:
        request_id: UUID of the call, also in the audit log.
        status: how it ended.
        result: the plugin's result where `status` is ok, else None.
        error: None where `status` is ok, else `type`, `message` and `problems`.
        stdout: what the plugin wrote, as it came: the plugin's claim.
        stderr: the same.
        usage: what the call used, measured by the runner; None if nothing ran.
        sandbox: runtime, level, image and limits; None if nothing ran.
        evidence: what was verified about the plugin; None if it was not admitted.
        receipt: proof that the call is in the audit log; None where there is no record.
        executed: whether the plugin ran, or may have run; not part of the JSON object.
    """

    request_id: str
    status: Status
    result: Any = None
    error: Mapping[str, Any] | None = None
    stdout: str = ""
    stderr: str = ""
    usage: Mapping[str, Any] | None = None
    sandbox: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None
    receipt: Mapping[str, Any] | None = field(default=None, repr=False)
    executed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the reply as the JSON object of the HTTP API."""
        return {
            "request_id": self.request_id,
            "status": self.status,
            "result": self.result,
            "error": self.error,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "usage": self.usage,
            "sandbox": self.sandbox,
            "evidence": self.evidence,
            "receipt": self.receipt,
        }


def error_of(kind: str, message: str, problems: tuple[Problem, ...] = ()) -> dict[str, Any]:
    """Return the `error` member of a reply."""
    return {"type": kind, "message": message, "problems": [p.as_dict() for p in problems]}


def parse_request(body: bytes) -> Passed[InvocationRequest] | Failed:
    """Read the body of a request: strict JSON, valid against `REQUEST_SCHEMA`."""
    try:
        data = strictjson.loads(body, max_bytes=MAX_BODY_BYTES)
    except strictjson.InvalidJSON as error:
        return Failed(error.problems)
    problems = _compiled.check(data, code="request.schema", subject="the request")
    if problems:
        return Failed(problems)
    return Passed(
        InvocationRequest(
            data["plugin"],
            data["method"],
            data["arguments"],
            data.get("version"),
            data.get("timeout_seconds"),
        )
    )
