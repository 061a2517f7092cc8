"""A registry that lies, hangs, floods or redirects gets nothing run and nobody stuck."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runner.fetch import HttpRegistry, Offer, RegistryRefused, RegistryUnavailable
from runner.http_get import Bounds, FetchFailed, get
from tests.runner.kit import NAME, Release, TestRegistry
from tests.support.evidence import sha256
from tests.support.wheels import make_wheel
from trust import strictjson

BASE = f"/api/v1/plugins/{NAME}"
FILENAME, WHEEL = make_wheel(NAME, "1.0.0")


@pytest.fixture
def offered(registry: TestRegistry) -> Release:
    return registry.add(Release(NAME, "1.0.0", FILENAME, WHEEL, [b"{}", b'{"a": 1}']))


@pytest.fixture
def client(registry: TestRegistry, offered: Release) -> HttpRegistry:
    return HttpRegistry(registry.url, seconds=2, wheel_seconds=2)


def raw_server(behave: Callable[[socket.socket], None]) -> tuple[str, Callable[[], None]]:
    """Serve one behaviour on a bare socket; return its URL and what ends it."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    behave(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def end() -> None:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)

    return f"http://127.0.0.1:{listener.getsockname()[1]}/x", end


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    ends = []

    def start(behave: Callable[[socket.socket], None]) -> str:
        url, end = raw_server(behave)
        ends.append(end)
        return url

    yield start
    for end in ends:
        end()


def drip(prefix: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.sendall(prefix)
        for _ in range(400):
            time.sleep(0.05)
            connection.sendall(b"a")

    return behave


def flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(10_000):
        connection.sendall(b"x" * 65536)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "behave",
    [
        lambda c: time.sleep(3),
        drip(b""),
        drip(b"HTTP/1.1 "),
        drip(OK + b"X: "),
        drip(OK + b"Content-Length: 500\r\n\r\n"),
        drip(OK + b"Transfer-Encoding: chunked\r\n\r\n1ff\r\n"),
        drip(OK + b"\r\n"),
    ],
    ids=["silent", "drip", "status", "header", "body", "chunk", "endless"],
)
def test_a_slow_server_is_left_at_the_deadline(raw: Any, behave: Any) -> None:
    url = raw(behave)
    started = time.monotonic()
    with pytest.raises(FetchFailed):
        get(url, Bounds(0.4, 10_000))
    assert time.monotonic() - started < 1.5


def test_a_slow_tls_handshake_is_left_at_the_deadline(raw: Any) -> None:
    # A TLS record header that announces 16 KiB, then one byte at a time.
    url = raw(drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"))
    started = time.monotonic()
    with pytest.raises(FetchFailed):
        get(url.replace("http:", "https:"), Bounds(0.4, 10_000))
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (OK + b"Content-Length: 10001\r\n\r\n", "too large"),
        (OK + b"Content-Length: 99999999999999999999999\r\n\r\n", "too large"),
        (OK + b"Content-Length: -1\r\n\r\n", "too large"),
        (OK + b"Content-Length: 10\r\n\r\nabc", "cut short"),
        (OK + b"Content-Encoding: gzip\r\n\r\nabc", "content coding"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "status"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", "status"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status"),
        (b"nonsense\r\n\r\n", "exchange failed"),
        (b"", "exchange failed"),
    ],
)
def test_an_answer_out_of_bounds_is_refused(raw: Any, answer: bytes, said: str) -> None:
    url = raw(lambda connection: connection.sendall(answer))
    with pytest.raises(FetchFailed, match=said):
        get(url, Bounds(2, 10_000))


def test_endless_data_is_cut_at_the_bound(raw: Any) -> None:
    with pytest.raises(FetchFailed, match="too large"):
        get(raw(flood), Bounds(5, 1 << 20))


def test_a_redirect_is_not_followed(registry: TestRegistry) -> None:
    def redirect(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"{registry.url}/api/v1/plugins/{NAME}/1.0.0/wheel")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    registry.hostile["/start"] = redirect
    with pytest.raises(FetchFailed) as refused:
        get(f"{registry.url}/start", Bounds(2, 100))
    assert refused.value.status == 302
    assert registry.requests == ["/start"]


