"""How a reply leaves: in as few pieces as it can."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from waitress.channel import HTTPChannel

from runner.server import create_server
from tests.support import ports

Sent = list[bytes]
Start = Callable[..., Any]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Every piece that any channel gives to its socket."""
    pieces: Sent = []
    send = HTTPChannel.send

    def note(channel: HTTPChannel, data: bytes, **more: Any) -> int:
        pieces.append(bytes(data))
        return int(send(channel, data, **more))

    monkeypatch.setattr(HTTPChannel, "send", note)
    return pieces


@contextmanager
def serving(application: Any) -> Iterator[http.client.HTTPConnection]:
    port = ports.free()[0]
    server = create_server(application, host="127.0.0.1", port=port, threads=2, ident="x")
    thread = threading.Thread(target=server.run)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        yield connection
    finally:
        connection.close()
        server.trigger.pull_trigger(server.close)
        server.task_dispatcher.shutdown()
        thread.join(20)


def replying(*parts: bytes, status: str = "200 OK", length: bool = True) -> Any:
    def application(_: dict[str, Any], start: Start) -> Iterable[bytes]:
        headers = [("Content-Length", str(sum(map(len, parts))))] if length else []
        start(status, headers)
        return iter(parts)

    return application


def test_header_and_body_are_one_piece(sent: Sent) -> None:
    with serving(replying(b"x" * 5000)) as connection:
        for _ in range(2):
            sent.clear()
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"x" * 5000
            (piece,) = sent
            head, _, body = piece.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert body == b"x" * 5000


def test_what_follows_is_sent_as_it_comes(sent: Sent) -> None:
    """An event of a stream does not wait for the next one."""
    first_is_there = threading.Event()

    def application(_: dict[str, Any], start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"one"
        assert first_is_there.wait(20)
        yield b"two"

    with serving(application) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.read(3) == b"one"
        first_is_there.set()
        assert response.read() == b"two"
    assert sent[0].endswith(b"3\r\none\r\n")


@pytest.mark.parametrize(
    ("method", "status", "parts"),
    [("HEAD", "200 OK", [b"body"]), ("GET", "204 No Content", []), ("GET", "200 OK", [b"", b"a"])],
)
def test_replies_of_other_shapes_arrive(method: str, status: str, parts: list[bytes]) -> None:
    with serving(replying(*parts, status=status, length=status != "204 No Content")) as connection:
        for _ in range(2):
            connection.request(method, "/")
            response = connection.getresponse()
            assert response.status == int(status[:3])
            assert response.read() == (b"" if method == "HEAD" else b"".join(parts))


def test_an_application_that_fails_is_answered() -> None:
    def application(_: dict[str, Any], __: Start) -> Iterable[bytes]:
        raise RuntimeError("nothing")

    with serving(application) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().status == 500
