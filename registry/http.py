"""What holds for every request and response: ids, logging, headers, bounded bodies."""

from __future__ import annotations

import io
import json
import logging
import re
import time
import uuid
from typing import IO

from flask import Flask, Request, Response, g, request
from werkzeug.formparser import FormDataParser

from registry.errors import BadRequest
from trust.errors import problem

REQUEST_ID = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

access = logging.getLogger("registry.access")


class BoundedRequest(Request):
    """A request whose body is read into memory within bounds, and whose form is read strictly.

    Uploads never touch a temporary folder, and a multipart body that cannot be parsed is refused
    instead of being taken for an empty form (RFC 7578).
    """

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return io.BytesIO()

    def make_form_data_parser(self) -> FormDataParser:
        parser = super().make_form_data_parser()
        parser.silent = False
        return parser

    def _load_form_data(self) -> None:
        try:
            super()._load_form_data()
        except ValueError as error:
            raise BadRequest(
                problem(
                    "http.malformed-form",
                    "the form in the request's body cannot be parsed",
                    value=str(error),
                    expected="one multipart/form-data body (RFC 7578) with its boundary",
                    advice="send it with a client that makes multipart bodies, such as curl -F",
                )
            ) from error


def _begin() -> None:
    given = request.headers.get(REQUEST_ID, "")
    g.request_id = given if _REQUEST_ID.match(given) else str(uuid.uuid4())
    g.began = time.monotonic()


def _end(response: Response) -> Response:
    response.headers[REQUEST_ID] = g.get("request_id", "")
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-cache")
    access.info(
        "%s",
        json.dumps(
            {
                "request_id": g.get("request_id", ""),
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "milliseconds": round((time.monotonic() - g.get("began", 0)) * 1000, 1),
                "remote": request.remote_addr,
            }
        ),
    )
    return response


def install(app: Flask) -> None:
    """Make `app` give ids, headers and log lines to every request."""
    app.request_class = BoundedRequest
    app.before_request(_begin)
    app.after_request(_end)
