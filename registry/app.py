"""The registry's Flask application."""

from __future__ import annotations

import importlib.util

from flask import Flask

from registry import api, health, http, httperrors, pypi
from registry.accounts import authorization
from registry.accounts import pages as account_pages
from registry.clock import Clock, utc_now
from registry.revocations import routes as revocation_routes
from registry.services import EXTENSION, Services
from registry.settings import MAX_BUNDLE, Settings
from registry.tuf import routes

FORM_OVERHEAD = 64 * 1024
"""Bytes of a form beside its files: boundaries and headers."""

PARSER_BUFFER = 512 * 1024
"""Bytes that the form's parser holds at one time; it reads 64 KiB at once and needs more."""


def create_app(settings: Settings, clock: Clock = utc_now) -> Flask:
    """Make the application: JSON API, packaging tools' interfaces, health checks, pages.

    Args:
        settings: the validated settings; they name no secret.
        clock: the current time, timezone-aware UTC.

    Raises:
        Unavailable: the database or the blob store cannot be used.
    """
    app = Flask("registry", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_bytes + MAX_BUNDLE + FORM_OVERHEAD
    app.config["MAX_FORM_MEMORY_SIZE"] = PARSER_BUFFER
    app.config["MAX_FORM_PARTS"] = 16
    app.extensions[EXTENSION] = Services.open(settings, clock)
    http.install(app)
    authorization.install(app, app.extensions[EXTENSION])
    httperrors.install(app)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(health.blueprint)
    pypi.install(app)
    account_pages.install(app)
    app.register_blueprint(revocation_routes.blueprint)
    app.add_url_rule("/openapi.json", "openapi", api.openapi, methods=["GET"])
    routes.install(app, settings.tuf_dir)
    if importlib.util.find_spec("registry.web") is not None:
        _install_pages(app, settings)
    return app


def _install_pages(app: Flask, settings: Settings) -> None:
    from registry import web
    from registry.signin import views
    from registry.web import errors

    web.install(app)
    views.install(app, settings)
    account_pages.install_pages(app)
    app.extensions[httperrors.ERROR_PAGE] = errors.error_page
