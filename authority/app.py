"""The authority's HTTP face: OIDC, Fulcio v2, Rekor v2 and RFC 3161 in one Flask application.

Every error is JSON, {"code", "message", "problems"}, with the gRPC code that Sigstore's services
use; a client never sees a stack trace. Bodies are bounded before they are read.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from authority import accountpages, authorize
from authority.accounts import Accounts
from authority.clients import Clients
from authority.codes import Codes
from authority.core import Authority
from authority.errors import AuthorityError, CodeRefused, RequestRefused, TooManyAttempts
from authority.oidc import (
    LIFETIME,
    RUNNER_AUDIENCE,
    RUNNER_LIFETIME,
    SIGSTORE_AUDIENCE,
    STATEMENT_CLAIM,
)
from authority.passkeys import Passkeys
from authority.statements import DETAILS_TYPE
from authority.ways import Ways
from trust import strictjson
from trust.errors import Problem, SealgateError, problem
from trust.log import LogError
from trust.log.tiles import MAX_LEVEL, TileName

MAX_BODY = 64 * 1024
MAX_AUDIENCE = 200
GRANTS = ("password", "client_credentials")
CODE_GRANT = "authorization_code"
CALLED_BY_PAGES = ("/token", "/api/v2/signingCert", "/.well-known/openid-configuration")
"""What a signing client's page may call from the browser (CORS)."""

_LOGGER = logging.getLogger("sealgate.authority")

_GRPC_CODES = {
    HTTPStatus.BAD_REQUEST: 3,
    HTTPStatus.UNAUTHORIZED: 16,
    HTTPStatus.NOT_FOUND: 5,
    HTTPStatus.METHOD_NOT_ALLOWED: 12,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: 3,
    HTTPStatus.TOO_MANY_REQUESTS: 8,
    HTTPStatus.SERVICE_UNAVAILABLE: 14,
}
_INTERNAL = 13


def _error(status: int, message: str, problems: tuple[Problem, ...] = ()) -> Response:
    reply = jsonify(
        code=_GRPC_CODES.get(HTTPStatus(status), _INTERNAL),
        message=message,
        problems=[p.as_dict() for p in problems],
    )
    reply.status_code = status
    return reply


def _message(problems: tuple[Problem, ...]) -> str:
    first = problems[0]
    parts = [f"{first.what} [{first.code}]"]
    parts += [f"got {first.value}"] if first.value else []
    parts += [f"expected {first.expected}"] if first.expected else []
    return "; ".join(parts)


def _refused(status: int, error: SealgateError) -> Response:
    return _error(status, _message(error.problems), error.problems)


def _json() -> Any:
    return strictjson.loads(request.get_data(), max_bytes=MAX_BODY, max_depth=16)


def _bearer() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _not_found(error: LogError) -> Response:
    return _refused(HTTPStatus.NOT_FOUND, error)


def create_app(
    authority: Authority,
    accounts: Accounts,
    clients: Clients | None = None,
    passkeys: Passkeys | None = None,
) -> Flask:
    """Return the WSGI application.

    Args:
        authority: does the work.
        accounts: who may have tokens.
        clients: the applications that may send people to the login page; None for none.
        passkeys: people's passkeys; None: passwords only.
    """
    registered = clients or Clients()
    ways = Ways(accounts, passkeys)
    codes = Codes(authority.tokens.clock)
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BODY
    _errors(app)
    _identity(app, authority, ways, codes)
    _pages(app, registered)
    authorize.install(app, authority, ways, registered, codes)
    if passkeys is not None:
        accountpages.install(app, authority.base_url, ways, passkeys)
    _signing(app, authority)
    _log(app, authority)

    @app.get("/healthz")
    def health() -> Response:
        return jsonify(status="ok", log_size=authority.log_service.log.size)

    @app.after_request
    def harden(reply: Response) -> Response:
        reply.headers["X-Content-Type-Options"] = "nosniff"
        reply.headers.setdefault(
            "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
        )
        return reply

    return app


