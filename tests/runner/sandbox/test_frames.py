"""The protocol: what the runner accepts from a container, byte for byte. No engine needed."""

from __future__ import annotations

import importlib.resources
import secrets
from collections.abc import Iterable

import pytest

from runner.sandbox import frames, verdict
from runner.sandbox.errors import ContainerGone, ProtocolViolation
from runner.sandbox.events import Death
from runner.sandbox.frames import Response
from runner.sandbox.harness import protocol
from trust.wheel import Limits

NONCE = bytes(range(32))
CAP = 1000


def chunk(data: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def response(**changes: object) -> bytes:
    parts = {
        "magic": protocol.RESPONSE_MAGIC,
        "ending": protocol.RESULT,
        "source": protocol.FROM_CGROUP,
        "payload": b"[1]",
        "stdout": b"out",
        "stderr": b"err",
        "nonce": NONCE,
    } | changes
    payload, out, err = (parts[name] for name in ("payload", "stdout", "stderr"))
    assert isinstance(payload, bytes)
    assert isinstance(out, bytes)
    assert isinstance(err, bytes)
    header = protocol.RESPONSE.pack(
        parts["magic"],
        parts["ending"],
        parts["source"],
        parts.get("result_length", len(payload)),
        parts.get("stdout_length", len(out)),
        parts.get("stderr_length", len(err)),
        -9,
        1500,
        2048,
        1,
        2,
        parts["nonce"],
    )
    return header + payload + out + err


def reader(pieces: Iterable[bytes], most: int = 1 << 20) -> frames.StreamReader:
    """A reader over a stream that arrives in those pieces."""
    queue = [piece for piece in pieces if piece]

    def receive(count: int) -> bytes:
        if not queue:
            return b""
        data, queue[0] = queue[0][:count], queue[0][count:]
        if not queue[0]:
            del queue[0]
        return data

    made = frames.StreamReader(receive, most)
    made.ready = True
    return made


def read(data: bytes, **options: object) -> Response:
    return frames.read_response(reader([chunk(data)]), NONCE, CAP)


def test_a_response_is_read_however_it_is_cut() -> None:
    whole = chunk(response()[:10]) + chunk(response()[10:40]) + chunk(response()[40:])
    for size in (1, 2, 7, 64, len(whole)):
        pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
        got = frames.read_response(reader(pieces), NONCE, CAP)
        assert (got.payload, got.stdout, got.stderr) == (b"[1]", b"out", b"err")
        assert (got.exit_code, got.cpu_seconds, got.memory_peak_bytes) == (-9, 1.5, 2 << 20)
        assert (got.killed_for_memory, got.denied_processes, got.from_cgroup) == (1, 2, True)


@pytest.mark.parametrize(
    "data",
    [
        response(nonce=bytes(32)),
        response(nonce=NONCE[:31] + b"\xff"),
        response(magic=b"SGA2"),
        response(ending=99),
        response(source=7),
        response(payload=b"x" * (CAP + 1)),
        response(stdout=b"x" * 600, stderr=b"x" * 401),
        response(ending=protocol.DIED),
        response() + b"more",
        response(result_length=0xFFFFFFFF),
    ],
    ids=[
        "nonce of zeroes",
        "nonce off by one byte",
        "magic",
        "ending",
        "source",
        "payload too long",
        "logs too long",
        "payload without result",
        "something after it",
        "giant length",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read(data)


@pytest.mark.parametrize("cut", [0, 1, 60, len(response()) - 1])
def test_a_truncated_response_is_a_container_that_is_gone(cut: int) -> None:
    with pytest.raises(ContainerGone):
        read(response()[:cut])


@pytest.mark.parametrize(
    "raw",
    [
        chunk(b"x", stream=0),
        chunk(b"x", stream=2),
        chunk(b"x", stream=3),
        b"\x01\x00\x00\x01" + b"\x00\x00\x00\x01x",
        b"\x01\x00\x00\x00" + b"\xff\xff\xff\xff",
        chunk(b"x" * 300),
    ],
    ids=["stdin", "stderr", "unknown stream", "padding", "giant chunk", "more than allowed"],
)
def test_the_engines_stream_is_read_strictly(raw: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        reader([raw], most=256).take(1000)


def test_stderr_is_kept_only_until_the_container_is_ready() -> None:
    starting = reader([chunk(b"Traceback", 2), chunk(protocol.READY)])
    starting.ready = False
    assert starting.take(4) == protocol.READY
    assert starting.stderr == b"Traceback"


def test_random_bytes_are_never_a_response() -> None:
    for _ in range(2000):
        with pytest.raises((ProtocolViolation, ContainerGone)):
            frames.read_response(reader([secrets.token_bytes(400)]), NONCE, CAP)
        with pytest.raises((ProtocolViolation, ContainerGone)):
            read(secrets.token_bytes(200))


def test_the_request_carries_what_it_says() -> None:
    request = frames.Request(b"wheel", "module", "name", b"{}", 2.5, 3, 4096)
    frame = frames.encode_request(request, NONCE)
    header = protocol.REQUEST.unpack(frame[: protocol.REQUEST.size])
    assert header == (protocol.REQUEST_MAGIC, 5, 2, 6, 4, 2500, 3, 4096, 0, bytes(16), NONCE)
    assert frame[protocol.REQUEST.size :] == b"modulenamewheel"


def test_the_image_carries_the_runners_own_protocol() -> None:
    """`harness_sources` is what is baked in; the runner imports the same file."""
    from runner.sandbox.image import harness_sources

    source = importlib.resources.files("runner.sandbox.harness").joinpath("protocol.py")
    assert harness_sources()["protocol.py"] == source.read_bytes()
    assert frames.protocol is protocol


def made(ending: int, payload: bytes = b"", exit_code: int = 0, **changes: int) -> Response:
    values = {"killed_for_memory": 0, "denied_processes": 0} | changes
    return Response(ending, payload, b"\xff", b"", exit_code, True, 0.5, 1 << 20, **values)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (made(protocol.RESULT, b"1"), "ok"),
        (made(protocol.RESULT, b"NaN"), "plugin_error"),
        (made(protocol.RESULT, b""), "plugin_error"),
        (made(protocol.RESULT, b'{"a":1,"a":2}'), "plugin_error"),
        (made(protocol.EXCEPTION, b'{"type":"T","message":"m","traceback":""}'), "plugin_error"),
        (made(protocol.EXCEPTION, b'{"type":1,"message":"m","traceback":""}'), "plugin_error"),
        (made(protocol.EXCEPTION, b"{}"), "plugin_error"),
        (made(protocol.EXCEPTION, b"{}", denied_processes=1), "resource_limit"),
        (made(protocol.DIED), "plugin_error"),
        (made(protocol.DIED, exit_code=-9), "plugin_error"),
        (made(protocol.DIED, exit_code=-9, killed_for_memory=1), "resource_limit"),
        (made(protocol.DIED, exit_code=-24), "timeout"),
        (made(protocol.RESULT_LIMIT), "resource_limit"),
        (made(protocol.OUTPUT_LIMIT), "resource_limit"),
        (made(protocol.WALL_LIMIT), "timeout"),
        (made(protocol.CPU_LIMIT), "timeout"),
        (made(protocol.BAD_ANSWER), "protocol_error"),
    ],
)
def test_the_status_that_the_caller_sees(answer: Response, status: str) -> None:
    execution = verdict.of_response(answer, verdict.Context(Limits(), 0.1, {}))
    assert execution.status == status
    assert (execution.detail == "") is (status == "ok")
    assert execution.stdout == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("death", "runtime", "status"),
    [
        (Death(137, True), "runc", "resource_limit"),
        (Death(137, False), "runc", "protocol_error"),
        (Death(0, False), "runc", "protocol_error"),
        (Death(None, False), "runc", "protocol_error"),
        (Death(None, False, True), "runc", "unavailable"),
        (Death(137, False), "runsc", "resource_limit"),
        (Death(2, False), "runsc", "resource_limit"),
        (Death(2, False), "runc", "protocol_error"),
    ],
)
def test_a_death_without_a_response(death: Death, runtime: str, status: str) -> None:
    context = verdict.Context(Limits(), 0.1, {"runtime": runtime})
    assert verdict.of_death(death, context).status == status
