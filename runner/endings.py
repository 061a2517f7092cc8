"""How a call ends: what a caller is told, and why, in the shape that every refusal has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packaging.utils import canonicalize_name

from runner.admission import Admission, CompiledMethod
from runner.calls import InvocationReply, Status, error_of
from runner.sandbox import Execution
from trust.errors import Problem, problem


def reply_of(
    request_id: str,
    status: Status,
    problems: tuple[Problem, ...],
    evidence: Mapping[str, Any] | None = None,
    receipt: Mapping[str, Any] | None = None,
) -> InvocationReply:
    error = error_of(status, problems[0].what, problems)
    return InvocationReply(request_id, status, error=error, evidence=evidence, receipt=receipt)


def judge(
    method: CompiledMethod, execution: Execution
) -> tuple[Status, dict[str, Any] | None, tuple[Problem, ...]]:
    """Return the status, the reply's error and the record's problems of an execution."""
    if execution.status == "ok":
        wrong = method.result.check(
            execution.result, code="result.schema", subject="the plugin's result"
        )
        if not wrong:
            return "ok", None, ()
        return "plugin_error", error_of("result_schema", wrong[0].what, wrong), wrong
    if execution.status == "protocol_error":
        found = problem("sandbox.protocol", "the plugin broke the sandbox's protocol",
                        value=execution.detail, expected="one result in one frame",
                        advice="do not use this plugin; tell its reviewers")  # fmt: skip
        return "plugin_error", error_of("protocol_error", found.what, (found,)), (found,)
    status: Status = "unavailable" if execution.status == "stopped" else execution.status
    if execution.deadline is not None:
        found = _deadline(execution)
        return status, error_of(status, execution.detail, (found,)), (found,)
    raised = execution.error or {}
    message = str(raised.get("message") or execution.detail or execution.status)
    kind = str(raised.get("type") or execution.status)
    found = problem(f"call.{status}", _ENDINGS[status],
                    value=f"{kind}: {message}", expected="a result",
                    advice=_ADVICE[status])  # fmt: skip
    return status, error_of(kind, message, (found,)), (found,)


_ENDINGS = {
    "plugin_error": "the plugin raised an exception",
    "timeout": "the call took longer than the plugin's limit",
    "resource_limit": "the call used more than the plugin's limits allow",
    "unavailable": "the sandbox could not run the call",
}
_ADVICE = {
    "plugin_error": "check the arguments against the plugin's documentation, or ask its author",
    "timeout": "send less work in one call, or ask the author to raise wall_seconds",
    "resource_limit": "send less work in one call, or ask the author to raise the limit",
    "unavailable": "try again later; the operator should look at the container engine",
}


def _deadline(execution: Execution) -> Problem:
    """Return what a reply says of a call that its caller's own deadline ended."""
    if execution.status == "timeout":
        return problem(
            "call.deadline",
            "the call ran until its caller's deadline: it was executed in part, and ended",
            value=execution.detail,
            expected="a result within timeout_seconds, which begins with the request",
            advice="allow more seconds, or send less work in one call",
        )
    return problem(
        "call.deadline",
        "the caller's deadline passed before there was a container for the call: nothing was "
        "executed",
        value=execution.detail,
        expected="a container or cell, and a durable record, within timeout_seconds",
        advice="allow more seconds, or try again later",
    )


def not_normalised(name: str) -> Problem:
    return problem(
        "request.plugin",
        "the plugin's name is not normalised",
        value=name,
        expected=f"{canonicalize_name(name)} (PEP 503)",
        advice="use the normalised name",
        where="/plugin",
    )


def no_version(version: str) -> Problem:
    return problem(
        "request.version",
        "the version is not a version",
        value=version,
        expected="one PEP 440 version such as 1.2.0",
        advice="name one version, or leave it out for the highest that is allowed",
        where="/version",
    )


def undeclared(method: str, admission: Admission) -> Problem:
    return problem(
        "method.undeclared",
        "the plugin's manifest does not declare this method",
        value=method,
        expected=", ".join(sorted(admission.methods))[:500],
        advice="call one of the declared methods",
        where="/method",
    )


def not_executed() -> Problem:
    return problem(
        "audit.late",
        "the decision became durable after the runner had given up on it: nothing was executed",
        expected="a decision that is durable in time",
        advice="look at the audit log's disk",
    )


def stopped_after(executed: bool) -> Problem:
    """Return what a reply says of a call that was stopped after it had been admitted."""
    if not executed:
        return problem(
            "call.stopped",
            "the call was stopped before it began: nothing was executed",
            expected="a call that goes on to its end",
            advice="see the problem before this one",
        )
    return problem(
        "call.stopped",
        "the call was stopped while it ran: it was executed in part, and its container or cell "
        "was destroyed",
        expected="a call that goes on to its end",
        advice="see the problem before this one; whatever the plugin gave back is not used",
    )


def internal_problem(error: Exception) -> Problem:
    return problem(
        "runner.internal",
        "the runner failed",
        value=type(error).__name__,
        expected="a call that ends",
        advice="give the operator the request id: the runner's own log says more",
    )
