"""Errors as RFC 9457 problem documents, for the API; pages may bring their own renderer.

A client sees what was refused and what to do, and a request id; never a stack trace. The log has
the rest under the same request id.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeAlias

from flask import Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from registry.errors import RegistryError
from trust.errors import Problem, SealgateError, problem
from trust.evidence.bundles import EvidenceRefused
from trust.strictjson import InvalidJSON
from trust.wheel import WheelRejected

PROBLEM_JSON = "application/problem+json"
ERROR_PAGE = "sealgate.error_page"
"""Key in `app.extensions` of an `ErrorPage`, which renders errors of addresses that people use."""

ErrorPage: TypeAlias = Callable[[int, str, tuple[Problem, ...], str], ResponseReturnValue]
"""(status, title, problems, request id) -> response."""

MACHINE_PATHS = ("/api/", "/_/", "/openapi.json", "/healthz", "/readyz")
RETRY_AFTER_SECONDS = "30"

log = logging.getLogger("registry")

_EXPECTED = {
    404: ("an address of this registry", "see /openapi.json for the API's addresses"),
    405: ("a method that this address takes", "see the Allow header and /openapi.json"),
    413: ("a smaller request", "see the limits in the documentation of this address"),
    415: ("another content type", "see /openapi.json for the content type"),
}


def status_of(error: SealgateError) -> HTTPStatus:
    """Return the HTTP status that stands for this refusal."""
    if isinstance(error, RegistryError):
        return error.status
    if isinstance(error, WheelRejected | EvidenceRefused):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    if isinstance(error, InvalidJSON):
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.SERVICE_UNAVAILABLE


def _wants_page() -> bool:
    return ERROR_PAGE in current_app.extensions and not request.path.startswith(MACHINE_PATHS)


def respond(status: int, problems: tuple[Problem, ...]) -> Response:
    """Return the error response for the current request."""
    title = HTTPStatus(status).phrase
    request_id: str = g.get("request_id", "")
    if _wants_page():
        page: ErrorPage = current_app.extensions[ERROR_PAGE]
        response = current_app.make_response(page(status, title, problems, request_id))
        response.status_code = status
    else:
        body = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "problems": [p.as_dict() for p in problems],
            "request_id": request_id,
        }
        response = Response(json.dumps(body), status=status, mimetype=PROBLEM_JSON)
    response.headers["Cache-Control"] = "no-store"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def on_refusal(error: SealgateError) -> Response:
    """Answer a refusal of ours."""
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s", error, extra={"request_id": g.get("request_id", "")})
    return respond(status, error.problems)


def problem_of(error: HTTPException, expected: str, advice: str) -> Problem:
    """Return why Flask or Werkzeug refused the current request."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        expected = f"a body of at most {request.max_content_length} bytes in all"
    return problem(
        f"http.{int(status)}",
        error.name,
        value=f"{request.method} {request.path}",
        expected=expected,
        advice=advice,
    )


def on_http(error: HTTPException) -> Response:
    """Answer what Flask and Werkzeug refuse: unknown addresses, methods, oversize bodies."""
    status = error.code or 500
    expected, advice = _EXPECTED.get(status, ("another request", "see /openapi.json"))
    response = respond(status, (problem_of(error, expected, advice),))
    for name, value in error.get_headers(None):
        if name == "Allow":
            response.headers[name] = value
    return response


def on_crash(error: Exception) -> Response:
    """Answer a defect of ours without telling anything about it; the log has it all."""
    request_id = g.get("request_id", "")
    log.error("unhandled error in request %s", request_id, exc_info=error)
    return respond(
        500,
        (
            problem(
                "registry.internal",
                "the registry failed; this is a defect of the registry, not of the request",
                value=request_id,
                advice="tell the registry's operator the request id",
            ),
        ),
    )


def install(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(SealgateError, on_refusal)
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(Exception, on_crash)
