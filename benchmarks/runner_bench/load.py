"""One worker of a saturated measurement, in a process of its own: `load.py KIND`.

Reads one JSON line of settings from stdin, says `ready`, reads a line with two points in time (of
the monotonic clock, which all processes share), calls until the second one, and prints how many
calls ended between the two and how many were turned away. Every result is checked. It imports
nothing of ours and little of the standard library, so that the load costs the machine next to
nothing beside what is measured.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

LARGEST = 1 << 20
IDLE_SECONDS = 20.0
"""After so long a connection is made anew: a server lets go of one that nobody uses."""


class Connection:
    """One HTTP/1.1 connection that is kept alive, and one request that is sent again and again.

    It writes the request in one piece, and looks into an answer no further than it has to: what is
    measured is the service, and not a library for clients.
    """

    def __init__(self, port: int, token: str, path: str, body: str) -> None:
        data = body.encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._request = head.encode() + data
        self._port = port
        self._socket = self._connect()

    def _connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used = time.monotonic()
        return made

    def _more(self) -> bytes:
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def exchange(self) -> tuple[int, bytes]:
        """Send the request; return the answer's status code and body."""
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._socket.close()
            self._socket = self._connect()
        self._socket.sendall(self._request)
        answer = self._more()
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = int(next(line for line in lines if line.startswith(b"content-length:"))[15:])
        if length > LARGEST:
            raise ConnectionError(f"an answer of {length} bytes")
        while len(body) < length:
            body += self._more()
        self._used = time.monotonic()
        return int(lines[0].split(b" ")[1]), body


def http(settings: dict[str, Any]) -> Callable[[], bool]:
    """Return a call over one connection that is kept alive."""
    wanted = settings.pop("wanted").encode()
    connection = Connection(**settings)

    def call() -> bool:
        code, body = connection.exchange()
        if code == 503:
            return False
        if code != 200 or wanted not in body or b'"checkpoint":' not in body:
            raise SystemExit(f"not the job's answer: {code} {body[:300]!r}")
        return True

    return call


def program(settings: dict[str, Any]) -> Callable[[], bool]:
    """Return a call that runs a program with the arguments on its stdin."""
    data, wanted = settings["input"].encode(), settings["wanted"]

    def call() -> bool:
        done = subprocess.run(
            settings["command"], input=data, capture_output=True, timeout=60, check=True
        )
        if json.loads(done.stdout) != wanted:
            raise SystemExit(f"not the job's result: {done.stdout!r}")
        return True

    return call


def cold_sdk(settings: dict[str, Any]) -> Callable[[], bool]:
    """Return a call by the docker SDK, which is imported here only."""
    sys.path.insert(0, settings["root"])
    from benchmarks.runner_bench.baselines import ColdSdk

    variant = ColdSdk(settings["image"])

    def call() -> bool:
        variant.call()
        return True

    return call


def main() -> None:
    kinds = {"http": http, "program": program, "cold_sdk": cold_sdk}
    call = kinds[sys.argv[1]](json.loads(sys.stdin.readline()))
    print("ready", flush=True)
    start, end = map(float, sys.stdin.readline().split())
    counted = refused = 0
    while (now := time.monotonic()) < end:
        if call():
            counted += start <= time.monotonic() < end
        else:
            refused += 1
            time.sleep(max(0.0, 0.005 - (time.monotonic() - now)))
    print(counted, refused, flush=True)


if __name__ == "__main__":
    main()
