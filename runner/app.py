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
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from runner import explorer, follow
from runner.audit import Audit
from runner.calls import MAX_BODY_BYTES, InvocationReply, error_of, parse_request
from runner.cors import Cors
from runner.desk import Desk, Key, Taken
from runner.front import RETRY_AFTER_SECONDS, Front
from runner.idempotency import HEADER, OtherRequest, check_key
from runner.metrics import MEDIA_TYPE, Metrics
from runner.openapi import document
from runner.policy import Caller
from runner.quota import OverQuota, Quotas
from runner.readiness import Readiness
from runner.replies import KeptReply
from runner.revocations import routes
from runner.revocations.follower import Follower
from runner.service import Runner
from trust import strictjson
from trust.errors import Problem, SealgateError, problem
from trust.log import LogError, LogUnavailable
from trust.outcomes import Failed, Passed

CALLS_AT_ONCE = 24
"""Calls under way at one time, of all callers; further ones are turned away with 503."""
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


def code_of(reply: InvocationReply | KeptReply) -> int:
    """Return the HTTP status code of a reply."""
    return 200 if reply.executed and reply.status == "refused" else CODES[reply.status]


_TITLES = {
    401: "Not authenticated",
    403: "Refused",
    404: "Not found",
    429: "Too many requests",
    503: "Unavailable",
}

_logger = logging.getLogger(__name__)


def _json(value: Any, code: int = 200, media: str = "application/json") -> Response:
    return _wire(strictjson.dumps(value), code, media)


def _wire(body: bytes, code: int, media: str) -> Response:
    response = Response(body, code, mimetype=media)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="sealgate-runner"'
    return response


def _problems(code: int, problems: Sequence[Problem]) -> Response:
    """Return RFC 9457 problem details."""
    body = {
        "type": "about:blank",
        "title": _TITLES.get(code, "Request refused"),
        "status": code,
        "problems": [p.as_dict() for p in problems],
    }
    return _json(body, code, "application/problem+json")


def _answer(reply: InvocationReply, code: int | None = None) -> Response:
    unavailable = reply.status == "unavailable"
    return _json(reply.as_dict(), code_of(reply) if code is None or unavailable else code)


def _turned_away(reply: InvocationReply, over: OverQuota) -> Response:
    response = _json(reply.as_dict(), over.code)
    response.headers["Retry-After"] = str(over.retry_after)
    return response


def _taken(taken: Taken) -> Response:
    """Answer a call that was taken on: its reply, or 202 while it is under way."""
    if taken.reply is None:
        return _accepted(taken.request_id, replayed=taken.replayed)
    response = _wire(taken.reply.body, code_of(taken.reply), "application/json")
    if taken.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _stands(name: str, found: Taken | None) -> Response:
    """Answer how a call stands that its caller named: 200 with its reply, 202, or 404."""
    if found is None:
        missing = problem(
            "call.not-kept", "no reply of this caller is kept under this request id",
            value=name, expected="the id of a call whose reply is still kept",
            advice="look for the request id in the audit log",
        )  # fmt: skip
        return _problems(404, (missing,))
    if found.reply is None:
        return _accepted(found.request_id)
    return _wire(found.reply.body, 200, "application/json")


def _accepted(request_id: str, *, replayed: bool = False) -> Response:
    response = _json({"request_id": request_id, "status": "accepted"}, 202)
    response.headers["Location"] = f"{INVOCATIONS}/{request_id}"
    response.headers["Retry-After"] = "1"
    if request.method == "POST":
        response.headers["Preference-Applied"] = "respond-async"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _prefers_async() -> bool:
    """Whether a `Prefer` header asks for `respond-async`; its other preferences are not obeyed."""
    wishes = ",".join(request.headers.getlist("Prefer")).split(",")
    return any(wish.split(";")[0].strip().lower() == "respond-async" for wish in wishes)


