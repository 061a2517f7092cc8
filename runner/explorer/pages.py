"""The explorer's pages. They read the audit log and write nothing but an audit record of a refusal.

Every address asks for a session of a caller with `"audit": true` in the policy. Texts of callers
are escaped, and the policy of the pages allows one origin's scripts and no text sinks of the DOM.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Flask, Response, render_template, request

from runner.audit import Audit
from runner.clock import SystemClock
from runner.explorer import search
from runner.explorer.sessions import COOKIE, LIFETIME_SECONDS, Sessions
from runner.policy import Caller
from runner.service import Runner
from trust import strictjson
from trust.errors import Problem, SealgateError, problem
from trust.outcomes import Failed

PREFIX = "/audit"
STATUSES = (
    "admitted", "ok", "refused", "invalid_arguments", "plugin_error", "timeout",
    "resource_limit", "unavailable", "interrupted",
)  # fmt: skip
FIELDS = (
    "type", "time", "request_id", "caller", "plugin", "version", "method", "decision", "status",
    "wheel_sha256", "arguments_sha256", "result_sha256", "layout_sha256", "policy_sha256",
    "image", "hostname", "pid",
)  # fmt: skip
"""Members of a record that its page shows one by one; the whole record stands below."""

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
            "trusted-types 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


def _load() -> dict[str, tuple[bytes, str]]:
    folder = resources.files("runner.explorer") / "static"
    names = ("explorer.css", "merkle.js", "verify.js")
    return {n: ((folder / n).read_bytes(), _TYPES[n.rpartition(".")[2]]) for n in names}


_FILES = _load()
_DIGEST = hashlib.sha256(b"".join(data for data, _ in _FILES.values())).hexdigest()[:16]


class _Refused(Exception):
    def __init__(self, code: int, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.problems = problems


class Explorer:
    """What the routes share."""

    def __init__(self, runner: Runner, audit: Audit, sessions: Sessions) -> None:
        self.runner = runner
        self.audit = audit
        self.sessions = sessions

    def auditor(self) -> Caller:
        """Return who looks.

        Raises:
            _Refused: nobody who may.
        """
        token = self.sessions.token(request.cookies.get(COOKIE, ""))
        if not token:
            raise _Refused(401)
        outcome = self.runner.authenticate(token)
        if isinstance(outcome, Failed):
            raise _Refused(401, outcome.problems)
        if not outcome.value.may_read_audit:
            raise _Refused(403, (_no_right(outcome.value),))
        return outcome.value

    def admit(self, token: str) -> str:
        """Begin a session for a token that may read the log; return its name.

        Raises:
            _Refused: it may not. The attempt is recorded.
        """
        outcome = self.runner.authenticate(token)
        if isinstance(outcome, Failed):
            self.runner.unauthenticated(outcome.problems)
            raise _Refused(401, outcome.problems)
        if not outcome.value.may_read_audit:
            raise _Refused(403, (_no_right(outcome.value),))
        return self.sessions.begin(token)


def _no_right(caller: Caller) -> Problem:
    return problem(
        "caller.no-audit",
        "this caller may not read the audit log's entries",
        value=caller.name,
        expected='a caller with "audit": true in the policy',
        advice="ask the operator",
    )


def _same_origin() -> None:
    """Refuse a form that another site sent (Fetch Metadata, else Origin)."""
    site, origin = request.headers.get("Sec-Fetch-Site", ""), request.headers.get("Origin", "")
    foreign = site not in ("same-origin", "none", "") or (
        origin != "" and urlsplit(origin).netloc != request.host
    )
    if foreign or not (site or origin):
        raise _Refused(
            403,
            (
                problem(
                    "explorer.cross-site",
                    "the form was not sent from the explorer's own page",
                    value=site or origin or "neither Sec-Fetch-Site nor Origin",
                    expected="a form of this page",
                    advice="open the page here and send the form from it",
                ),
            ),
        )


def _moment(name: str) -> datetime | None:
    """Return a parameter of the query as a time in UTC; None where it is empty.

    Raises:
        _Refused: it is not one.
    """
    text = request.args.get(name, "").strip()
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text[:40])
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise _Refused(
            400,
            (
                problem(
                    "explorer.time",
                    "the time cannot be read",
                    value=text,
                    expected="ISO 8601, such as 2026-03-09T14:00",
                    advice="correct it or leave it out",
                    where=name,
                ),
            ),
        ) from error
    return found


def _text(name: str, most: int = 200) -> str:
    return request.args.get(name, "").strip()[:most]


def _question() -> search.Question:
    return search.Question(
        request_id=_text("request_id", 64),
        plugin=_text("plugin"),
        caller=_text("caller", 64),
        status=_text("status", 32),
        since=_moment("since"),
        until=_moment("until"),
    )


def _page(template: str, code: int = 200, **values: Any) -> Response:
    return Response(render_template(template, **values), code, mimetype="text/html")


def install(app: Flask, runner: Runner, audit: Audit) -> None:
    """Add the explorer to the runner's application.

    Args:
        app: the runner's.
        runner: authenticates tokens.
        audit: whose log is shown.
    """
    explorer = Explorer(runner, audit, Sessions(SystemClock().steady))
    pages = Blueprint("explorer", __name__, template_folder="templates", url_prefix=PREFIX)

    @pages.after_request
    def dress(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @pages.errorhandler(_Refused)
    def refused(error: _Refused) -> Response:
        signed_in = error.code not in (401, 403)
        return _page(
            "explorer/error.html" if signed_in else "explorer/login.html",
            error.code, problems=error.problems, auditor=None,
        )  # fmt: skip

    @pages.errorhandler(SealgateError)
    def failed(error: SealgateError) -> Response:
        return _page("explorer/error.html", 503, problems=error.problems, auditor=None)

    @pages.get("/static/<digest>/<name>")
    def static(digest: str, name: str) -> Response:
        data, media = _FILES.get(name, (b"", ""))
        if digest != _DIGEST or not media:
            return _page("explorer/error.html", 404, problems=(), auditor=None)
        response = Response(data, content_type=media)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    @pages.post("/session")
    def begin() -> Response:
        _same_origin()
        name = explorer.admit(request.form.get("token", "").strip())
        response = Response(status=303, headers={"Location": PREFIX})
        response.set_cookie(
            COOKIE, name, max_age=int(LIFETIME_SECONDS), path=PREFIX,
            httponly=True, samesite="Strict", secure=request.is_secure,
        )  # fmt: skip
        return response

    @pages.post("/session/end")
    def end() -> Response:
        _same_origin()
        explorer.sessions.end(request.cookies.get(COOKIE, ""))
        response = Response(status=303, headers={"Location": PREFIX})
        response.delete_cookie(COOKIE, path=PREFIX)
        return response

    @pages.get("")
    def records() -> Response:
        auditor = explorer.auditor()
        question = _question()
        text = request.args.get("before", "")
        before = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
        answer = search.find(audit.path, question, before)
        asked = {k: v for k, v in request.args.items() if v and k != "before"}
        older = None
        if answer.older is not None:
            older = f"{PREFIX}?" + urlencode({**asked, "before": answer.older})
        return _page(
            "explorer/records.html",
            auditor=auditor, answer=answer, asked=asked, older=older, statuses=STATUSES,
            first=f"{PREFIX}?{urlencode(asked)}" if before is not None else None,
        )  # fmt: skip

    @pages.get("/<int:index>")
    def record(index: int) -> Response:
        auditor = explorer.auditor()
        if index >= audit.reader.size:
            missing = problem(
                "explorer.entry", "the log has no such record", value=index,
                expected=f"an index below {audit.reader.size}", advice="search for it",
            )  # fmt: skip
            raise _Refused(404, (missing,))
        entry = audit.reader.entry(index)
        return _page(
            "explorer/record.html",
            auditor=auditor, index=index, entry=entry.decode(), record=_parsed(entry),
            receipt=audit.reader.receipt(index).as_dict(), key=audit.verifier.vkey, fields=FIELDS,
        )  # fmt: skip

    app.register_blueprint(pages)
    app.jinja_env.globals["explorer_file"] = lambda name: f"{PREFIX}/static/{_DIGEST}/{name}"


def _parsed(entry: bytes) -> Mapping[str, Any]:
    found = strictjson.loads(entry)
    return found if isinstance(found, dict) else {}
