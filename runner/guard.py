"""Routes for those who are known: each begins with the caller, or with the refusal."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from flask import Response, request

from runner import answers
from runner.policy import Caller
from runner.service import Runner
from trust.errors import problem
from trust.outcomes import Failed

P = ParamSpec("P")


def bearer() -> str:
    """Return the bearer token of the current request (RFC 6750), or ""."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


class Guard:
    """Decorates routes; a decorated one is called with the caller as its first argument."""

    def __init__(self, runner: Runner) -> None:
        """Take the runner, which knows its callers."""
        self._runner = runner

    def caller(self, route: Callable[Concatenate[Caller, P], Response]) -> Callable[P, Response]:
        """Let callers only: anybody else is answered with 401."""

        @wraps(route)
        def guarded(*arguments: P.args, **named: P.kwargs) -> Response:
            outcome = self._runner.authenticate(bearer())
            if isinstance(outcome, Failed):
                return answers.refused(401, outcome.problems)
            return route(outcome.value, *arguments, **named)

        return guarded

    def auditor(self, route: Callable[Concatenate[Caller, P], Response]) -> Callable[P, Response]:
        """Let callers only who may read the audit log: another one is answered with 403."""

        @wraps(route)
        def guarded(caller: Caller, /, *arguments: P.args, **named: P.kwargs) -> Response:
            if caller.may_read_audit:
                return route(caller, *arguments, **named)
            denied = problem(
                "caller.no-audit",
                "this caller may not read the audit log's entries",
                value=caller.name,
                expected='a caller with "audit": true in the policy',
                advice="ask the operator",
            )
            return answers.refused(403, (denied,))

        return self.caller(guarded)
