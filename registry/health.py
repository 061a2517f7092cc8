"""Is the process alive, and can it do its work?"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from registry.errors import Unavailable
from registry.services import Services, current
from trust.errors import Problem, SealgateError

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process answers."""
    return jsonify({"status": "ok"})


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Database, blob store, trusted root and layout can all be used now.

    Raises:
        Unavailable: names everything that cannot.
    """
    services = current()
    problems: list[Problem] = []
    for check in checks(services).values():
        try:
            check()
        except SealgateError as error:
            problems += error.problems
    if problems:
        raise Unavailable(problems)
    return jsonify({"status": "ready", "checks": dict.fromkeys(checks(services), "ok")})


def checks(services: Services) -> dict[str, Callable[[], object]]:
    """Return what `readyz` checks, by name; each raises a SealgateError where it fails."""
    return {
        "database": services.database.ping,
        "blobs": services.blobs.check_writable,
        "trusted_root": services.trust.verifier,
        "layout": lambda: services.trust.reviewing(services.clock()),
    }
