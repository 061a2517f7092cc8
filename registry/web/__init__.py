"""The registry's pages: server-rendered, complete without JavaScript, no logic of their own.

Two things need a script, where the operator has set them up: signing in the page (`signing`), and
trying a method at a runner (`trying`).

A page reads exactly one view of `registry.queries` and writes through the same functions as the
JSON API. What authors and reviewers wrote reaches a page as text: Jinja escapes all of it, and
the Content-Security-Policy would not run it either.

`install(app)` is all that an application needs to call.
"""

from __future__ import annotations

from flask import Blueprint, Flask
from jinja2 import StrictUndefined

from registry.web import assets, browse, desk, formats, live, operating, reviewing, submitting
from registry.web import context as page_context

blueprint = Blueprint("web", __name__, template_folder="templates")

ROUTES = (
    ("GET", "/", "home", browse.home),
    ("GET", "/plugins/<name>", "plugin", browse.plugin),
    ("GET", "/plugins/<name>/<version>", "version", browse.version),
    ("GET", "/plugins/<name>/<version>/live", "live", live.status),
    ("GET", "/mine", "mine", desk.mine),
    ("POST", "/plugins/<name>/<version>/answers", "answer", desk.answer),
    ("POST", "/plugins/<name>/transfer", "offer", desk.offer),
    ("POST", "/transfers/<int:number>/<action>", "decide", desk.decide),
    ("GET", "/operate", "operate", operating.operate),
    ("GET", "/journal", "journal", operating.journal_page),
    ("GET", "/plugins/<name>/stop", "stop", operating.stop),
    ("POST", "/plugins/<name>/stop", "send_stop", operating.send_stop),
    ("GET", "/submit", "submit", submitting.form),
    ("POST", "/submit", "submit_post", submitting.send),
    ("POST", "/submit/check", "check", submitting.check),
    ("GET", "/review", "queue", reviewing.queue),
    ("GET", "/review/<name>/<version>", "review", reviewing.review),
    ("POST", "/review/<name>/<version>", "review_post", reviewing.send),
    ("GET", "/review/<name>/<version>/files", "file", reviewing.file),
    ("GET", "/review/<name>/<version>/tree", "files", reviewing.files),
    ("GET", "/review/<name>/<version>/locked/<filename>", "locked_files", reviewing.locked_files),
    ("GET", "/review/<name>/<version>/search", "find", reviewing.find),
    ("POST", "/review/<name>/<version>/comments", "comment", reviewing.comment),
    ("GET", "/assets/<digest>/<name>", "asset", assets.asset),
)
"""Every page: method, address, endpoint, view."""

for _method, _rule, _endpoint, _view in ROUTES:
    blueprint.add_url_rule(_rule, _endpoint, _view, methods=[_method])


def install(app: Flask) -> None:
    """Add the pages and their filters to `app`.

    The response headers, the Content-Security-Policy among them, are the application's: it gives
    them to every answer (`registry.http`). It also decides which addresses answer an error with
    `registry.web.errors.error_page`.
    """
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    formats.install(app)
    app.jinja_env.globals.update(page_context.GLOBALS)
    app.register_blueprint(blueprint)


__all__ = ["ROUTES", "blueprint", "install"]
