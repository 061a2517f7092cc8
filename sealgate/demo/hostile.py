"""A registry that was taken over: it passes requests on to the real one and alters the answers.

The demonstration points a runner at it to show that the runner believes nothing that it says.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import requests

Alteration = Callable[[str, bytes], bytes]
"""(path of the request, body of the honest answer) -> body that is sent instead."""


def flipped(wheel: bytes) -> bytes:
    """Return the wheel with one bit in its middle flipped."""
    middle = len(wheel) // 2
    return wheel[:middle] + bytes([wheel[middle] ^ 1]) + wheel[middle + 1 :]


def other_bytes(wheel: bytes) -> Alteration:
    """Serve `wheel` with a flipped bit, and name the flipped bytes' digest everywhere."""
    true = hashlib.sha256(wheel).hexdigest().encode()
    false = hashlib.sha256(flipped(wheel)).hexdigest().encode()

    def alter(path: str, body: bytes) -> bytes:
        if path.endswith("/wheel"):
            return flipped(body)
        # the bundles themselves are signed: whoever changes them has no signature at all
        return body if "/evidence/" in path else body.replace(true, false)

    return alter


def without_evidence(matches: Callable[[Mapping[str, Any]], bool]) -> Alteration:
    """Leave out the bundles whose entry in the evidence list `matches`."""

    def alter(path: str, body: bytes) -> bytes:
        if not path.endswith("/evidence"):
            return body
        answer = json.loads(body)
        entries = answer["evidence"] if isinstance(answer, dict) else answer
        kept = [entry for entry in entries if not matches(entry)]
        return json.dumps(
            {**answer, "evidence": kept} if isinstance(answer, dict) else kept
        ).encode()

    return alter


def as_published(path: str, body: bytes) -> bytes:
    """Claim that every version is published."""
    if "/evidence/" in path:
        return body
    try:
        answer = json.loads(body)
    except ValueError:
        return body

    def claim(value: Any) -> Any:
        if isinstance(value, dict):
            changed = {name: claim(member) for name, member in value.items()}
            if "state" in changed:
                changed["state"] = "published"
            return changed
        return [claim(item) for item in value] if isinstance(value, list) else value

    return json.dumps(claim(answer)).encode()


class HostileRegistry:
    """An HTTP server on a free loopback port in front of the real registry.

    `alter` may be replaced at any time; it applies to the requests that follow.
    """

    def __init__(self, real: str) -> None:
        self.alter: Alteration = lambda _path, body: body
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                honest = requests.get(real + self.path, timeout=30)
                body = outer.alter(self.path.partition("?")[0], honest.content)
                self.send_response(honest.status_code)
                self.send_header("Content-Type", honest.headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
