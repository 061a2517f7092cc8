"""Parts of the OpenAPI document: schemas, and what operations are made of."""

from __future__ import annotations

from typing import Any

PROBLEM = {
    "type": "object",
    "required": ["code", "what", "value", "expected", "advice", "where"],
    "properties": {
        name: {"type": "string"}
        for name in ("code", "what", "value", "expected", "advice", "where")
    },
}
RECEIPT = {
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
REPLY = {
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
ACCEPTED = {
    "description": "The call is under way; Location has the address of its reply.",
    "type": "object",
    "additionalProperties": False,
    "required": ["request_id", "status"],
    "properties": {
        "request_id": {"type": "string", "format": "uuid"},
        "status": {"const": "accepted"},
    },
}
POSITION = {"type": "integer", "minimum": 0}
OUTPUT = {
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
                        "description": "Bytes before `text` that are not here.", **POSITION,
                    },
                    "position": {"description": "After `text`.", **POSITION},
                },
            },
        },
        "position": {"description": "What to send as `after` next.", **POSITION},
        "ended": {"description": "Nothing comes after this.", "type": "boolean"},
    },
}  # fmt: skip
DETAILS = {
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


def content(schema: dict[str, Any], media: str = "application/json") -> dict[str, Any]:
    return {media: {"schema": schema}}


def reply(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": content({"$ref": "#/components/schemas/Reply"}),
    }


def accepted() -> dict[str, Any]:
    return {
        "description": "Under way. Location: the address of the reply; Retry-After: seconds.",
        "content": content({"$ref": "#/components/schemas/Accepted"}),
        "headers": {name: {"schema": {"type": "string"}} for name in ("Location", "Retry-After")},
    }


def header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def refusal(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {"description": description, "content": content(schema, "application/problem+json")}


def object_(description: str) -> dict[str, Any]:
    return {"description": description, "content": content({"type": "object"})}


def parameter(name: str, place: str = "query") -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": {"type": "integer", "minimum": 0},
    }