def _pages(app: Flask, clients: Clients) -> None:
    """Let pages that redeem codes, and nobody else's, call what they need (Fetch, CORS)."""

    @app.after_request
    def allow(reply: Response) -> Response:
        if request.path not in CALLED_BY_PAGES:
            return reply
        reply.vary.add("Origin")
        origin = request.headers.get("Origin", "")
        if clients.may_call(origin):
            reply.headers["Access-Control-Allow-Origin"] = origin
            if request.method == "OPTIONS":
                reply.headers["Access-Control-Allow-Methods"] = "GET, POST"
                reply.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
                reply.headers["Access-Control-Max-Age"] = "600"
        return reply


def _errors(app: Flask) -> None:
    @app.errorhandler(AuthorityError)
    def refused(error: AuthorityError) -> Response:
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return failed(error)
        reply = _refused(error.status, error)
        if isinstance(error, TooManyAttempts):
            reply.headers["Retry-After"] = str(error.retry_after)
        return reply

    @app.errorhandler(strictjson.InvalidJSON)
    def malformed(error: strictjson.InvalidJSON) -> Response:
        return _refused(HTTPStatus.BAD_REQUEST, error)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return _error(error.code or 500, error.name)

    @app.errorhandler(LogError)
    def log_failed(error: LogError) -> Response:
        _LOGGER.error("the log failed: %s", error.diagnostics())
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, "the transparency log is not available")

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        _LOGGER.error("internal error", exc_info=error)
        return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")


def _form(name: str, *others: str) -> str:
    """Return a form field under the first of its names that is given; once."""
    for candidate in (name, *others):
        values = request.form.getlist(candidate)
        if len(values) > 1:
            raise RequestRefused(
                problem(
                    "authority.form",
                    "a field is given twice",
                    value=candidate,
                    expected="each field once (RFC 6749 section 3.2)",
                    advice="send one value",
                )
            )
        if values:
            return values[0]
    return ""


