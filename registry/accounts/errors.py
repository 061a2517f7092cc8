"""What is refused because of who asks, or how often."""

from __future__ import annotations

from http import HTTPStatus

from registry.errors import RegistryError
from trust.errors import Problem


class Unauthenticated(RegistryError):
    """Nobody is signed in, or the token is not good."""

    status = HTTPStatus.UNAUTHORIZED


class TooManyRequests(RegistryError):
    """Too many requests of one client (RFC 6585 section 4); `retry_after` is in seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, found: Problem, retry_after: int) -> None:
        super().__init__(found)
        self.retry_after = retry_after
