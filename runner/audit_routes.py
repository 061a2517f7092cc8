"""The audit log over HTTP: checkpoint and proofs for everybody, entries for auditors."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, request

from runner import answers
from runner.answers import request_problem
from runner.audit import Audit
from runner.guard import Guard
from runner.policy import Caller
from trust.log import LogError, LogUnavailable


def install(app: Flask, audit: Audit, guard: Guard) -> None:
    """Add the routes.

    Args:
        app: the application.
        audit: whose log they read.
        guard: knows who may read entries.
    """
    log = audit.reader

    def guarded(answer: Callable[[], Response]) -> Response:
        try:
            return answer()
        except LogUnavailable as error:
            return answers.refused(503, error.problems)
        except LogError as error:
            return answers.refused(400, error.problems)

    @app.get("/v1/audit/checkpoint")
    def checkpoint() -> Response:
        """Public: a checkpoint says how many records there are and nothing of what they say."""
        return guarded(lambda: Response(log.checkpoint(), mimetype="text/plain"))

    @app.get("/v1/audit/entries/<int:index>")
    @guard.auditor
    def entry(_: Caller, index: int) -> Response:
        def answer() -> Response:
            if index >= log.size:
                missing = request_problem("entry", "the log has no such entry", index, "an index")
                return answers.refused(404, (missing,))
            found = {"entry": log.entry(index).decode(), **log.receipt(index).as_dict()}
            return answers.value(found)

        return guarded(answer)

    @app.get("/v1/audit/proof/inclusion")
    def inclusion() -> Response:
        def answer() -> Response:
            index, size = _number("index") or 0, _number("size")
            return answers.value(log.receipt(index, size).as_dict())

        return guarded(answer)

    @app.get("/v1/audit/proof/consistency")
    def consistency() -> Response:
        def answer() -> Response:
            old, new = _number("old") or 0, _number("new")
            size = log.size if new is None else new
            proof = [digest.hex() for digest in log.consistency_proof(old, size)]
            return answers.value({"old": old, "new": size, "proof": proof})

        return guarded(answer)


def _number(name: str) -> int | None:
    """Return a query parameter that is a number; None if it is absent."""
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise LogError(
            request_problem("number", f"the parameter {name} is not a number", text, "a size")
        )
    return int(text)
