"""The OpenAPI 3.1 document of the runner's HTTP API."""

from __future__ import annotations

from typing import Any

from runner.calls import REQUEST_SCHEMA
from runner.openapi_calls import cancel, cancel_by_key, invocations, output, result
from runner.openapi_parts import (
    ACCEPTED,
    DETAILS,
    OUTPUT,
    PROBLEM,
    RECEIPT,
    REPLY,
    content,
    object_,
    parameter,
    refusal,
)


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
            "/v1/invocations": {"post": invocations(), "delete": cancel_by_key()},
            "/v1/invocations/{request_id}": {"get": result(), "delete": cancel()},
            "/v1/invocations/{request_id}/output": {"get": output()},
            **_revocations(public),
            "/v1/audit/checkpoint": {
                "get": {
                    "summary": "The audit log's signed checkpoint (C2SP tlog-checkpoint)",
                    "security": public,
                    "responses": {
                        "200": {
                            "description": "A signed note.",
                            "content": content({"type": "string"}, "text/plain"),
                        },
                        "503": refusal("The log cannot be read."),
                    },
                }
            },
            "/v1/audit/entries/{index}": {
                "get": {
                    "summary": "One record with its receipt; only for callers with audit rights",
                    "parameters": [parameter("index", "path")],
                    "responses": {
                        "200": {
                            "description": "The record and its receipt.",
                            "content": content({"$ref": "#/components/schemas/Receipt"}),
                        },
                        "401": refusal("No valid token."),
                        "403": refusal("The caller has no audit rights."),
                        "404": refusal("No such entry."),
                        "503": refusal("The log cannot be read."),
                    },
                }
            },
            "/v1/audit/proof/inclusion": {
                "get": {
                    "summary": "Proof that entry `index` is in the tree of `size` entries",
                    "security": public,
                    "parameters": [parameter("index"), parameter("size")],
                    "responses": {
                        "200": object_("index, leaf_hash, checkpoint, inclusion_proof (base64)."),
                        "400": refusal("No such entry or size."),
                        "503": refusal("The log cannot be read."),
                    },
                }
            },
            "/v1/audit/proof/consistency": {
                "get": {
                    "summary": "Proof that the tree of `new` entries extends that of `old`",
                    "security": public,
                    "parameters": [parameter("old"), parameter("new")],
                    "responses": {
                        "200": object_("old, new, and proof (hexadecimal hashes)."),
                        "400": refusal("No such sizes."),
                        "503": refusal("The log cannot be read."),
                    },
                }
            },
            "/healthz": {
                "get": {
                    "summary": "The process answers",
                    "security": public,
                    "responses": {"200": object_("status.")},
                }
            },
            "/readyz": {
                "get": {
                    "summary": "A call could be executed now",
                    "security": public,
                    "responses": {
                        "200": object_("status, and checks without problems."),
                        "503": object_("status, and checks with what is in the way."),
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
                    "responses": {"200": object_("OpenAPI 3.1.")},
                }
            },
        },
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Request": REQUEST_SCHEMA,
                "Reply": REPLY,
                "Accepted": ACCEPTED,
                "Output": OUTPUT,
                "Receipt": RECEIPT,
                "Problem": PROBLEM,
                "ProblemDetails": DETAILS,
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
                    "200": object_("seconds_left, entries, in_force."),
                    "404": refusal("The policy follows no revocation log."),
                },
            },
            "post": {
                "summary": "Hand over a signed revocation; it takes force at once",
                "description": "Who acts is the bundle's verified signer; no token is needed.",
                "security": public,
                "requestBody": {"required": True, "content": content({"type": "object"})},
                "responses": {
                    "200": object_("What the bundle says; it is in force and on record."),
                    "403": refusal("Its signer may not say this."),
                    "404": refusal("The policy follows no revocation log."),
                    "413": refusal("The bundle is too large."),
                    "415": refusal("The body is not JSON."),
                    "422": refusal("It does not verify, or is no revocation."),
                    "503": refusal(
                        "It cannot be kept; or audit.unavailable: it holds, and its record is owed."
                    ),
                },
            },
        },
        "/v1/revocations/refresh": {
            "post": {
                "summary": "Look at the revocation log now",
                "responses": {
                    "200": object_("seconds_left and entries."),
                    "401": refusal("No valid token."),
                    "404": refusal("The policy follows no revocation log."),
                    "503": refusal("The log cannot be had, or misbehaves."),
                },
            }
        },
    }
