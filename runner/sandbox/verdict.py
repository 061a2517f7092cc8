"""From what a container said, or did not say, to an `Execution`. Pure: no engine, no clock."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from runner.sandbox.deadline import Deadline
from runner.sandbox.errors import DeadlinePassed, NoResponse, ProtocolViolation
from runner.sandbox.events import KILLED, Death
from runner.sandbox.execution import Execution, Status, Usage
from runner.sandbox.frames import Response
from runner.sandbox.harness import protocol
from trust import strictjson
from trust.errors import shown
from trust.wheel import Limits

SENTRY_STOPPED = 2
"""Exit code of gVisor's kernel when its own run-time system gives up."""
STOPPED = "the call was told to end, and its container or cell was destroyed"
NOT_BEGUN = "the call was told to end before it began"
_ERROR_KEYS = {"type", "message", "traceback"}


@dataclass(frozen=True, slots=True)
class Context:
    """What the verdict needs beside the response: limits, elapsed seconds, controls in force,
    the seconds that passed before there was a container, and the caller's deadline where that
    leaves less time than the limits do."""

    limits: Limits
    wall_seconds: float
    sandbox: dict[str, Any]
    waited_seconds: float = 0.0
    deadline: Deadline | None = None


def _error(kind: str, message: str, traceback: str = "") -> dict[str, str]:
    return {"type": kind, "message": message, "traceback": traceback}


def _exception(payload: bytes) -> dict[str, str]:
    """Read an exception's payload, which the plugin may have made up."""
    try:
        data = strictjson.loads(payload, max_bytes=protocol.MAX_ERROR, max_depth=2)
    except strictjson.InvalidJSON:
        data = None
    if (
        not isinstance(data, dict)
        or set(data) != _ERROR_KEYS
        or not all(isinstance(value, str) for value in data.values())
    ):
        return _error("InvalidAnswer", "the plugin's process handed back an unreadable exception")
    return _error(shown(data["type"]), data["message"], data["traceback"])


def _exit(code: int) -> str:
    if code < 0:
        try:
            return f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"it was ended by signal {-code}"
    return f"it exited with {code}"


def _died(response: Response, limits: Limits) -> tuple[Status, dict[str, str] | None, str]:
    """Judge a worker that ended without an answer."""
    code = response.exit_code
    if response.killed_for_memory and code == -signal.SIGKILL:
        return _out_of_memory(limits)
    # the limit counts ticks, a busy host's lost ones too; the figure is exact
    spent = response.cpu_seconds >= limits.cpu_seconds * 0.8
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and spent):
        return _out_of_cpu(limits)
    detail = f"the plugin's process ended without a result: {_exit(code)}"
    return "plugin_error", _error("ProcessEnded", detail), detail


def _out_of_memory(limits: Limits) -> tuple[Status, None, str]:
    return "resource_limit", None, f"memory: more than {limits.memory_bytes} bytes"


def _out_of_cpu(limits: Limits) -> tuple[Status, None, str]:
    return "timeout", None, f"CPU time: more than {limits.cpu_seconds} s"


def out_of_time(limits: Limits, deadline: Deadline | None = None) -> str:
    """Say that the wall clock ran out: the plugin's limit, or the caller's own deadline."""
    if deadline is not None:
        return f"wall clock: more than the {deadline.seconds:g} s that the caller gave it"
    return f"wall clock: more than {limits.wall_seconds:g} s"


def _judge(
    response: Response, limits: Limits, deadline: Deadline | None
) -> tuple[Status, Any | None, dict[str, str] | None, str]:
    """Return status, result, error and detail."""
    most = limits.output_bytes
    match response.ending:
        case protocol.RESULT:
            try:
                return "ok", strictjson.loads(response.payload, max_bytes=most), None, ""
            except strictjson.InvalidJSON as error:
                text = f"{error.problem.what}: {error.problem.value}"
                detail = f"the result is not strict JSON: {text}"
                return "plugin_error", None, _error("InvalidResult", text), detail
        case protocol.EXCEPTION:
            raised = _exception(response.payload)
            detail = f"the plugin raised {raised['type']}: {shown(raised['message'])}"
            if response.killed_for_memory:
                return "resource_limit", None, raised, f"{_out_of_memory(limits)[2]}; {detail}"
            if response.denied_processes:
                denied = f"processes: more than {limits.processes} processes and threads"
                return "resource_limit", None, raised, f"{denied}; {detail}"
            return "plugin_error", None, raised, detail
        case protocol.DIED:
            status, error_, detail = _died(response, limits)
            return status, None, error_, detail
        case protocol.RESULT_LIMIT:
            return "resource_limit", None, None, f"result: more than {most} bytes"
        case protocol.OUTPUT_LIMIT:
            return "resource_limit", None, None, f"stdout and stderr: more than {most} bytes"
        case protocol.WALL_LIMIT:
            return "timeout", None, None, out_of_time(limits, deadline)
        case protocol.CPU_LIMIT:
            status, _, detail = _out_of_cpu(limits)
            return status, None, None, detail
        case _:
            detail = "the plugin's process wrote something else than an answer"
            return "protocol_error", None, None, detail