def _bearer() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _request_problem(code: str, what: str, value: object, expected: str) -> Problem:
    return problem(
        f"request.{code}",
        what,
        value=value,
        expected=expected,
        advice="see /openapi.json",
    )


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
    app = Flask(__name__, static_folder=None)
    # One byte more than a body may have, so that one that is too large is answered by us.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1

    @app.post(INVOCATIONS)
    def invoke() -> Response:
        outcome = runner.authenticate(_bearer())
        if isinstance(outcome, Failed):
            return _answer(runner.unauthenticated(outcome.problems), 401)
        caller = outcome.value
        if request.mimetype != "application/json":
            wrong = _request_problem(
                "media-type", "the body's media type is not JSON's", request.mimetype,
                "Content-Type: application/json",
            )  # fmt: skip
            return _answer(runner.malformed(caller, (wrong,)), 415)
        length = request.content_length
        body = b"" if length is not None and length > MAX_BODY_BYTES else request.get_data()
        if (length or 0) > MAX_BODY_BYTES or len(body) > MAX_BODY_BYTES:
            wrong = _request_problem(
                "too-large", "the body is too large", f"{length} bytes",
                f"at most {MAX_BODY_BYTES} bytes",
            )  # fmt: skip
            return _answer(runner.malformed(caller, (wrong,)), 413)
        parsed = parse_request(body)
        if isinstance(parsed, Failed):
            return _answer(runner.malformed(caller, parsed.problems), 400)
        key = None
        if HEADER in request.headers:
            named = check_key(request.headers[HEADER])
            if isinstance(named, Failed):
                return _answer(runner.malformed(caller, named.problems), 400)
            key = Key(named.value, hashlib.sha256(body).hexdigest())
        try:
            return _taken(desk.take(parsed.value, caller, key, later=_prefers_async()))
        except OverQuota as over:
            return _turned_away(runner.turned_away(caller, over.problems), over)
        except OtherRequest as other:
            return _answer(runner.malformed(caller, other.problems))

    @app.get(f"{INVOCATIONS}/<uuid:request_id>")
    def result(request_id: UUID) -> Response:
        outcome = runner.authenticate(_bearer())
        if isinstance(outcome, Failed):
            return _problems(401, outcome.problems)
        return _stands(str(request_id), desk.find(str(request_id), outcome.value))

    @app.delete(f"{INVOCATIONS}/<uuid:request_id>")
    def cancel(request_id: UUID) -> Response:
        outcome = runner.authenticate(_bearer())
        if isinstance(outcome, Failed):
            return _problems(401, outcome.problems)
        return _stands(str(request_id), desk.cancel(str(request_id), outcome.value))

    @app.get(f"{INVOCATIONS}/<uuid:request_id>/output")
    def output(request_id: UUID) -> Response:
        outcome = runner.authenticate(_bearer())
        if isinstance(outcome, Failed):
            return _problems(401, outcome.problems)
        found = desk.outputs.find(str(request_id), outcome.value.name)
        if found is None:
            return _stands(str(request_id), None)
        streamed = request.accept_mimetypes.quality(follow.EVENT_STREAM) > 0 and (
            follow.EVENT_STREAM in request.headers.get("Accept", "")
        )
        asked = request.args.get("after")
        if streamed:
            asked = request.headers.get("Last-Event-ID", asked)
        position = follow.position_of(asked)
        if position is None:
            wrong = _request_problem("position", "this is not a position", asked, "a number")
            return _problems(400, (wrong,))
        if not streamed:
            return _json(follow.page(str(request_id), found, position))
        places = ExitStack()
        try:
            places.enter_context(desk.outputs.following(outcome.value.name))
        except OverQuota as over:
            response = _problems(over.code, over.problems)
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
    def cancel_by_key() -> Response:
        outcome = runner.authenticate(_bearer())
        if isinstance(outcome, Failed):
            return _problems(401, outcome.problems)
        named = check_key(request.headers.get(HEADER, ""))
        if isinstance(named, Failed):
            return _problems(400, named.problems)
        return _stands(f"the {HEADER}", desk.cancel_key(named.value, outcome.value))

    _audit_routes(app, runner, audit)
    routes.install(app, revocations, lambda: runner.authenticate(_bearer()), _json, _problems)
    _probe_routes(app, readiness, metrics)
    explorer.install(app, runner, audit)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        code = error.code or 500
        found = _request_problem(
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
        lambda caller, over: _turned_away(runner.turned_away(caller, over.problems), over),
        _failed_call,
        INVOCATIONS,
    )
    return app