def test_proxies_of_the_environment_are_not_used(
    registry: TestRegistry, offered: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert get(f"{registry.url}{BASE}/1.0.0/wheel", Bounds(2, 1 << 20)) == WHEEL


def test_the_honest_road(client: HttpRegistry, registry: TestRegistry) -> None:
    registry.add(Release(NAME, "0.9", FILENAME, WHEEL, []))
    registry.add(Release(NAME, "2.0", FILENAME, WHEEL, [], state="in_review"))
    assert client.versions(NAME) == ("0.9", "1.0.0")
    offer = client.offer(NAME, "1.0.0")
    assert offer == Offer(NAME, "1.0.0", FILENAME, sha256(WHEEL))
    assert client.wheel(offer) == WHEEL
    assert client.evidence(offer) == (b"{}", b'{"a": 1}')


def test_other_bytes_than_offered_are_refused(client: HttpRegistry, offered: Release) -> None:
    offer = client.offer(NAME, "1.0.0")
    offered.wheel = bytes([WHEEL[0] ^ 1]) + WHEEL[1:]
    with pytest.raises(RegistryRefused) as refused:
        client.wheel(offer)
    assert sha256(WHEEL) in refused.value.problem.expected
    assert sha256(offered.wheel) in refused.value.problem.value


def test_a_server_that_is_down_is_unavailable(client: HttpRegistry, registry: TestRegistry) -> None:
    registry.down = True
    with pytest.raises(RegistryUnavailable):
        client.versions(NAME)


def says(registry: TestRegistry, path: str, value: Any) -> None:
    data = value if isinstance(value, bytes) else strictjson.dumps(value)

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    registry.hostile[path] = answer


LINE = {"name": NAME, "version": "1.0.0", "filename": FILENAME, "sha256": "a" * 64}


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"versions": {}},
        {"versions": ["1.0"]},
        {"versions": [{"version": "../../etc", "state": "published"}]},
        {"versions": [{"version": None, "state": "published"}]},
        b'{"versions": [], "versions": [1]}',
        b'{"versions": NaN}',
        b"not json",
        b"[" * 100_000,
    ],
)
def test_a_malformed_list_is_refused(
    client: HttpRegistry, registry: TestRegistry, answer: Any
) -> None:
    says(registry, BASE, answer)
    with pytest.raises(RegistryRefused):
        client.versions(NAME)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "in_review"},
        {"state": None},
        {"state": "published", "sha256": "A" * 64},
        {"state": "published", "sha256": None},
        {"state": "published", "sha256": "a" * 64 + "\n"},
        {"state": "published", "filename": "other-1.0.0-py3-none-any.whl"},
        {"state": "published", "filename": "example_plugin-1.0.1-py3-none-any.whl"},
        {"state": "published", "filename": "../example_plugin-1.0.0-py3-none-any.whl"},
        {"state": "published", "filename": 5},
    ],
)
def test_a_lying_offer_is_refused(
    client: HttpRegistry, registry: TestRegistry, change: dict[str, Any]
) -> None:
    says(registry, f"{BASE}/1.0.0", LINE | change)
    with pytest.raises(RegistryRefused):
        client.offer(NAME, "1.0.0")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [1],
        [{"sha256": "../wheel"}],
        [{"sha256": "a" * 64, "url": "http://127.0.0.1:1/"}],
    ],
)
def test_lying_evidence_is_refused(
    client: HttpRegistry, registry: TestRegistry, answer: Any
) -> None:
    says(registry, f"{BASE}/1.0.0/evidence", answer)
    with pytest.raises(RegistryRefused):
        client.evidence(Offer(NAME, "1.0.0", FILENAME, "a" * 64))


def test_too_much_evidence_is_not_even_asked_for(
    client: HttpRegistry, registry: TestRegistry, offered: Release
) -> None:
    offered.bundles = [str(number).encode() for number in range(65)]
    with pytest.raises(RegistryRefused, match=r"registry\.malformed"):
        client.evidence(client.offer(NAME, "1.0.0"))
    assert registry.requests[-1] == f"{BASE}/1.0.0/evidence"


def test_a_bundle_with_another_digest_is_refused(
    client: HttpRegistry, registry: TestRegistry
) -> None:
    says(registry, f"{BASE}/1.0.0/evidence/{sha256(b'{}')}", b"[]")
    with pytest.raises(RegistryRefused):
        client.evidence(client.offer(NAME, "1.0.0"))


@pytest.mark.parametrize("name", ["../x", "A", "a/b", "", "a?b", "a%2fb"])
def test_no_name_leaves_its_place_in_the_path(
    client: HttpRegistry, registry: TestRegistry, name: str
) -> None:
    with pytest.raises(RegistryRefused):
        client.versions(name)
    with pytest.raises(RegistryRefused):
        client.offer(NAME, f"1.0/{name}/..")
    assert registry.requests == []


def test_all_evidence_together_has_one_deadline(registry: TestRegistry, offered: Release) -> None:
    offered.bundles = [str(n).encode() for n in range(60)]

    def slow(handler: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(0.3)
        body = registry.answer(handler.path) or b""
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    for bundle in offered.bundles:
        registry.hostile[f"{BASE}/1.0.0/evidence/{sha256(bundle)}"] = slow
    client = HttpRegistry(registry.url, seconds=1, wheel_seconds=0.8)
    started = time.monotonic()
    with pytest.raises(RegistryUnavailable):
        client.evidence(client.offer(NAME, "1.0.0"))
    assert time.monotonic() - started < 2.5
