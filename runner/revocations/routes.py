"""The runner's door for revocations: anybody may hand over a signed one.

A bundle needs no caller's token: who acts is its verified signer, and who may is the policy's
word. To poll now takes a caller's token, since it makes the runner work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Flask, Response, request

from runner.http_get import FetchFailed
from runner.revocations.follower import Follower
from trust.errors import Problem, SealgateError, problem
from trust.evidence.bundles import EvidenceRefused
from trust.log import LogError
from trust.outcomes import Failed, Passed
from trust.revocation import MAX_BUNDLE_BYTES, RevocationRefused

JSON_TYPES = ("application/json", "application/vnd.dev.sigstore.bundle.v0.3+json")
REVOCATIONS = "/v1/revocations"

Json = Callable[[object, int], Response]
Refuse = Callable[[int, Sequence[Problem]], Response]
Authenticate = Callable[[], Passed[object] | Failed]


def install(
    app: Flask, follower: Follower | None, authenticate: Authenticate, json: Json, refuse: Refuse
) -> None:
    """Add the routes.

    Args:
        app: the application.
        follower: None where the policy follows no revocation log; the routes say so then.
        authenticate: finds the caller of the current request.
        json: makes a JSON response of a value and a status.
        refuse: makes a problem response (RFC 9457) of a status and problems.
    """

    def none() -> Response:
        return refuse(
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
        return json(
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
            return refuse(415, [wrong])
        body = request.stream.read(MAX_BUNDLE_BYTES + 1)
        try:
            found = follower.hand(body)
        except RevocationRefused as error:
            code = {"revocation.size": 413, "revocation.not-authorised": 403}
            return refuse(code.get(error.problem.code, 422), error.problems)
        except EvidenceRefused as error:
            return refuse(422, error.problems)
        except LogError as error:
            return refuse(503, error.problems)
        return json(found.as_dict(), 200)

    @app.post(f"{REVOCATIONS}/refresh")
    def refresh() -> Response:
        outcome = authenticate()
        if isinstance(outcome, Failed):
            return refuse(401, outcome.problems)
        if follower is None:
            return none()
        try:
            follower.poll()
        except (FetchFailed, SealgateError) as error:
            return refuse(503, error.problems)
        figures = follower.figures()
        return json(
            {"seconds_left": round(figures.seconds_left, 1), "entries": figures.entries}, 200
        )
