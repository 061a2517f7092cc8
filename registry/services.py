"""What a request or a worker needs at hand: settings, database, blob store, trust material."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Services:
    """The registry's parts, made once per process by `Services.open(settings)`.

    In a Flask view: `registry.services.current()`.
    """


def current() -> Services:
    """Return the services of the Flask application that handles this request."""
    raise NotImplementedError
