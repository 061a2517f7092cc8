"""Refusals in the words that packaging tools show.

`uv` prints `title` and `detail` of a problem document (RFC 9457); `twine` prints the reason of
the status line, and the body only with `--verbose`. So the reason has every part of every problem
in one line of ASCII, and the body is a problem document or, for those who do not ask for JSON,
text.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus

from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from registry import httperrors
from trust.errors import Problem, SealgateError

MAX_REASON = 1500
"""Characters of a status line's reason; clients bound the size of a response's head."""


log = logging.getLogger("registry")


def _line(why: Problem) -> str:
    parts = [f"{why.what} [{why.code}]"]
    for label, text in (
        ("where", why.where),
        ("value", why.value),
        ("expected", why.expected),
        ("do", why.advice),
    ):
        if text:
            parts.append(f"{label}: {text}")
    return "; ".join(parts)


def _reason(problems: tuple[Problem, ...]) -> str:
    text = " | ".join(_line(why) for why in problems)
    text = text.encode("ascii", "backslashreplace").decode()
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 3] + "..."


def _wants_json() -> bool:
    accepted = request.accept_mimetypes
    asked = max(accepted["application/json"], accepted[httperrors.PROBLEM_JSON])
    return asked > accepted["text/plain"]


def respond(status: int, problems: tuple[Problem, ...]) -> Response:
    """Return the refusal of the current request."""
    title = HTTPStatus(status).phrase
    detail = "\n".join(why.lines() for why in problems)
    if _wants_json():
        body = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
            "problems": [why.as_dict() for why in problems],
            "request_id": g.get("request_id", ""),
        }
        response = Response(json.dumps(body), mimetype=httperrors.PROBLEM_JSON)
    else:
        response = Response(detail + "\n", mimetype="text/plain")
    response.status = f"{status} {_reason(problems)}"
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = httperrors.RETRY_AFTER_SECONDS
    return response


def on_refusal(error: SealgateError) -> Response:
    """Answer a refusal of ours."""
    status = httperrors.status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s", error, extra={"request_id": g.get("request_id", "")})
    return respond(status, error.problems)


def on_http(error: HTTPException) -> Response:
    """Answer what Flask and Werkzeug refuse in these interfaces, such as an oversize body."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    return respond(status, (httperrors.problem_of(error, "another request", "see docs/pypi.md"),))
