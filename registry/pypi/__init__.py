"""The interfaces that Python's packaging tools already speak: upload, index, files, provenance.

`install(app)` is all that an application needs to call. What is uploaded here goes through the
same `registry.intake` as everywhere; what is listed or downloaded here is published.
"""

from __future__ import annotations

from flask import Flask


def install(app: Flask) -> None:
    """Add the interfaces to `app`."""
    from registry.pypi import routes

    app.register_blueprint(routes.blueprint)


__all__ = ["install"]
