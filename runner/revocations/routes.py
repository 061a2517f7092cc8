"""The runner's door for revocations: anybody may hand over a signed one.

A bundle needs no caller's token: who acts is its verified signer, and who may is the policy's
word. To poll now takes a caller's token, since it makes the runner work.
"""

from __future__ import annotations

from flask import Flask, Response, request

from runner import answers
from runner.audit import AuditUnavailable
from runner.guard import Guard
from runner.http_get import FetchFailed
from runner.policy import Caller
from runner.revocations.follower import Follower
from trust.errors import SealgateError, problem
from trust.evidence.bundles import EvidenceRefused
from trust.log import LogError
from trust.revocation import MAX_BUNDLE_BYTES, RevocationRefused

JSON_TYPES = ("application/json", "application/vnd.dev.sigstore.bundle.v0.3+json")
REVOCATIONS = "/v1/revocations"


def install(app: Flask, follower: Follower | None, guard: Guard) -> None:
    """Add the routes.

    Args:
        app: the application.
        follower: None where the policy follows no revocation log; the routes say so then.
        guard: knows the callers.
    """

    def none() -> Response:
        return answers.refused(
            404,
            [
                problem(
                    "revocation.not-followed",
                    "this runner's policy follows no revocation log",
                    expected="the policy's member `revocation`",
                    advice="ask the operator; the policy's list `revoked` counts",
                )
            ],
        )

    @app.get(REVOCATIONS)
    def standing() -> Response:
        if follower is None:
            return none()
        figures = follower.figures()
        return answers.value(
            {
                "seconds_left": round(figures.seconds_left, 1),
                "entries": figures.entries,
                "in_force": [each.as_dict() for each in follower.in_force()],
            },
            200,
        )

    @app.post(REVOCATIONS)
    def hand() -> Response:
        if follower is None:
            return none()
        if request.mimetype not in JSON_TYPES:
            wrong = problem(
                "request.media-type",
                "the body's media type is not JSON's",
                value=request.mimetype,
                expected="Content-Type: application/json",
                advice="send the bundle itself as the request's body",
            )
            return answers.refused(415, [wrong])
        body = request.stream.read(MAX_BUNDLE_BYTES + 1)
        try:
            found = follower.hand(body)
        except RevocationRefused as error:
            code = {"revocation.size": 413, "revocation.not-authorised": 403}
            return answers.refused(code.get(error.problem.code, 422), error.problems)
        except EvidenceRefused as error:
            return answers.refused(422, error.problems)
        except (AuditUnavailable, LogError) as error:
            return answers.refused(503, error.problems)
        return answers.value(found.as_dict(), 200)

    @app.post(f"{REVOCATIONS}/refresh")
    @guard.caller
    def refresh(_: Caller) -> Response:
        if follower is None:
            return none()
        try:
            follower.poll()
        except (FetchFailed, SealgateError) as error:
            return answers.refused(503, error.problems)
        figures = follower.figures()
        return answers.value(
            {"seconds_left": round(figures.seconds_left, 1), "entries": figures.entries}, 200
        )
