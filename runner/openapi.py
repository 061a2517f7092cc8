"""The OpenAPI 3.1 document of the runner's HTTP API."""

from __future__ import annotations

from typing import Any

from runner.calls import REQUEST_SCHEMA

_PROBLEM = {
    "type": "object",
    "required": ["code", "what", "value", "expected", "advice", "where"],
    "properties": {
        name: {"type": "string"}
        for name in ("code", "what", "value", "expected", "advice", "where")
    },
}
_RECEIPT = {
    "description": "Proof that the entry is in the audit log; hashes in base64.",
    "type": "object",
    "required": ["index", "leaf_hash", "checkpoint", "inclusion_proof", "entry"],
    "properties": {
        "index": {"type": "integer", "minimum": 0},
        "leaf_hash": {"type": "string"},
        "checkpoint": {"description": "C2SP signed note.", "type": "string"},
        "inclusion_proof": {"type": "array", "items": {"type": "string"}},
        "entry": {"description": "The record, exactly as it was hashed.", "type": "string"},
    },
}
_REPLY = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        "request_id", "status", "result", "error", "stdout", "stderr", "usage", "sandbox",
        "evidence", "receipt",
    ],
    "properties": {
        "request_id": {"description": "UUID, also in the audit log.", "type": "string"},
        "status": {
            "enum": [
                "ok", "refused", "invalid_arguments", "plugin_error", "timeout",
                "resource_limit", "unavailable",
            ]
        },
        "result": {"description": "Valid against the method's `result` schema; null unless ok."},
        "error": {
            "anyOf": [
                {"type": "null"},
                {
                    "type": "object",
                    "required": ["type", "message", "problems"],
                    "properties": {
                        "type": {"type": "string"},
                        "message": {"type": "string"},
                        "problems": {
                            "type": "array", "items": {"$ref": "#/components/schemas/Problem"},
                        },
                    },
                },
            ]
        },
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
        "usage": {"type": ["object", "null"]},
        "sandbox": {"type": ["object", "null"]},
        "evidence": {"type": ["object", "null"]},
        "receipt": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Receipt"}]},
    },
}  # fmt: skip
_ACCEPTED = {
    "description": "The call is under way; Location has the address of its reply.",
    "type": "object",
    "additionalProperties": False,
    "required": ["request_id", "status"],
    "properties": {
        "request_id": {"type": "string", "format": "uuid"},
        "status": {"const": "accepted"},
    },
}
_POSITION = {"type": "integer", "minimum": 0}
_OUTPUT = {
    "description": "What the plugin wrote from a position on: its claim, verified by nobody.",
    "type": "object",
    "additionalProperties": False,
    "required": ["request_id", "pieces", "position", "ended"],
    "properties": {
        "request_id": {"type": "string", "format": "uuid"},
        "pieces": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["stream", "text", "left_out", "position"],
                "properties": {
                    "stream": {"enum": ["stdout", "stderr"]},
                    "text": {"type": "string"},
                    "left_out": {
                        "description": "Bytes before `text` that are not here.", **_POSITION,
                    },
                    "position": {"description": "After `text`.", **_POSITION},
                },
            },
        },
        "position": {"description": "What to send as `after` next.", **_POSITION},
        "ended": {"description": "Nothing comes after this.", "type": "boolean"},
    },
}  # fmt: skip
_DETAILS = {
    "description": "RFC 9457 problem details.",
    "type": "object",
    "required": ["type", "title", "status", "problems"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
    },
}


def _content(schema: dict[str, Any], media: str = "application/json") -> dict[str, Any]:
    return {media: {"schema": schema}}


def _reply(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": _content({"$ref": "#/components/schemas/Reply"}),
    }


def _accepted() -> dict[str, Any]:
    return {
        "description": "Under way. Location: the address of the reply; Retry-After: seconds.",
        "content": _content({"$ref": "#/components/schemas/Accepted"}),
        "headers": {name: {"schema": {"type": "string"}} for name in ("Location", "Retry-After")},
    }


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _refusal(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {"description": description, "content": _content(schema, "application/problem+json")}


def _object(description: str) -> dict[str, Any]:
    return {"description": description, "content": _content({"type": "object"})}


def _parameter(name: str, place: str = "query") -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": {"type": "integer", "minimum": 0},
    }


