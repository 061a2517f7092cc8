"""The OpenAPI operations on calls: to make, to cancel, to follow, to read again."""

from __future__ import annotations

from typing import Any

from runner.openapi_parts import POSITION, accepted, content, header, refusal, reply


def invocations() -> dict[str, Any]:
    return {
        "summary": "Call one method of a plugin",
        "description": "The reply has the same shape always. 200 means that the plugin was "
        "executed, and `status` how that ended; 4xx means that it was not executed; 503 means "
        "that it could not be decided, executed or recorded. A call that its caller's own "
        "`timeout_seconds` ended has the problem call.deadline: timeout where it ran, unavailable "
        "where it had not begun.",
        "parameters": [
            header(
                "Idempotency-Key",
                "A call with this key that was executed is not executed again: its reply is "
                "given again, with the header Idempotency-Replayed. Belongs to one caller and one "
                "body; remembered for 10 minutes.",
                {"type": "string", "pattern": "^[\\x21-\\x7e]{1,200}$"},
            ),
            header("Prefer", "respond-async (RFC 7240): answer with 202.", {"type": "string"}),
        ],
        "requestBody": {
            "required": True,
            "content": content({"$ref": "#/components/schemas/Request"}),
        },
        "responses": {
            "200": reply(
                "Executed: ok, plugin_error, timeout or resource_limit; refused where the call was "
                "stopped while it ran (revoked, cancelled)."
            ),
            "202": accepted(),
            "400": reply("invalid_arguments: the body or Idempotency-Key is not valid."),
            "401": reply("refused: no valid bearer token."),
            "403": reply("refused: by the policy or by the gate."),
            "413": reply("invalid_arguments: the body is too large."),
            "415": reply("invalid_arguments: the body is not JSON."),
            "422": reply(
                "invalid_arguments: they break the method's schema, or the idempotency key was "
                "used for another body."
            ),
            "429": reply("unavailable: this caller is over its quota; see Retry-After."),
            "503": reply(
                "unavailable: not decided, run or recorded, and no result; see Retry-After."
            ),
        },
    }


def _request_id() -> dict[str, Any]:
    where = {"type": "string", "format": "uuid"}
    return {"name": "request_id", "in": "path", "required": True, "schema": where}


def _cancelled() -> dict[str, Any]:
    return {
        "200": reply("It had ended before; `status` says how."),
        "202": accepted(),
        "401": refusal("No valid token."),
        "404": refusal("No call of this caller is under way or kept under this name."),
        "503": refusal("The runner failed."),
    }


def cancel() -> dict[str, Any]:
    return {
        "summary": "Cancel a call",
        "description": "Only for its caller; may be repeated. The call's container or cell is "
        "destroyed, and it ends refused with the problem call.cancelled. One that has ended stays "
        "as it ended.",
        "parameters": [_request_id()],
        "responses": _cancelled(),
    }


def cancel_by_key() -> dict[str, Any]:
    key = header("Idempotency-Key", "Of the call.", {"type": "string"}) | {"required": True}
    return {
        "summary": "Cancel the call that an idempotency key was used for",
        "description": "For callers who wait for a reply and do not know its request id yet.",
        "parameters": [key],
        "responses": _cancelled() | {"400": refusal("Idempotency-Key is not valid.")},
    }


def output() -> dict[str, Any]:
    events = {
        "description": "Events stdout and stderr (data: JSON with text and left_out), then end; "
        "the id of each is the position after it.",
        "type": "string",
    }
    return {
        "summary": "What the plugin writes, as it comes",
        "description": "Only for the caller of a call that was asked for with Prefer: "
        "respond-async; kept in memory, at most the newest MiB of a call, for at most 10 minutes. "
        "With Accept: text/event-stream server-sent events until the call ends; otherwise what "
        "there is now.",
        "parameters": [
            _request_id(),
            {
                "name": "after",
                "in": "query",
                "description": "A position that was given before; 0 or none: from the beginning.",
                "schema": POSITION | {"maximum": 10**15 - 1},
            },
            header("Last-Event-ID", "As `after`, for event streams.", {"type": "string"}),
        ],
        "responses": {
            "200": {
                "description": "The output from the position on.",
                "content": content({"$ref": "#/components/schemas/Output"})
                | content(events, "text/event-stream"),
            },
            "400": refusal("No such position."),
            "401": refusal("No valid token."),
            "404": refusal("No output of this caller is kept under this id."),
            "429": refusal("This caller follows as many outputs as it may; see Retry-After."),
            "503": refusal("As many outputs are followed as may be; see Retry-After."),
        },
    }


def result() -> dict[str, Any]:
    return {
        "summary": "The reply of a call that was asked for with Prefer or Idempotency-Key",
        "description": "Only for its caller; kept in memory for at most 10 minutes.",
        "parameters": [_request_id()],
        "responses": {
            "200": reply("It ended; `status` says how."),
            "202": accepted(),
            "401": refusal("No valid token."),
            "404": refusal("No reply of this caller is kept under this id."),
            "503": refusal("The runner failed."),
        },
    }
