"""One bounded HTTP GET: what a hostile server cannot stretch.

The whole exchange - connecting, TLS, status line, headers and body - has one deadline, kept by a
timer that shuts the socket down: per-read timeouts alone let a server drip one byte at a time for
ever. The body has a size bound and must be identity-coded (no decompression bombs). Redirects are
not followed, proxies and netrc files of the environment are not used, nothing is cached.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from trust.errors import SealgateError, problem

READ_SIZE = 1 << 16


class FetchFailed(SealgateError):
    """No usable answer: unreachable, too slow, too large, or not the status that was asked for.

    `status` is the HTTP status if there was one; `reason` is in words what was wrong.
    """

    status: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one GET may take: elapsed seconds and body bytes."""

    seconds: float
    max_bytes: int


def _failed(url: str, what: str, value: object, expected: str, status: int | None) -> FetchFailed:
    error = FetchFailed(
        problem(
            "registry.unusable",
            f"the registry gave no usable answer: {what}",
            value=value,
            expected=expected,
            advice="try again; if it stays so, ask the operator to look at the registry",
            where=url,
        )
    )
    error.status = status
    error.reason = what
    return error


class _Deadline:
    """Shuts a connection's socket down when the time is over."""

    def __init__(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        self._connection = connection
        self._end = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self.expired = False

    def _expire(self) -> None:
        self.expired = True
        # Closing would not wake a thread that is blocked in recv; shutting down does.
        sock = self._connection.sock
        if sock is not None:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return

    def over(self) -> bool:
        return self.expired or time.monotonic() >= self._end

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._connection.close()


def get(url: str, bounds: Bounds, *, accept: str = "*/*") -> bytes:
    """Return the body of a GET that was answered with 200.

    Args:
        url: an http or https URL without user information.
        bounds: the time for all of it and the largest body.
        accept: the media type to ask for.

    Raises:
        FetchFailed: anything else.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc.rpartition("@")[2])
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with _Deadline(connection, bounds.seconds) as deadline:
        try:
            _connect(connection, parts, bounds.seconds)
            connection.request(
                "GET",
                target,
                headers={
                    "Accept": accept,
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                    "User-Agent": "sealgate-runner",
                },
            )
            return _body(url, connection.getresponse(), bounds, deadline)
        except FetchFailed:
            raise
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            if deadline.over():
                raise _failed(
                    url, "too slow", "", f"an answer in {bounds.seconds:g} s", None
                ) from error
            raise _failed(
                url, "the exchange failed", f"{type(error).__name__}: {error}", "HTTP/1.1", None
            ) from error


def _connect(connection: http.client.HTTPConnection, parts: SplitResult, seconds: float) -> None:
    """Connect by hand, so that the deadline reaches the TLS handshake too."""
    tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if tls else 80)
    sock = socket.create_connection((host, port), timeout=seconds)
    if not tls:
        connection.sock = sock
        return
    secured = ssl.create_default_context().wrap_socket(
        sock, server_hostname=host, do_handshake_on_connect=False
    )
    connection.sock = secured
    secured.do_handshake()


def _body(
    url: str, response: http.client.HTTPResponse, bounds: Bounds, deadline: _Deadline
) -> bytes:
    if response.status != 200:
        raise _failed(
            url, "not the status that was expected", response.status, "200", response.status
        )
    coding = response.getheader("Content-Encoding", "identity")
    if coding != "identity":
        raise _failed(url, "a content coding", coding, "identity", 200)
    length = response.getheader("Content-Length")
    if length is not None and (not length.isdecimal() or int(length[:19]) > bounds.max_bytes):
        raise _failed(url, "too large", length, f"at most {bounds.max_bytes} bytes", 200)
    body = bytearray()
    while chunk := response.read1(READ_SIZE):
        body += chunk
        if len(body) > bounds.max_bytes:
            raise _failed(url, "too large", "", f"at most {bounds.max_bytes} bytes", 200)
        if deadline.over():
            break
    if deadline.over():
        raise _failed(url, "too slow", "", f"an answer in {bounds.seconds:g} s", 200)
    if length is not None and len(body) != int(length):
        raise _failed(url, "cut short", len(body), f"{length} bytes", 200)
    return bytes(body)
