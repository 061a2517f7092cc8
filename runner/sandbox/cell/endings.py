"""From what PID 1 said of a call in a cell to what the call itself answers for. Pure."""

from __future__ import annotations

import dataclasses

from runner.sandbox import frames, verdict
from runner.sandbox.execution import Execution
from runner.sandbox.harness import cell_protocol, protocol


def stopped(response: frames.Response, context: verdict.Context) -> Execution:
    """Return what came of a call that was told to end: what it wrote and used until then."""
    died = dataclasses.replace(response, ending=protocol.DIED)
    execution = verdict.of_response(died, context)
    return dataclasses.replace(execution, status="stopped", error=None, detail=verdict.STOPPED)


def attributed(response: frames.Response) -> frames.Response:
    """Return the response with what the whole container counts set to what this call may answer
    for: other calls share the cgroup.
    """
    if response.ending == cell_protocol.MEMORY_LIMIT:
        return dataclasses.replace(
            response, ending=protocol.DIED, exit_code=-9, killed_for_memory=1, denied_processes=0
        )
    killed = response.killed_for_memory if response.ending == protocol.DIED else 0
    return dataclasses.replace(response, killed_for_memory=killed, denied_processes=0)


def told_apart(execution: Execution) -> Execution:
    """Say `resource_limit` where a cell's address space ran out, which Python tells as an
    exception; the word for it is the plugin's, and makes its own case no better.
    """
    if execution.status == "plugin_error" and (execution.error or {}).get("type") == "MemoryError":
        limit = execution.sandbox["limits"]["memory_bytes"]
        detail = f"memory: more than {limit} bytes of address space; {execution.detail}"
        return dataclasses.replace(execution, status="resource_limit", detail=detail)
    return execution
