"""What the authority refuses, each with the HTTP status that says so."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from trust.errors import Problem, SealgateError


class AuthorityError(SealgateError):
    """The root of the authority's refusals."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class RequestRefused(AuthorityError):
    """The request is malformed, or proves less than it must."""


class Unauthenticated(AuthorityError):
    """The password or the identity token is not accepted."""

    status = HTTPStatus.UNAUTHORIZED


class TooManyAttempts(AuthorityError):
    """An account is being guessed at; `retry_after` is in seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, found: Problem, retry_after: int) -> None:
        super().__init__(found)
        self.retry_after = retry_after


class StateRefused(AuthorityError):
    """The authority's own files are missing, malformed or open to others."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class CodeRefused(AuthorityError):
    """An authorization code is not accepted: RFC 6749 calls it `invalid_grant`."""
