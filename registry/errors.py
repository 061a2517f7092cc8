"""The registry's refusals, each with the HTTP status (RFC 9110) that tells a client its kind."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from trust.errors import SealgateError


class RegistryError(SealgateError):
    """The registry refuses a request or an operation; `status` is the HTTP status."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR


class BadRequest(RegistryError):
    """The request itself is malformed: a missing field, a wrong parameter."""

    status = HTTPStatus.BAD_REQUEST


class Forbidden(RegistryError):
    """The signature is good, but its identity may not do this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(RegistryError):
    """No such plugin, version or blob."""

    status = HTTPStatus.NOT_FOUND


class Conflict(RegistryError):
    """What is asked for contradicts what is already recorded."""

    status = HTTPStatus.CONFLICT


class TooLarge(RegistryError):
    """The request is larger than the registry accepts."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMedia(RegistryError):
    """The request's content type is not one that this address takes."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unprocessable(RegistryError):
    """The request is well formed, but its wheel or its bundle is refused."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Unavailable(RegistryError):
    """The registry cannot answer now; the same request may succeed later."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class OutOfSpace(RegistryError):
    """The registry has no space left to store what was sent (RFC 4918, 11.5)."""

    status = HTTPStatus.INSUFFICIENT_STORAGE


class Damaged(RegistryError):
    """What is stored is not what was stored: a digest differs, a blob is missing."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class IllegalTransition(RegistryError):
    """A version cannot go from its state by this event."""

    status = HTTPStatus.CONFLICT


class InvalidSettings(RegistryError):
    """The registry's settings are missing or wrong; it does not start."""