def _failed(error: Exception) -> Problem:
    return _request_problem("failed", "the runner failed", type(error).__name__, "an answer")


def _failed_call(error: Exception) -> Response:
    """Answer a call that failed past the framework, in the shape that every reply has."""
    _logger.error("a request failed", exc_info=error)
    return _answer(_no_call("unavailable", _failed(error)), 503)


def _no_call(status: Any, found: Problem) -> InvocationReply:
    return InvocationReply("", status, error=error_of(status, found.what, (found,)))


def _failure(code: int, found: Problem) -> Response:
    """Answer what no route answered, in the shape that its path has."""
    if request.path != INVOCATIONS or request.method == "DELETE":
        return _problems(code, (found,))
    status: Any = "unavailable" if code >= 500 else "invalid_arguments"
    return _answer(_no_call(status, found), code)


def _number(name: str) -> int | None:
    """Return a query parameter that is a number; None if it is absent."""
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise LogError(
            _request_problem("number", f"the parameter {name} is not a number", text, "a size")
        )
    return int(text)


def _audit_routes(app: Flask, runner: Runner, audit: Audit) -> None:
    log = audit.reader

    def guarded(answer: Callable[[], Response]) -> Response:
        try:
            return answer()
        except LogUnavailable as error:
            return _problems(503, error.problems)
        except LogError as error:
            return _problems(400, error.problems)

    @app.get("/v1/audit/checkpoint")
    def checkpoint() -> Response:
        """Public: a checkpoint says how many records there are and nothing of what they say."""
        return guarded(lambda: Response(log.checkpoint(), mimetype="text/plain"))

    @app.get("/v1/audit/entries/<int:index>")
    def entry(index: int) -> Response:
        allowed = _auditor(runner)
        if isinstance(allowed, Response):
            return allowed

        def answer() -> Response:
            if index >= log.size:
                missing = _request_problem("entry", "the log has no such entry", index, "an index")
                return _problems(404, (missing,))
            return _json({"entry": log.entry(index).decode(), **log.receipt(index).as_dict()})

        return guarded(answer)

    @app.get("/v1/audit/proof/inclusion")
    def inclusion() -> Response:
        def answer() -> Response:
            index, size = _number("index") or 0, _number("size")
            return _json(log.receipt(index, size).as_dict())

        return guarded(answer)

    @app.get("/v1/audit/proof/consistency")
    def consistency() -> Response:
        def answer() -> Response:
            old, new = _number("old") or 0, _number("new")
            size = log.size if new is None else new
            proof = [digest.hex() for digest in log.consistency_proof(old, size)]
            return _json({"old": old, "new": size, "proof": proof})

        return guarded(answer)


def _auditor(runner: Runner) -> Caller | Response:
    """Return the caller, who may read the audit log, or the refusal."""
    outcome = runner.authenticate(_bearer())
    if isinstance(outcome, Passed) and outcome.value.may_read_audit:
        return outcome.value
    if isinstance(outcome, Failed):
        return _problems(401, outcome.problems)
    denied = problem(
        "caller.no-audit",
        "this caller may not read the audit log's entries",
        value=outcome.value.name,
        expected='a caller with "audit": true in the policy',
        advice="ask the operator",
    )
    return _problems(403, (denied,))


def _probe_routes(app: Flask, readiness: Readiness, metrics: Metrics) -> None:
    @app.get("/metrics")
    def exposition() -> Response:
        return Response(metrics.text(), content_type=MEDIA_TYPE)

    @app.get("/healthz")
    def health() -> Response:
        return _json({"status": "ok"})

    @app.get("/readyz")
    def ready() -> Response:
        try:
            found = readiness.problems()
        except SealgateError as error:
            found = {"readiness": error.problems}
        in_the_way = any(found.values())
        checks = {name: [p.as_dict() for p in problems] for name, problems in found.items()}
        return _json(
            {"status": "unavailable" if in_the_way else "ok", "checks": checks} | readiness.notes(),
            503 if in_the_way else 200,
        )

    @app.get("/openapi.json")
    def openapi() -> Response:
        return _json(document())
