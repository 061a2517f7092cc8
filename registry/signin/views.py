"""Signing in with OpenID Connect (Authlib): there, back, and out."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client.errors import MismatchingStateError
from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Blueprint, Flask, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from registry.errors import Forbidden, Unavailable
from registry.services import current
from registry.settings import Settings, SignIn
from registry.signin import record, sessions
from registry.signin.completion import SIGNING_CALLBACK
from registry.web.security import require_same_origin
from trust.errors import SealgateError, problem
from trust.evidence.bundles import is_plain
from trust.identity import Identity

CALLBACK = "/signin/callback"
TIMEOUT_SECONDS = 10
_NEXT = "next"
_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")

log = logging.getLogger("registry.signin")


def local_address(text: str) -> str:
    """Return `text` if it is an address within this site, else the home page's."""
    if len(text) <= 2000 and _LOCAL.fullmatch(text):
        parts = urlsplit(text)
        if not parts.scheme and not parts.netloc:
            return text
    return url_for("web.home")


def person_of(claims: Any, issuer: str) -> Identity:
    """Return the identity that a certificate would name for a token's claims.

    Raises:
        Forbidden: there is none.
    """
    email = claims.get("email")
    subject = email if email and claims.get("email_verified") is True else claims.get("sub")
    if not isinstance(subject, str) or not is_plain(subject):
        raise _failed("the token names nobody")
    return Identity(issuer, subject)


def _failed(value: str) -> Forbidden:
    return Forbidden(
        problem(
            "signin.failed",
            "signing in did not succeed",
            value=value,
            expected="the answer of the issuer to a sign-in that this browser began",
            advice="sign in again, in one window, with cookies allowed",
        )
    )


def _cause(error: Exception) -> str:
    """Return why a sign-in failed, in one of a few texts."""
    if isinstance(error, MismatchingStateError):
        return "an answer to no sign-in of this browser"
    if isinstance(error, Forbidden):
        return "the token names nobody"
    if isinstance(error, requests.RequestException):
        return "the issuer does not answer"
    if isinstance(error, OAuthError):
        return "the issuer refused"
    return "the answer is not valid"


def _note_failure(reason: str) -> None:
    try:
        record.failed(current(), reason)
    except SealgateError as error:  # the sign-in is refused all the same
        log.error("a failed sign-in could not be recorded: %s", error.diagnostics())


def install(app: Flask, settings: Settings) -> None:
    """Add sign-in to `app`, where the settings name an issuer.

    Raises:
        Unavailable: the key of the session cookies cannot be read or made.
    """
    if settings.sign_in is not None:
        sessions.install(app, settings, settings.sign_in)
        _install(app, settings, settings.sign_in)


def _install(app: Flask, settings: Settings, sign_in: SignIn) -> None:
    pages = Blueprint("signin", __name__)
    client = OAuth(app).register(
        "issuer",
        client_id=sign_in.client_id,
        server_metadata_url=f"{sign_in.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email",
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": "none",
            "default_timeout": TIMEOUT_SECONDS,
        },
    )

    @pages.get("/signin")
    def begin() -> Response:
        sessions.end()
        session[_NEXT] = local_address(request.args.get("next", ""))
        try:
            if client.load_server_metadata().get("issuer") != sign_in.issuer:
                raise ValueError("the issuer gives itself another name")
            answer: Response = client.authorize_redirect(
                settings.base_url + CALLBACK, prompt="login"
            )
        except (requests.RequestException, OAuthError, RuntimeError, ValueError) as error:
            log.warning("sign-in cannot begin: %s", error)
            raise Unavailable(
                problem(
                    "signin.issuer",
                    "the issuer of identities does not answer",
                    value=sign_in.issuer,
                    expected="its discovery document (OpenID Connect Discovery 1.0)",
                    advice="try again in a minute; signing with the command still works if it runs",
                )
            ) from error
        return answer

    @pages.get(CALLBACK)
    def callback() -> Response:
        address = local_address(str(session.get(_NEXT, "")))
        if request.args.get("error") == "access_denied":
            sessions.end()
            _note_failure("cancelled at the issuer")
            return redirect(address, 303)
        try:
            if request.args.get("iss", sign_in.issuer) != sign_in.issuer:
                raise ValueError("another issuer answered")  # RFC 9207
            found = client.authorize_access_token(
                claims_options={"iss": {"essential": True, "values": [sign_in.issuer]}}, leeway=5
            )
            person = person_of(found["userinfo"], sign_in.issuer)
        except Exception as error:  # anything but a verified token is a no
            sessions.end()
            _note_failure(_cause(error))
            log.warning("sign-in failed: %s: %s", type(error).__name__, error)
            if isinstance(error, Forbidden):
                raise
            raise _failed(type(error).__name__) from error
        sessions.begin(person)
        log.info("%s signed in", person.subject)
        return redirect(address, 303)

    @pages.post("/signout")
    def leave() -> Response:
        require_same_origin(request)
        sessions.end()
        return redirect(url_for("web.home"), 303)

    @pages.get(SIGNING_CALLBACK)
    def signing_callback() -> Response:
        """The page to which the authority sends a signing window back; its script hands over."""
        from registry.web import signing

        return signing.dressed(render_template("signing_callback.html"), connect=())

    app.register_blueprint(pages)