def of_response(response: Response, context: Context) -> Execution:
    """Return what came of a call whose response was read."""
    status, result, error, detail = _judge(response, context.limits, context.deadline)
    # without a cgroup to ask, a worker that has not been reaped has used nothing that is known
    measured = response.from_cgroup or response.memory_peak_bytes > 0
    return Execution(
        status=status,
        result=result,
        error=error,
        stdout=response.stdout.decode("utf-8", "replace"),
        stderr=response.stderr.decode("utf-8", "replace"),
        usage=Usage(
            wall_seconds=context.wall_seconds,
            waited_seconds=context.waited_seconds,
            cpu_seconds=response.cpu_seconds if measured else None,
            memory_peak_bytes=response.memory_peak_bytes if measured else None,
            source=("cgroup" if response.from_cgroup else "rusage") if measured else "",
            result_bytes=len(response.payload) if response.ending == protocol.RESULT else 0,
            stdout_bytes=len(response.stdout),
            stderr_bytes=len(response.stderr),
        ),
        sandbox=context.sandbox,
        detail=detail,
        deadline=context.deadline if response.ending == protocol.WALL_LIMIT else None,
    )


def without_response(status: Status, detail: str, context: Context) -> Execution:
    """Return what came of a call that brought nothing back."""
    usage = Usage(context.wall_seconds, waited_seconds=context.waited_seconds)
    return Execution(status, None, None, "", "", usage, context.sandbox, detail)


def too_late(deadline: Deadline, context: Context, why: str = "") -> Execution:
    """Return what came of a call whose caller's deadline passed before it began.

    Args:
        deadline: the caller's.
        context: of a call that has used nothing.
        why: what stood in its way until then, if it is known.
    """
    detail = f"the {deadline.seconds:g} s that the caller gave the call passed before it began"
    execution = without_response("unavailable", f"{detail}; {why}" if why else detail, context)
    return replace(execution, deadline=deadline)


def of_failure(
    error: NoResponse, context: Context, *, stopped: bool, death: Callable[[], Death]
) -> Execution:
    """Return what came of a call without a response that could be used.

    Args:
        error: what stands in its place.
        context: as at the error.
        stopped: the call was told to end.
        death: finds out how its container ended.
    """
    if isinstance(error, DeadlinePassed):
        detail = out_of_time(context.limits, context.deadline)
        execution = without_response("timeout", detail, context)
        return replace(execution, deadline=context.deadline)
    if isinstance(error, ProtocolViolation):
        return without_response("protocol_error", str(error), context)
    if stopped:
        return without_response("stopped", STOPPED, context)
    return of_death(death(), context)


def of_death(death: Death, context: Context) -> Execution:
    """Return what came of a call whose container ended without a response."""
    if death.engine_lost:
        detail = "the connection to the Docker engine broke in mid-call"
        return without_response("unavailable", detail, context)
    if death.out_of_memory:
        return without_response(*_out_of_memory(context.limits)[::2], context)
    gvisor = context.sandbox.get("runtime") == "runsc"
    if death.exit_code == KILLED and gvisor:
        # the notice of the OOM killer does not always arrive before gVisor's whole process is gone
        detail = "the container was killed: for its memory, or by the plugin itself"
        return without_response("resource_limit", detail, context)
    if death.exit_code == SENTRY_STOPPED and gvisor:
        detail = "gVisor's kernel stopped; it does when it may start no more threads"
        return without_response("resource_limit", detail, context)
    told = "no exit code" if death.exit_code is None else f"exit code {death.exit_code}"
    detail = f"the container ended without a response ({told})"
    return without_response("protocol_error", detail, context)
