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


def http(settings: dict[str, Any]) -> Callable[[], bool]:
    """Return a call over one connection that is kept alive."""
    body = settings["body"].encode()
    wanted = settings["wanted"].encode()
    head = (
        f"POST {settings['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {settings['token']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    connection = socket.create_connection(("127.0.0.1", settings["port"]), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def more() -> bytes:
        data = connection.recv(1 << 16)
        if not data:
            raise SystemExit("the server closed the connection")
        return data

    def call() -> bool:
        connection.sendall(request)
        answer = more()
        while b"\r\n\r\n" not in answer:
            answer += more()
        head, _, rest = answer.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = int(next(line for line in lines if line.startswith(b"content-length:"))[15:])
        if length > LARGEST:
            raise SystemExit(f"an answer of {length} bytes")
        while len(rest) < length:
            rest += more()
        code = lines[0].split(b" ")[1]
        if code == b"503":
            return False
        if code != b"200" or wanted not in rest or b'"checkpoint":' not in rest:
            raise SystemExit(f"not the job's answer: {head!r} {rest[:300]!r}")
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
