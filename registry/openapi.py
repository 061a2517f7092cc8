"""The OpenAPI 3.1 document of the registry's API."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version as installed
from typing import Any

from registry.openapi_schemas import DIGEST, SCHEMAS, TEXT, Schema, ref
from registry.settings import MAX_BUNDLE
from trust.wheel.bounds import MAX_DEPENDENCIES

PROBLEM_JSON = "application/problem+json"
BUNDLE_JSON = "application/vnd.dev.sigstore.bundle.v0.3+json"

PLUGIN = "/api/v1/plugins/{name}"
VERSION = PLUGIN + "/{version}"


def _error(status: int) -> Schema:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_JSON: {"schema": ref("Error")}},
    }


def _json(name: str, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": ref(name)}}}


def _file(media_type: str, description: str) -> Schema:
    return {
        "description": description,
        "headers": {"ETag": {"description": "The file's SHA-256, quoted.", "schema": TEXT}},
        "content": {media_type: {}},
    }


def _query(name: str, description: str, schema: Schema) -> Schema:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
    }


def _path(name: str, description: str, schema: Schema = TEXT) -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


NAME = _path("name", "The plugin's name, in any spelling that PEP 503 normalises to it.")
NUMBER = _path("version", "The version, in any spelling that PEP 440 takes for the same.")
PAGING = [
    _query("page", "Counts from 1.", {"type": "integer", "minimum": 1, "default": 1}),
    _query(
        "per_page",
        "Items on a page.",
        {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    ),
]


def _operation(
    operation_id: str,
    summary: str,
    answers: dict[int, Schema],
    errors: tuple[int, ...],
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
) -> Schema:
    responses = {str(status): answer for status, answer in answers.items()}
    common = {401, 500, 503} | ({403, 429} if body else set())
    responses |= {str(status): _error(status) for status in sorted({*errors} | common)}
    operation: Schema = {"operationId": operation_id, "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = body
    return operation


def _submission(max_upload: int) -> Schema:
    file: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["wheel", "bundle"],
                    "additionalProperties": False,
                    "properties": {
                        "wheel": {
                            **file,
                            "description": f"The wheel under its own file name, at most "
                            f"{max_upload} bytes.",
                        },
                        "bundle": {
                            **file,
                            "description": "The author's Sigstore bundle: a PyPI publish "
                            f"attestation (v1) of that wheel, at most {MAX_BUNDLE} bytes.",
                        },
                        "dependency": {
                            "type": "array",
                            "items": file,
                            "maxItems": MAX_DEPENDENCIES,
                            "description": "Wheels that the plugin's pylock.toml names.",
                        },
                    },
                }
            }
        },
    }


REVIEW_BODY: Schema = {
    "required": True,
    "description": "The reviewer's Sigstore bundle, whose statement is a Sealgate review v1.",
    "content": {
        media: {"schema": {"type": "object"}} for media in ("application/json", BUNDLE_JSON)
    },
}


REVOCATION_BODY: Schema = {
    **REVIEW_BODY,
    "description": "The revoker's Sigstore bundle, whose statement is a Sealgate revocation v1.",
}


COMPLETION_BODY: Schema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["certificate", "payload", "signature"],
                "additionalProperties": False,
                "properties": {
                    "certificate": {**TEXT, "description": "The signer's certificate, PEM."},
                    "payload": {**TEXT, "description": "The in-toto Statement, base64."},
                    "signature": {**TEXT, "description": "ECDSA over its DSSE encoding, base64."},
                },
            }
        }
    },
}


EXCHANGE_BODY: Schema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["token"], "properties": {"token": TEXT}}
        }
    },
}


def _accounts() -> dict[str, dict[str, Schema]]:
    return {
        "/api/v1/account": {
            "get": _operation(
                "getAccount",
                "Who a token or a session stands for, and what it may",
                {200: _json("Account", "The account.")},
                (403,),
            )
        },
        "/_/oidc/audience": {
            "get": _operation(
                "getAudience",
                "For whom a CI job's identity token must be, to be exchanged",
                {200: _json("Audience", "The audience.")},
                (404,),
            )
        },
        "/_/oidc/mint-token": {
            "post": _operation(
                "mintToken",
                "Exchange a CI job's identity token for an upload token",
                {
                    200: _json("Minted", "A token of 15 minutes."),
                    422: _json("MintRefused", "The identity token is refused."),
                },
                (400, 404, 413),
                body=EXCHANGE_BODY,
            )
        },
    }


def _paths(max_upload: int) -> dict[str, dict[str, Schema]]:
    version = [NAME, NUMBER]
    return {
        "/api/v1/submissions": {
            "post": _operation(
                "submit",
                "Submit a wheel with its author's signature",
                {
                    201: _json("Version", "Accepted; it waits for the scan."),
                    200: _json("Version", "The identical submission was there before."),
                },
                (400, 403, 409, 413, 415, 422, 507),
                body=_submission(max_upload),
            )
        },
        "/api/v1/plugins": {
            "get": _operation(
                "listPlugins",
                "List or search plugins",
                {200: _json("PluginPage", "One page of plugins, by name.")},
                (400,),
                [_query("q", "Part of a name or a summary.", {**TEXT, "maxLength": 200}), *PAGING],
            )
        },
        PLUGIN: {
            "get": _operation(
                "getPlugin",
                "A plugin with its versions",
                {200: _json("Plugin", "The plugin.")},
                (404,),
                [NAME],
            )
        },
        VERSION: {
            "get": _operation(
                "getVersion",
                "A version: state, timeline, scan, reviews",
                {200: _json("Version", "The version.")},
                (404,),
                version,
            )
        },
        VERSION + "/wheel": {
            "get": _operation(
                "getWheel",
                "Download the wheel",
                {200: _file("application/zip", "The wheel's bytes.")},
                (404,),
                version,
            )
        },
        VERSION + "/report": {
            "get": _operation(
                "getReport",
                "Download the scan report (SARIF 2.1.0)",
                {200: _file("application/sarif+json", "The report's bytes.")},
                (404,),
                version,
            )
        },
        VERSION + "/evidence": {
            "get": _operation(
                "listEvidence",
                "Who signed which step",
                {200: _json("EvidenceList", "Every stored bundle.")},
                (404,),
                version,
            )
        },
        VERSION + "/evidence/{sha256}": {
            "get": _operation(
                "getEvidence",
                "Download one Sigstore bundle",
                {200: _file(BUNDLE_JSON, "The bundle's bytes.")},
                (404,),
                [*version, _path("sha256", "The bundle's SHA-256.", DIGEST)],
            )
        },
        VERSION + "/dependencies": {
            "get": _operation(
                "listDependencies",
                "The wheels that the version locks",
                {200: _json("DependencyList", "The lock.")},
                (404,),
                version,
            )
        },
        VERSION + "/dependencies/{sha256}": {
            "get": _operation(
                "downloadDependency",
                "Download a locked wheel",
                {200: _file("application/zip", "The wheel.")},
                (404,),
                [*version, _path("sha256", "The wheel's SHA-256.", DIGEST)],
            )
        },
        VERSION + "/review-materials": {
            "get": _operation(
                "getReviewMaterials",
                "What a signed review must name",
                {200: _json("Materials", "The digests.")},
                (404, 409),
                version,
            )
        },
        VERSION + "/reviews": {
            "post": _operation(
                "review",
                "Send a signed review",
                {
                    201: _json("Version", "Recorded."),
                    200: _json("Version", "The identical review was there before."),
                },
                (400, 403, 404, 409, 413, 415, 422, 507),
                version,
                REVIEW_BODY,
            )
        },
        "/api/v1/signing/complete": {
            "post": _operation(
                "completeSignature",
                "Add log entry and timestamp to a signature that a page made",
                {
                    200: {
                        "description": "The Sigstore bundle; nothing is stored.",
                        "content": {BUNDLE_JSON: {}},
                    }
                },
                (400, 404, 413, 415, 422),
                body=COMPLETION_BODY,
            )
        },
        "/api/v1/revocations": {
            "get": _operation(
                "getRevocations",
                "A page of the revocation log, its fresh head, and the proof that it only grew",
                {200: _json("RevocationPage", "At most 64 entries.")},
                (400, 404),
                [_query("since", "How many entries are known.", {"type": "integer", "minimum": 0})],
            ),
            "post": _operation(
                "revoke",
                "Send a signed revocation, quarantine or lift",
                {
                    201: _json("Revocation", "Recorded; the worker appends it to the log."),
                    200: _json("Revocation", "The identical bundle was there before."),
                },
                (400, 403, 404, 409, 413, 415, 422),
                body=REVOCATION_BODY,
            ),
        },
        "/api/v1/queue": {
            "get": _operation(
                "getQueue",
                "Versions that wait for reviewers",
                {200: _json("QueuePage", "One page, longest waiting first.")},
                (400,),
                list(PAGING),
            )
        },
        "/healthz": {
            "get": _operation("health", "Is it alive?", {200: _json("Health", "Yes.")}, ())
        },
        "/readyz": {
            "get": _operation("ready", "Can it work?", {200: _json("Ready", "Yes.")}, (507,))
        },
        "/openapi.json": {
            "get": _operation(
                "openapi",
                "This document",
                {200: {"description": "OpenAPI 3.1.", "content": {"application/json": {}}}},
                (),
            )
        },
    }


def document(base_url: str, max_upload: int) -> dict[str, Any]:
    """Return the document.

    Args:
        base_url: the registry's address, without a trailing slash.
        max_upload: the largest accepted wheel, in bytes.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sealgate registry",
            "version": installed("sealgate"),
            "summary": "Submit, review and fetch signed plugins.",
            "description": "What bears trust is a signed Sigstore bundle; an API token says who is "
            "connected, and opens what carries no trust. Every error is a problem document (RFC "
            "9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "security": [],
        "paths": _paths(max_upload) | _accounts(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