def document() -> dict[str, Any]:
    """Return the document."""
    public: list[dict[str, Any]] = []
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sealgate runner",
            "version": "1",
            "description": "Runs admitted plugins in a sandbox and records every call.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}],
        "paths": {
            "/v1/invocations": {"post": _invocations(), "delete": _cancel_by_key()},
            "/v1/invocations/{request_id}": {"get": _result(), "delete": _cancel()},
            "/v1/invocations/{request_id}/output": {"get": _output()},
            **_revocations(public),
            "/v1/audit/checkpoint": {
                "get": {
                    "summary": "The audit log's signed checkpoint (C2SP tlog-checkpoint)",
                    "security": public,
                    "responses": {
                        "200": {
                            "description": "A signed note.",
                            "content": _content({"type": "string"}, "text/plain"),
                        },
                        "503": _refusal("The log cannot be read."),
                    },
                }
            },
            "/v1/audit/entries/{index}": {
                "get": {
                    "summary": "One record with its receipt; only for callers with audit rights",
                    "parameters": [_parameter("index", "path")],
                    "responses": {
                        "200": {
                            "description": "The record and its receipt.",
                            "content": _content({"$ref": "#/components/schemas/Receipt"}),
                        },
                        "401": _refusal("No valid token."),
                        "403": _refusal("The caller has no audit rights."),
                        "404": _refusal("No such entry."),
                        "503": _refusal("The log cannot be read."),
                    },
                }
            },
            "/v1/audit/proof/inclusion": {
                "get": {
                    "summary": "Proof that entry `index` is in the tree of `size` entries",
                    "security": public,
                    "parameters": [_parameter("index"), _parameter("size")],
                    "responses": {
                        "200": _object("index, leaf_hash, checkpoint, inclusion_proof (base64)."),
                        "400": _refusal("No such entry or size."),
                        "503": _refusal("The log cannot be read."),
                    },
                }
            },
            "/v1/audit/proof/consistency": {
                "get": {
                    "summary": "Proof that the tree of `new` entries extends that of `old`",
                    "security": public,
                    "parameters": [_parameter("old"), _parameter("new")],
                    "responses": {
                        "200": _object("old, new, and proof (hexadecimal hashes)."),
                        "400": _refusal("No such sizes."),
                        "503": _refusal("The log cannot be read."),
                    },
                }
            },
            "/healthz": {
                "get": {
                    "summary": "The process answers",
                    "security": public,
                    "responses": {"200": _object("status.")},
                }
            },
            "/readyz": {
                "get": {
                    "summary": "A call could be executed now",
                    "security": public,
                    "responses": {
                        "200": _object("status, and checks without problems."),
                        "503": _object("status, and checks with what is in the way."),
                    },
                }
            },
            "/metrics": {
                "get": {
                    "summary": "Prometheus metrics, text exposition format 0.0.4",
                    "security": public,
                    "responses": {
                        "200": {
                            "description": "Metrics without names of callers or plugins.",
                            "content": {"text/plain": {"schema": {"type": "string"}}},
                        }
                    },
                }
            },
            "/openapi.json": {
                "get": {
                    "summary": "This document",
                    "security": public,
                    "responses": {"200": _object("OpenAPI 3.1.")},
                }
            },
        },
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Request": REQUEST_SCHEMA,
                "Reply": _REPLY,
                "Accepted": _ACCEPTED,
                "Output": _OUTPUT,
                "Receipt": _RECEIPT,
                "Problem": _PROBLEM,
                "ProblemDetails": _DETAILS,
            },
        },
    }


def _revocations(public: list[Any]) -> dict[str, Any]:
    """Return the paths of `runner.revocations.routes`."""
    return {
        "/v1/revocations": {
            "get": {
                "summary": "What is taken back, and how fresh that knowledge is",
                "security": public,
                "responses": {
                    "200": _object("seconds_left, entries, in_force."),
                    "404": _refusal("The policy follows no revocation log."),
                },
            },
            "post": {
                "summary": "Hand over a signed revocation; it takes force at once",
                "description": "Who acts is the bundle's verified signer; no token is needed.",
                "security": public,
                "requestBody": {"required": True, "content": _content({"type": "object"})},
                "responses": {
                    "200": _object("What the bundle says."),
                    "403": _refusal("Its signer may not say this."),
                    "404": _refusal("The policy follows no revocation log."),
                    "413": _refusal("The bundle is too large."),
                    "415": _refusal("The body is not JSON."),
                    "422": _refusal("It does not verify, or is no revocation."),
                    "503": _refusal("It cannot be kept."),
                },
            },
        },
        "/v1/revocations/refresh": {
            "post": {
                "summary": "Look at the revocation log now",
                "responses": {
                    "200": _object("seconds_left and entries."),
                    "401": _refusal("No valid token."),
                    "404": _refusal("The policy follows no revocation log."),
                    "503": _refusal("The log cannot be had, or misbehaves."),
                },
            }
        },
    }


