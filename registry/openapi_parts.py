"""Parts of the OpenAPI document: parameters, bodies, answers, and an operation of them."""

from __future__ import annotations

from http import HTTPStatus

from registry.openapi_schemas import TEXT, Schema, ref
from registry.settings import MAX_BUNDLE
from trust.wheel.bounds import MAX_DEPENDENCIES

PROBLEM_JSON = "application/problem+json"
BUNDLE_JSON = "application/vnd.dev.sigstore.bundle.v0.3+json"


def error(status: int) -> Schema:
    """Return the answer of a refused request."""
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_JSON: {"schema": ref("Error")}},
    }


def json_answer(name: str, description: str) -> Schema:
    """Return an answer with a component as JSON."""
    return {"description": description, "content": {"application/json": {"schema": ref(name)}}}


def file_answer(media_type: str, description: str) -> Schema:
    """Return an answer with a file, which its digest names."""
    return {
        "description": description,
        "headers": {"ETag": {"description": "The file's SHA-256, quoted.", "schema": TEXT}},
        "content": {media_type: {}},
    }


def query(name: str, description: str, schema: Schema) -> Schema:
    """Return an optional query parameter."""
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
    }


def path(name: str, description: str, schema: Schema = TEXT) -> Schema:
    """Return a parameter in the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


NAME = path("name", "The plugin's name, in any spelling that PEP 503 normalises to it.")
NUMBER = path("version", "The version, in any spelling that PEP 440 takes for the same.")
PAGING = [
    query("page", "Counts from 1.", {"type": "integer", "minimum": 1, "default": 1}),
    query(
        "per_page",
        "Items on a page.",
        {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    ),
]


def operation(
    operation_id: str,
    summary: str,
    answers: dict[int, Schema],
    errors: tuple[int, ...],
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
) -> Schema:
    """Return an operation.

    Args:
        operation_id: its name.
        summary: one line.
        answers: status -> what is answered when it went well.
        errors: statuses of refusals, besides those that any request may get.
        parameters: of path and query.
        body: what is sent; None: nothing.
    """
    responses = {str(status): answer for status, answer in answers.items()}
    common = {401, 500, 503} | ({403, 429} if body else set())
    responses |= {str(status): error(status) for status in sorted({*errors} | common)}
    made: Schema = {"operationId": operation_id, "summary": summary, "responses": responses}
    if parameters:
        made["parameters"] = parameters
    if body:
        made["requestBody"] = body
    return made


def submission(max_upload: int) -> Schema:
    """Return the body of a submission, whose wheel has at most `max_upload` bytes."""
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
