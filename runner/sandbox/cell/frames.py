"""The runner's end of the cell level's protocol: strict encoding, and stricter decoding."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from runner.sandbox import options
from runner.sandbox.errors import ProtocolViolation
from runner.sandbox.frames import LiveReader, Request, Response, StreamReader
from runner.sandbox.harness import cell_protocol, protocol
from trust.wheel import Limits

ENDINGS = (*protocol.ENDINGS, cell_protocol.MEMORY_LIMIT, cell_protocol.STOPPED)


@dataclass(frozen=True, slots=True)
class Ready:
    """What a container says once: the step that failed (0: none), errno, compiled code at hand."""

    step: int
    number: int
    compiled: bool


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed part of a response."""

    number: int
    ending: int
    result: int
    stdout: int
    stderr: int
    exit_code: int
    cpu_seconds: float
    memory_peak_bytes: int
    killed_for_memory: int
    denied_processes: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class LogHeader:
    """What stands before the data of a log frame."""

    number: int
    stream: int
    length: int
    left_out: int
    tag: bytes


def encode_setup(wheel: bytes, program: bytes, limits: Limits, cells: int) -> bytes:
    """Return the one frame that makes a container that of a wheel.

    Raises:
        ValueError: a part is empty or longer than the protocol allows.
    """
    if not 0 < len(wheel) <= protocol.MAX_WHEEL:
        raise ValueError(f"the wheel has {len(wheel)} bytes, expected 1 to {protocol.MAX_WHEEL}")
    if not 0 < len(program) <= cell_protocol.MAX_FILTER or len(program) % 8:
        raise ValueError(f"the filter has {len(program)} bytes")
    if not 0 < limits.output_bytes <= protocol.MAX_OUTPUT:
        raise ValueError(f"the output bound is {limits.output_bytes}")
    header = cell_protocol.SETUP.pack(
        cell_protocol.SETUP_MAGIC,
        len(wheel),
        len(program),
        limits.memory_bytes,
        limits.processes,
        cells,
        limits.cpu_seconds,
        limits.output_bytes,
        options.OPEN_FILES,
        options.TMP_MAX_BYTES,
        options.TMP_MAX_BYTES,
        options.TMP_INODES,
    )
    return header + program + wheel


def decode_done(data: bytes) -> Ready:
    """Read a container's one `DONE`.

    Raises:
        ProtocolViolation: it is none.
    """
    magic, step, compiled, number = cell_protocol.DONE.unpack(data)
    if magic != cell_protocol.DONE_MAGIC or compiled not in (0, 1):
        raise ProtocolViolation("the container did not say whether it is ready")
    return Ready(step, number, bool(compiled))


def encode_call(
    request: Request, number: int, nonce: bytes, live: LiveReader | None = None
) -> bytes:
    """Return the frame of one call, which begins with `encode_go`; the wheel is there already.

    Raises:
        ValueError: a part is empty or longer than the protocol allows.
    """
    module, qualname = request.module.encode(), request.qualname.encode()
    for what, length, most in (
        ("arguments", len(request.arguments), protocol.MAX_ARGUMENTS),
        ("module name", len(module), protocol.MAX_NAME),
        ("qualified name", len(qualname), protocol.MAX_NAME),
    ):
        if not 0 < length <= most:
            raise ValueError(f"the {what} has {length} bytes, expected 1 to {most}")
    if len(nonce) != protocol.NONCE_BYTES:
        raise ValueError(f"a nonce has {protocol.NONCE_BYTES} bytes")
    header = cell_protocol.CALL.pack(
        cell_protocol.CALL_MAGIC,
        number,
        len(request.arguments),
        len(module),
        len(qualname),
        max(1, int(request.wall_seconds * 1000)),
        0 if live is None else protocol.LIVE,
        bytes(protocol.TAG_BYTES) if live is None else live.tag,
        nonce,
    )
    return b"".join((header, module, qualname))


def encode_go(number: int, arguments: bytes) -> bytes:
    """Return the frame with which a call begins."""
    return cell_protocol.GO.pack(cell_protocol.GO_MAGIC, number, len(arguments)) + arguments


def encode_cancel(number: int) -> bytes:
    """Return the frame that ends one call."""
    return cell_protocol.CANCEL.pack(cell_protocol.CANCEL_MAGIC, number)


def response_bound(output_bytes: int) -> int:
    """Return the most bytes that one response may have."""
    return cell_protocol.RESPONSE.size + max(output_bytes, protocol.MAX_ERROR) + output_bytes


def read_log(reader: StreamReader, start: bytes) -> LogHeader:
    """Read the header of a log frame that begins with `start`; its lengths are not checked yet.

    Raises:
        ContainerGone: the stream ended.
    """
    rest = reader.take(cell_protocol.LOG.size - len(start))
    return LogHeader(*cell_protocol.LOG.unpack(start + rest)[1:])


def read_header(reader: StreamReader, start: bytes, output_bytes: int) -> Header:
    """Read the fixed part of a response that begins with `start`, and hold its lengths to their
    bounds.

    Raises:
        ContainerGone: the stream ended.
        ProtocolViolation: it is no such thing.
    """
    fields = cell_protocol.RESPONSE.unpack(
        start + reader.take(cell_protocol.RESPONSE.size - len(start))
    )
    magic, number, ending, result, stdout, stderr, exit_code, cpu, peak, killed, denied, nonce = (
        fields
    )
    if magic != cell_protocol.RESPONSE_MAGIC or ending not in ENDINGS:
        raise ProtocolViolation(f"a response with the magic {magic!r} and the ending {ending}")
    most = output_bytes if ending == protocol.RESULT else protocol.MAX_ERROR
    if result > most or stdout + stderr > output_bytes:
        raise ProtocolViolation(f"a response of {result}, {stdout} and {stderr} bytes")
    if result and ending not in (protocol.RESULT, protocol.EXCEPTION):
        raise ProtocolViolation(f"a payload with the ending {ending}")
    return Header(
        number, ending, result, stdout, stderr, exit_code, cpu / 1e6, peak * 1024, killed, denied,
        nonce,
    )  # fmt: skip


def read_response(reader: StreamReader, header: Header, nonce: bytes) -> Response:
    """Read the rest of a response to the call that has `nonce`.

    Raises:
        ContainerGone: the stream ended.
        ProtocolViolation: the response is not to that call.
    """
    if not hmac.compare_digest(header.nonce, nonce):
        raise ProtocolViolation("a response without the nonce of its call")
    return Response(
        ending=header.ending,
        payload=reader.take(header.result),
        stdout=reader.take(header.stdout),
        stderr=reader.take(header.stderr),
        exit_code=header.exit_code,
        from_cgroup=False,
        cpu_seconds=header.cpu_seconds,
        memory_peak_bytes=header.memory_peak_bytes,
        killed_for_memory=header.killed_for_memory,
        denied_processes=header.denied_processes,
    )