def _identity(app: Flask, authority: Authority, ways: Ways, codes: Codes) -> None:
    @app.get("/.well-known/openid-configuration")
    def configuration() -> Response:
        base = authority.base_url
        return jsonify(
            issuer=authority.issuer,
            authorization_endpoint=f"{base}/auth",
            token_endpoint=f"{base}/token",
            jwks_uri=f"{base}/keys",
            grant_types_supported=[CODE_GRANT, *GRANTS],
            response_types_supported=["code"],
            response_modes_supported=["query"],
            scopes_supported=["openid", "email"],
            claims_supported=["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "email"],
            code_challenge_methods_supported=["S256"],
            token_endpoint_auth_methods_supported=["none"],
            authorization_details_types_supported=[DETAILS_TYPE],
            authorization_response_iss_parameter_supported=True,
            prompt_values_supported=["login"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["ES256"],
        )

    @app.get("/keys")
    def keys() -> Response:
        return jsonify(authority.tokens.jwks())

    @app.post("/token")
    def token() -> Response:
        """RFC 6749 sections 4.1, 4.3 and 4.4; errors also carry its section 5.2's members."""
        try:
            if _form("grant_type") == CODE_GRANT:
                reply = jsonify(_redeemed(authority, codes))
            else:
                reply = jsonify(_granted(authority, ways))
        except AuthorityError as error:
            reply = _refused(error.status, error)
            body: dict[str, Any] = reply.get_json()
            wrong = error.status == HTTPStatus.BAD_REQUEST and not isinstance(error, CodeRefused)
            body["error"] = "invalid_request" if wrong else "invalid_grant"
            body["error_description"] = body["message"]
            answer = jsonify(body)
            answer.status_code = error.status
            if isinstance(error, TooManyAttempts):
                answer.headers["Retry-After"] = str(error.retry_after)
            reply = answer
        reply.headers["Cache-Control"] = "no-store"
        return reply


def _granted(authority: Authority, ways: Ways) -> dict[str, Any]:
    grant = _form("grant_type")
    audience = _form("audience") or SIGSTORE_AUDIENCE
    if grant not in GRANTS or len(audience) > MAX_AUDIENCE or not audience.isprintable():
        raise RequestRefused(
            problem(
                "authority.grant",
                "the token request is malformed",
                value=f"grant_type {grant!r}, audience {audience!r}",
                expected=f"grant_type {' or '.join(GRANTS)}, a short audience",
                advice="send a form with grant_type, username and password",
            )
        )
    if request.headers.get("Origin"):
        # What a page gets goes through the login page, where people see what they sign.
        raise RequestRefused(
            problem(
                "authority.grant",
                "a page in a browser asks for a token with a password",
                value=grant,
                expected=CODE_GRANT,
                advice="send people to the authorization endpoint",
            )
        )
    name = ways.by_password(_form("username", "client_id"), _form("password", "client_secret"))
    token = authority.tokens.mint(name, audience)
    _LOGGER.info("token issued to %s", name)
    return {
        "id_token": token,
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": int(LIFETIME.total_seconds()),
    }


def _redeemed(authority: Authority, codes: Codes) -> dict[str, Any]:
    """Answer a token request with a code (OpenID Connect Core 3.1.3.3)."""
    fields = [_form(name) for name in ("code", "client_id", "redirect_uri", "code_verifier")]
    if not all(fields):
        raise RequestRefused(
            problem(
                "authority.grant",
                "the token request is malformed",
                value=f"grant_type {CODE_GRANT!r} with a field missing",
                expected="code, client_id, redirect_uri and code_verifier",
                advice="send all four (RFC 6749 section 4.1.3, RFC 7636 section 4.5)",
            )
        )
    grant = codes.redeem(*fields)
    extra: dict[str, str | int] = {
        "azp": grant.client_id,
        "auth_time": int(grant.authenticated_at.timestamp()),
    }
    if grant.nonce:
        extra["nonce"] = grant.nonce
    if grant.statement_digest:
        extra[STATEMENT_CLAIM] = grant.statement_digest
    lifetime = RUNNER_LIFETIME if grant.audience == RUNNER_AUDIENCE else LIFETIME
    token = authority.tokens.mint(grant.subject, grant.audience, lifetime, extra)
    _LOGGER.info("token issued to %s through %s", grant.subject, grant.client_id)
    return {
        "id_token": token,
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": int(lifetime.total_seconds()),
    }


def _signing(app: Flask, authority: Authority) -> None:
    @app.post("/api/v2/signingCert")
    def signing_certificate() -> Response:
        chain = authority.signing_certificate(_bearer(), _json())
        return jsonify(signedCertificateEmbeddedSct={"chain": {"certificates": chain}})

    @app.get("/api/v2/trustBundle")
    def trust_bundle() -> Response:
        return jsonify(chains=[{"certificates": authority.trust_bundle()}])

    @app.post("/api/v1/timestamp")
    def timestamp() -> Response:
        reply = authority.timestamps.respond(request.get_data())
        return Response(reply, HTTPStatus.CREATED, mimetype="application/timestamp-reply")

    @app.get("/trusted_root.json")
    def trusted_root() -> Response:
        return jsonify(authority.trusted_root())


def _log(app: Flask, authority: Authority) -> None:
    log = authority.log_service.log

    @app.post("/api/v2/log/entries")
    def add_entry() -> tuple[Response, int]:
        return jsonify(authority.log_service.add(_json())), HTTPStatus.CREATED

    @app.get("/api/v2/checkpoint")
    def checkpoint() -> Response:
        reply = Response(log.checkpoint(), content_type="text/plain; charset=utf-8")
        reply.headers["Cache-Control"] = "no-store"
        return reply

    @app.get("/api/v2/tile/<int:level>/<path:name>")
    def tile(level: int, name: str) -> Response:
        try:
            which = TileName.parse(name)
            data = log.tile(min(level, MAX_LEVEL + 1), which.index, which.width)
        except LogError as error:
            return _not_found(error)
        return Response(data, mimetype="application/octet-stream")

    @app.get("/api/v2/tile/entries/<path:name>")
    def entries(name: str) -> Response:
        try:
            which = TileName.parse(name)
            data = log.entry_bundle(which.index, which.width)
        except LogError as error:
            return _not_found(error)
        return Response(data, mimetype="application/octet-stream")
