"""The answers of the runner's HTTP API: replies of calls, problem details, JSON.

Whatever a route finds, it answers with one of these; so headers and shapes are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, request

from runner.calls import InvocationReply, error_of
from runner.desk import Taken
from runner.front import RETRY_AFTER_SECONDS
from runner.quota import OverQuota
from runner.replies import KeptReply
from trust import strictjson
from trust.errors import Problem, problem

INVOCATIONS = "/v1/invocations"
CODES = {
    "ok": 200,
    "plugin_error": 200,
    "timeout": 200,
    "resource_limit": 200,
    "refused": 403,
    "invalid_arguments": 422,
    "unavailable": 503,
}
_TITLES = {
    401: "Not authenticated",
    403: "Refused",
    404: "Not found",
    429: "Too many requests",
    503: "Unavailable",
}


def code_of(reply: InvocationReply | KeptReply) -> int:
    """Return the HTTP status code of a reply."""
    return 200 if reply.executed and reply.status == "refused" else CODES[reply.status]


def value(found: Any, code: int = 200, media: str = "application/json") -> Response:
    """Answer with a value as JSON."""
    return wire(strictjson.dumps(found), code, media)


def wire(body: bytes, code: int, media: str) -> Response:
    """Answer with bytes that are JSON already."""
    response = Response(body, code, mimetype=media)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="sealgate-runner"'
    return response


def refused(code: int, problems: Sequence[Problem]) -> Response:
    """Answer with RFC 9457 problem details."""
    body = {
        "type": "about:blank",
        "title": _TITLES.get(code, "Request refused"),
        "status": code,
        "problems": [p.as_dict() for p in problems],
    }
    return value(body, code, "application/problem+json")


def reply(found: InvocationReply, code: int | None = None) -> Response:
    """Answer with the reply of a call; its own code stands where it is `unavailable`."""
    unavailable = found.status == "unavailable"
    return value(found.as_dict(), code_of(found) if code is None or unavailable else code)


def turned_away(found: InvocationReply, over: OverQuota) -> Response:
    """Answer a call over a quota, with the time after which to come again."""
    response = value(found.as_dict(), over.code)
    response.headers["Retry-After"] = str(over.retry_after)
    return response


def taken(found: Taken) -> Response:
    """Answer a call that was taken on: its reply, or 202 while it is under way."""
    if found.reply is None:
        return accepted(found.request_id, replayed=found.replayed)
    response = wire(found.reply.body, code_of(found.reply), "application/json")
    if found.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def standing(name: str, found: Taken | None) -> Response:
    """Answer how a call stands that its caller named: 200 with its reply, 202, or 404."""
    if found is None:
        missing = problem(
            "call.not-kept", "no reply of this caller is kept under this request id",
            value=name, expected="the id of a call whose reply is still kept",
            advice="look for the request id in the audit log",
        )  # fmt: skip
        return refused(404, (missing,))
    if found.reply is None:
        return accepted(found.request_id)
    return wire(found.reply.body, 200, "application/json")


def accepted(request_id: str, *, replayed: bool = False) -> Response:
    """Answer 202: the call is under way, and its reply will be at the address in Location."""
    response = value({"request_id": request_id, "status": "accepted"}, 202)
    response.headers["Location"] = f"{INVOCATIONS}/{request_id}"
    response.headers["Retry-After"] = "1"
    if request.method == "POST":
        response.headers["Preference-Applied"] = "respond-async"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def no_call(status: Any, found: Problem) -> InvocationReply:
    """Return the reply to a request that became no call."""
    return InvocationReply("", status, error=error_of(status, found.what, (found,)))


def request_problem(code: str, what: str, value: object, expected: str) -> Problem:
    """Return what is wrong with a request."""
    return problem(
        f"request.{code}",
        what,
        value=value,
        expected=expected,
        advice="see /openapi.json",
    )