def _invocations() -> dict[str, Any]:
    return {
        "summary": "Call one method of a plugin",
        "description": "The reply has the same shape always. 200 means that the plugin was "
        "executed, and `status` how that ended; 4xx means that it was not executed; 503 means "
        "that it could not be decided, executed or recorded.",
        "parameters": [
            _header(
                "Idempotency-Key",
                "A call with this key that was executed is not executed again: its reply is "
                "given again, with the header Idempotency-Replayed. Belongs to one caller and one "
                "body; remembered for 10 minutes.",
                {"type": "string", "pattern": "^[\\x21-\\x7e]{1,200}$"},
            ),
            _header("Prefer", "respond-async (RFC 7240): answer with 202.", {"type": "string"}),
        ],
        "requestBody": {
            "required": True,
            "content": _content({"$ref": "#/components/schemas/Request"}),
        },
        "responses": {
            "200": _reply(
                "Executed: ok, plugin_error, timeout or resource_limit; refused where the call was "
                "stopped while it ran (revoked, cancelled)."
            ),
            "202": _accepted(),
            "400": _reply("invalid_arguments: the body or Idempotency-Key is not valid."),
            "401": _reply("refused: no valid bearer token."),
            "403": _reply("refused: by the policy or by the gate."),
            "413": _reply("invalid_arguments: the body is too large."),
            "415": _reply("invalid_arguments: the body is not JSON."),
            "422": _reply(
                "invalid_arguments: they break the method's schema, or the idempotency key was "
                "used for another body."
            ),
            "429": _reply("unavailable: this caller is over its quota; see Retry-After."),
            "503": _reply(
                "unavailable: not decided, run or recorded, and no result; see Retry-After."
            ),
        },
    }


def _request_id() -> dict[str, Any]:
    where = {"type": "string", "format": "uuid"}
    return {"name": "request_id", "in": "path", "required": True, "schema": where}


def _cancelled() -> dict[str, Any]:
    return {
        "200": _reply("It had ended before; `status` says how."),
        "202": _accepted(),
        "401": _refusal("No valid token."),
        "404": _refusal("No call of this caller is under way or kept under this name."),
        "503": _refusal("The runner failed."),
    }


def _cancel() -> dict[str, Any]:
    return {
        "summary": "Cancel a call",
        "description": "Only for its caller; may be repeated. The call's container or cell is "
        "destroyed, and it ends refused with the problem call.cancelled. One that has ended stays "
        "as it ended.",
        "parameters": [_request_id()],
        "responses": _cancelled(),
    }


def _cancel_by_key() -> dict[str, Any]:
    key = _header("Idempotency-Key", "Of the call.", {"type": "string"}) | {"required": True}
    return {
        "summary": "Cancel the call that an idempotency key was used for",
        "description": "For callers who wait for a reply and do not know its request id yet.",
        "parameters": [key],
        "responses": _cancelled() | {"400": _refusal("Idempotency-Key is not valid.")},
    }


def _output() -> dict[str, Any]:
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
                "schema": _POSITION | {"maximum": 10**15 - 1},
            },
            _header("Last-Event-ID", "As `after`, for event streams.", {"type": "string"}),
        ],
        "responses": {
            "200": {
                "description": "The output from the position on.",
                "content": _content({"$ref": "#/components/schemas/Output"})
                | _content(events, "text/event-stream"),
            },
            "400": _refusal("No such position."),
            "401": _refusal("No valid token."),
            "404": _refusal("No output of this caller is kept under this id."),
            "429": _refusal("This caller follows as many outputs as it may; see Retry-After."),
            "503": _refusal("As many outputs are followed as may be; see Retry-After."),
        },
    }


def _result() -> dict[str, Any]:
    return {
        "summary": "The reply of a call that was asked for with Prefer or Idempotency-Key",
        "description": "Only for its caller; kept in memory for at most 10 minutes.",
        "parameters": [_request_id()],
        "responses": {
            "200": _reply("It ended; `status` says how."),
            "202": _accepted(),
            "401": _refusal("No valid token."),
            "404": _refusal("No reply of this caller is kept under this id."),
            "503": _refusal("The runner failed."),
        },
    }
