"""The runner's HTTP API: a thin skin over `runner.service.Runner`.

HTTP codes of an invocation say what became of the *request*; `status` in the body says what became
of the *call*. A call that was executed is answered with 200 whatever its end (`ok`,
`plugin_error`, `timeout`, `resource_limit`, and `refused` where it was stopped while it ran): a
proxy or client library that repeats 5xx must not run a plugin twice. Otherwise: 401, 403
(`refused`), 400, 413, 415, 422 (`invalid_arguments`), 503 with Retry-After (`unavailable`: it
could not be decided, executed or recorded).

With `Prefer: respond-async` (RFC 7240) a call that is taken on is answered with 202 and its
request id; its reply is then read from the address in Location, by the same caller, and what it
writes from `output` below that, as it comes.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from runner import answers, audit_routes, explorer, follow
from runner.answers import INVOCATIONS, code_of, request_problem
from runner.audit import Audit
from runner.calls import MAX_BODY_BYTES, parse_request
from runner.cors import Cors
from runner.desk import Desk, Key
from runner.front import Front
from runner.guard import Guard, bearer
from runner.idempotency import HEADER, OtherRequest, check_key
from runner.metrics import MEDIA_TYPE, Metrics
from runner.openapi import document
from runner.policy import Caller
from runner.quota import OverQuota, Quotas
from runner.readiness import Readiness
from runner.revocations import routes
from runner.revocations.follower import Follower
from runner.service import Runner
from trust.errors import Problem, SealgateError
from trust.outcomes import Failed

CALLS_AT_ONCE = 24
"""Calls under way at one time, of all callers; further ones are turned away with 503."""

_logger = logging.getLogger(__name__)


def _prefers_async() -> bool:
    """Whether a `Prefer` header asks for `respond-async`; its other preferences are not obeyed."""
    wishes = ",".join(request.headers.getlist("Prefer")).split(",")
    return any(wish.split(";")[0].strip().lower() == "respond-async" for wish in wishes)


def create_app(
    runner: Runner,
    audit: Audit,
    readiness: Readiness,
    quotas: Quotas | None = None,
    metrics: Metrics | None = None,
    revocations: Follower | None = None,
) -> Flask:
    """Make the WSGI application.

    Args:
        runner: answers calls.
        audit: whose log the audit routes read.
        readiness: what /readyz asks.
        quotas: bounds on calls; None means the default bound of calls at one time.
        metrics: what /metrics shows; None shows zeros.
        revocations: takes revocations that are handed over; None where none are followed.
    """
    quotas = quotas or Quotas(CALLS_AT_ONCE)
    metrics = metrics or Metrics()
    desk = Desk(runner, quotas)
    guard = Guard(runner)
    app = Flask(__name__, static_folder=None)
    # One byte more than a body may have, so that one that is too large is answered by us.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1

    @app.post(INVOCATIONS)
    def invoke() -> Response:
        outcome = runner.authenticate(bearer())
        if isinstance(outcome, Failed):
            return answers.reply(runner.unauthenticated(outcome.problems), 401)
        caller = outcome.value
        if request.mimetype != "application/json":
            wrong = request_problem(
                "media-type", "the body's media type is not JSON's", request.mimetype,
                "Content-Type: application/json",
            )  # fmt: skip
            return answers.reply(runner.malformed(caller, (wrong,)), 415)
        length = request.content_length
        body = b"" if length is not None and length > MAX_BODY_BYTES else request.get_data()
        if (length or 0) > MAX_BODY_BYTES or len(body) > MAX_BODY_BYTES:
            wrong = request_problem(
                "too-large", "the body is too large", f"{length} bytes",
                f"at most {MAX_BODY_BYTES} bytes",
            )  # fmt: skip
            return answers.reply(runner.malformed(caller, (wrong,)), 413)
        parsed = parse_request(body)
        if isinstance(parsed, Failed):
            return answers.reply(runner.malformed(caller, parsed.problems), 400)
        key = None
        if HEADER in request.headers:
            named = check_key(request.headers[HEADER])
            if isinstance(named, Failed):
                return answers.reply(runner.malformed(caller, named.problems), 400)
            key = Key(named.value, hashlib.sha256(body).hexdigest())
        try:
            return answers.taken(desk.take(parsed.value, caller, key, later=_prefers_async()))
        except OverQuota as over:
            return answers.turned_away(runner.turned_away(caller, over.problems), over)
        except OtherRequest as other:
            return answers.reply(runner.malformed(caller, other.problems))

    @app.get(f"{INVOCATIONS}/<uuid:request_id>")
    @guard.caller
    def result(caller: Caller, request_id: UUID) -> Response:
        return answers.standing(str(request_id), desk.find(str(request_id), caller))

    @app.delete(f"{INVOCATIONS}/<uuid:request_id>")
    @guard.caller
    def cancel(caller: Caller, request_id: UUID) -> Response:
        return answers.standing(str(request_id), desk.cancel(str(request_id), caller))

    @app.get(f"{INVOCATIONS}/<uuid:request_id>/output")
    @guard.caller
    def output(caller: Caller, request_id: UUID) -> Response:
        found = desk.outputs.find(str(request_id), caller.name)
        if found is None:
            return answers.standing(str(request_id), None)
        streamed = request.accept_mimetypes.quality(follow.EVENT_STREAM) > 0 and (
            follow.EVENT_STREAM in request.headers.get("Accept", "")
        )
        asked = request.args.get("after")
        if streamed:
            asked = request.headers.get("Last-Event-ID", asked)
        position = follow.position_of(asked)
        if position is None:
            wrong = request_problem("position", "this is not a position", asked, "a number")
            return answers.refused(400, (wrong,))
        if not streamed:
            return answers.value(follow.page(str(request_id), found, position))
        places = ExitStack()
        try:
            places.enter_context(desk.outputs.following(caller.name))
        except OverQuota as over:
            response = answers.refused(over.code, over.problems)
            response.headers["Retry-After"] = str(over.retry_after)
            return response
        response = Response(
            follow.events(str(request_id), found, position), mimetype=follow.EVENT_STREAM
        )
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.call_on_close(places.close)
        return response

    @app.delete(INVOCATIONS)
    @guard.caller
    def cancel_by_key(caller: Caller) -> Response:
        named = check_key(request.headers.get(HEADER, ""))
        if isinstance(named, Failed):
            return answers.refused(400, named.problems)
        return answers.standing(f"the {HEADER}", desk.cancel_key(named.value, caller))

    audit_routes.install(app, audit, guard)
    routes.install(app, revocations, guard)
    _probe_routes(app, readiness, metrics)
    explorer.install(app, runner, audit)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        code = error.code or 500
        found = request_problem(
            error.name.lower().replace(" ", "-"),
            error.description or error.name,
            f"{request.method} {request.path}",
            "a request that /openapi.json describes",
        )
        return _failure(code, found)

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        _logger.exception("a request failed")
        return _failure(503, _failed(error))

    app.wsgi_app = Front(  # type: ignore[method-assign] # Flask's way to put something in front
        Cors(app.wsgi_app, lambda: runner.policy.browser_origins, INVOCATIONS),
        runner,
        desk,
        code_of,
        lambda caller, over: answers.turned_away(runner.turned_away(caller, over.problems), over),
        _failed_call,
        INVOCATIONS,
    )
    return app


def _failed(error: Exception) -> Problem:
    return request_problem("failed", "the runner failed", type(error).__name__, "an answer")


def _failed_call(error: Exception) -> Response:
    """Answer a call that failed past the framework, in the shape that every reply has."""
    _logger.error("a request failed", exc_info=error)
    return answers.reply(answers.no_call("unavailable", _failed(error)), 503)


def _failure(code: int, found: Problem) -> Response:
    """Answer what no route answered, in the shape that its path has."""
    if request.path != INVOCATIONS or request.method == "DELETE":
        return answers.refused(code, (found,))
    status: Any = "unavailable" if code >= 500 else "invalid_arguments"
    return answers.reply(answers.no_call(status, found), code)


def _probe_routes(app: Flask, readiness: Readiness, metrics: Metrics) -> None:
    @app.get("/metrics")
    def exposition() -> Response:
        return Response(metrics.text(), content_type=MEDIA_TYPE)

    @app.get("/healthz")
    def health() -> Response:
        return answers.value({"status": "ok"})

    @app.get("/readyz")
    def ready() -> Response:
        try:
            found = readiness.problems()
        except SealgateError as error:
            found = {"readiness": error.problems}
        in_the_way = any(found.values())
        checks = {name: [p.as_dict() for p in problems] for name, problems in found.items()}
        return answers.value(
            {"status": "unavailable" if in_the_way else "ok", "checks": checks} | readiness.notes(),
            503 if in_the_way else 200,
        )

    @app.get("/openapi.json")
    def openapi() -> Response:
        return answers.value(document())
