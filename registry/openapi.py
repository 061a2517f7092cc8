"""The OpenAPI 3.1 document of the registry's API."""

from __future__ import annotations

from importlib.metadata import version as installed
from typing import Any

from registry.openapi_parts import (
    BUNDLE_JSON,
    COMPLETION_BODY,
    EXCHANGE_BODY,
    NAME,
    NUMBER,
    PAGING,
    REVIEW_BODY,
    REVOCATION_BODY,
    file_answer,
    json_answer,
    operation,
    path,
    query,
    submission,
)
from registry.openapi_schemas import DIGEST, SCHEMAS, TEXT, Schema

PLUGIN = "/api/v1/plugins/{name}"
VERSION = PLUGIN + "/{version}"


def _accounts() -> dict[str, dict[str, Schema]]:
    return {
        "/api/v1/account": {
            "get": operation(
                "getAccount",
                "Who a token or a session stands for, and what it may",
                {200: json_answer("Account", "The account.")},
                (403,),
            )
        },
        "/_/oidc/audience": {
            "get": operation(
                "getAudience",
                "For whom a CI job's identity token must be, to be exchanged",
                {200: json_answer("Audience", "The audience.")},
                (404,),
            )
        },
        "/_/oidc/mint-token": {
            "post": operation(
                "mintToken",
                "Exchange a CI job's identity token for an upload token",
                {
                    200: json_answer("Minted", "A token of 15 minutes."),
                    422: json_answer("MintRefused", "The identity token is refused."),
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
            "post": operation(
                "submit",
                "Submit a wheel with its author's signature",
                {
                    201: json_answer("Version", "Accepted; it waits for the scan."),
                    200: json_answer("Version", "The identical submission was there before."),
                },
                (400, 403, 409, 413, 415, 422, 507),
                body=submission(max_upload),
            )
        },
        "/api/v1/plugins": {
            "get": operation(
                "listPlugins",
                "List or search plugins",
                {200: json_answer("PluginPage", "One page of plugins, by name.")},
                (400,),
                [query("q", "Part of a name or a summary.", {**TEXT, "maxLength": 200}), *PAGING],
            )
        },
        PLUGIN: {
            "get": operation(
                "getPlugin",
                "A plugin with its versions",
                {200: json_answer("Plugin", "The plugin.")},
                (404,),
                [NAME],
            )
        },
        VERSION: {
            "get": operation(
                "getVersion",
                "A version: state, timeline, scan, reviews",
                {200: json_answer("Version", "The version.")},
                (404,),
                version,
            )
        },
        VERSION + "/wheel": {
            "get": operation(
                "getWheel",
                "Download the wheel",
                {200: file_answer("application/zip", "The wheel's bytes.")},
                (404,),
                version,
            )
        },
        VERSION + "/report": {
            "get": operation(
                "getReport",
                "Download the scan report (SARIF 2.1.0)",
                {200: file_answer("application/sarif+json", "The report's bytes.")},
                (404,),
                version,
            )
        },
        VERSION + "/evidence": {
            "get": operation(
                "listEvidence",
                "Who signed which step",
                {200: json_answer("EvidenceList", "Every stored bundle.")},
                (404,),
                version,
            )
        },
        VERSION + "/evidence/{sha256}": {
            "get": operation(
                "getEvidence",
                "Download one Sigstore bundle",
                {200: file_answer(BUNDLE_JSON, "The bundle's bytes.")},
                (404,),
                [*version, path("sha256", "The bundle's SHA-256.", DIGEST)],
            )
        },
        VERSION + "/dependencies": {
            "get": operation(
                "listDependencies",
                "The wheels that the version locks",
                {200: json_answer("DependencyList", "The lock.")},
                (404,),
                version,
            )
        },
        VERSION + "/dependencies/{sha256}": {
            "get": operation(
                "downloadDependency",
                "Download a locked wheel",
                {200: file_answer("application/zip", "The wheel.")},
                (404,),
                [*version, path("sha256", "The wheel's SHA-256.", DIGEST)],
            )
        },
        VERSION + "/review-materials": {
            "get": operation(
                "getReviewMaterials",
                "What a signed review must name",
                {200: json_answer("Materials", "The digests.")},
                (404, 409),
                version,
            )
        },
        VERSION + "/reviews": {
            "post": operation(
                "review",
                "Send a signed review",
                {
                    201: json_answer("Version", "Recorded."),
                    200: json_answer("Version", "The identical review was there before."),
                },
                (400, 403, 404, 409, 413, 415, 422, 507),
                version,
                REVIEW_BODY,
            )
        },
        "/api/v1/signing/complete": {
            "post": operation(
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
            "get": operation(
                "getRevocations",
                "A page of the revocation log, its fresh head, and the proof that it only grew",
                {200: json_answer("RevocationPage", "At most 64 entries.")},
                (400, 404),
                [query("since", "How many entries are known.", {"type": "integer", "minimum": 0})],
            ),
            "post": operation(
                "revoke",
                "Send a signed revocation, quarantine or lift",
                {
                    201: json_answer("Revocation", "Recorded; the worker appends it to the log."),
                    200: json_answer("Revocation", "The identical bundle was there before."),
                },
                (400, 403, 404, 409, 413, 415, 422),
                body=REVOCATION_BODY,
            ),
        },
        "/api/v1/queue": {
            "get": operation(
                "getQueue",
                "Versions that wait for reviewers",
                {200: json_answer("QueuePage", "One page, longest waiting first.")},
                (400,),
                list(PAGING),
            )
        },
        "/healthz": {
            "get": operation("health", "Is it alive?", {200: json_answer("Health", "Yes.")}, ())
        },
        "/readyz": {
            "get": operation("ready", "Can it work?", {200: json_answer("Ready", "Yes.")}, (507,))
        },
        "/openapi.json": {
            "get": operation(
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
