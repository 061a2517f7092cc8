"""The runner's end of the protocol: strict encoding, and stricter decoding.

`harness.protocol` has the layouts, and is the very file that the image carries. Whatever comes
out of a container is hostile until it has passed `StreamReader` and `decode_response`.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from runner.sandbox.errors import ContainerGone, ProtocolViolation
from runner.sandbox.harness import protocol

DOCKER_HEADER_BYTES = 8
STDOUT_STREAM = 1
STDERR_STREAM = 2
MAX_CHUNK = 1 << 20
"""Largest chunk that the engine may announce, in bytes; it copies through a 32 KiB buffer."""
MAX_STARTUP_STDERR = 4096

LiveSink: TypeAlias = Callable[[int, int, bytes], None]
"""Takes (stream, bytes of it that were left out before, data), stream 0 being stdout and 1 stderr.
It must not wait for anything."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call, as it goes into a container.

    Attributes:
        wheel: the verified wheel's bytes.
        module: the module that the manifest names.
        qualname: `function` or `Class.method`, from the manifest.
        arguments: the arguments object, JSON.
        wall_seconds: elapsed time that the call may take.
        cpu_seconds: processor time that the call may take.
        output_bytes: bound of the result, and of stdout and stderr together, in bytes.
        live: takes stdout and stderr as they come; None: they come with the response only.
    """

    wheel: bytes
    module: str
    qualname: str
    arguments: bytes
    wall_seconds: float
    cpu_seconds: int
    output_bytes: int
    live: LiveSink | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, as the supervisor framed it. `payload`, `stdout`, `stderr` are the plugin's."""

    ending: int
    payload: bytes
    stdout: bytes
    stderr: bytes
    exit_code: int
    from_cgroup: bool
    cpu_seconds: float
    memory_peak_bytes: int
    killed_for_memory: int
    denied_processes: int


def encode_request(request: Request, nonce: bytes, live: LiveReader | None = None) -> bytes:
    """Return the one frame that a container takes, but for its end, which is the arguments.

    Raises:
        ValueError: a part is empty or longer than the protocol allows.
    """
    module, qualname = request.module.encode(), request.qualname.encode()
    for what, length, most in (
        ("wheel", len(request.wheel), protocol.MAX_WHEEL),
        ("arguments", len(request.arguments), protocol.MAX_ARGUMENTS),
        ("module name", len(module), protocol.MAX_NAME),
        ("qualified name", len(qualname), protocol.MAX_NAME),
        ("output bound", request.output_bytes, protocol.MAX_OUTPUT),
    ):
        if not 0 < length <= most:
            raise ValueError(f"the {what} has {length} bytes, expected 1 to {most}")
    if len(nonce) != protocol.NONCE_BYTES:
        raise ValueError(f"a nonce has {protocol.NONCE_BYTES} bytes")
    header = protocol.REQUEST.pack(
        protocol.REQUEST_MAGIC,
        len(request.wheel),
        len(request.arguments),
        len(module),
        len(qualname),
        max(1, int(request.wall_seconds * 1000)),
        max(1, request.cpu_seconds),
        request.output_bytes,
        0 if live is None else protocol.LIVE,
        bytes(protocol.TAG_BYTES) if live is None else live.tag,
        nonce,
    )
    return b"".join((header, module, qualname, request.wheel))


class StreamReader:
    """Docker's attach stream, demultiplexed strictly: stdout only, every length bounded.

    The engine frames each chunk as [stream, 0, 0, 0, length (4 bytes, big-endian)]. Before the
    container is ready, stderr is kept for the diagnosis; after that, any is a violation.

    Args:
        receive: returns at most that many bytes of the raw stream, b"" at its end.
        most: bytes of stdout that are accepted in all.
    """

    def __init__(self, receive: Callable[[int], bytes], most: int) -> None:
        self._receive = receive
        self._stdout = bytearray()
        self._room = most
        self._left_in_chunk = 0
        self._stream = 0
        self._header = bytearray()
        self.ready = False
        self.stderr = bytearray()

    def allow(self, most: int) -> None:
        """Accept `most` more bytes of stdout from here on."""
        self._room = most

    @property
    def pending(self) -> int:
        """Bytes that have arrived and that nobody has taken."""
        return len(self._stdout)

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes of stdout.

        Raises:
            ContainerGone: the stream ended before.
            ProtocolViolation: the stream is not framed as it must be, or is too long.
        """
        while len(self._stdout) < count:
            self._fill()
        data = bytes(self._stdout[:count])
        del self._stdout[:count]
        return data

    def _fill(self) -> None:
        if not self._left_in_chunk:
            self._header += self._some(DOCKER_HEADER_BYTES - len(self._header))
            if len(self._header) < DOCKER_HEADER_BYTES:
                return
            self._begin_chunk(bytes(self._header))
            self._header.clear()
            return
        data = self._some(min(self._left_in_chunk, 1 << 16))
        self._left_in_chunk -= len(data)
        if self._stream == STDERR_STREAM:
            self.stderr += data[: MAX_STARTUP_STDERR - len(self.stderr)]
        else:
            self._stdout += data

    def _begin_chunk(self, header: bytes) -> None:
        self._stream, padding = header[0], header[1:4]
        self._left_in_chunk = int.from_bytes(header[4:], "big")
        known = self._stream == STDOUT_STREAM or (self._stream == STDERR_STREAM and not self.ready)
        if not known or padding != b"\0\0\0" or self._left_in_chunk > MAX_CHUNK:
            raise ProtocolViolation(f"a chunk of the stream begins with {header!r}")
        if self._stream == STDOUT_STREAM:
            self._room -= self._left_in_chunk
            if self._room < 0:
                raise ProtocolViolation("the container wrote more than one response may have")

    def _some(self, count: int) -> bytes:
        data = self._receive(count)
        if not data:
            raise ContainerGone("the container's stream ended")
        return data


class LiveReader:
    """Takes one call's output as it comes; bounded, and strict about whose it is."""

    def __init__(self, sink: LiveSink, output_bytes: int, wall_seconds: float) -> None:
        """Take who gets the output, and the bounds of the call."""
        self.tag = secrets.token_bytes(protocol.TAG_BYTES)
        self._sink = sink
        self._output_bytes = output_bytes
        flushes = output_bytes / protocol.LOG_BYTES + (wall_seconds + 1) / protocol.LOG_SECONDS
        self._frames = 2 * int(flushes + 1)
        self._seen = [0, 0]

    @property
    def bound(self) -> int:
        """The most bytes that all frames of the call may have."""
        return self._frames * protocol.LOG.size + self._output_bytes

    def check(self, stream: int, length: int, left_out: int, tag: bytes) -> None:
        """Check a frame's header, before any of its data is read.

        Raises:
            ProtocolViolation: it is not of this call, or more than the call may write.
        """
        if not hmac.compare_digest(tag, self.tag):
            raise ProtocolViolation("a log frame without the tag of its call")
        self._frames -= 1
        if stream not in (0, 1) or not length or self._frames < 0:
            raise ProtocolViolation(f"a log frame of stream {stream} with {length} bytes")
        self._seen[stream] += left_out + length
        if sum(self._seen) > self._output_bytes:
            raise ProtocolViolation("more log frames than the call may write")

    def give(self, stream: int, left_out: int, data: bytes) -> None:
        """Hand the data of a frame on."""
        self._sink(stream, left_out, data)

    def finish(self, *whole: bytes) -> None:
        """Hand on what of stdout and stderr no frame had, now that the response is there.

        Raises:
            ProtocolViolation: the frames had more than the response has.
        """
        for stream, data in enumerate(whole):
            if self._seen[stream] > len(data):
                raise ProtocolViolation("log frames with more than the plugin wrote")
            if rest := data[self._seen[stream] :]:
                self._seen[stream] = len(data)
                self._sink(stream, 0, rest)


def live_reader(request: Request) -> LiveReader | None:
    """Return what takes the request's output as it comes; None where nobody wants it so."""
    if request.live is None:
        return None
    return LiveReader(request.live, request.output_bytes, request.wall_seconds)


def response_bound(output_bytes: int) -> int:
    """Return the most bytes that one response may have."""
    return protocol.RESPONSE.size + max(output_bytes, protocol.MAX_ERROR) + output_bytes


def _start_of_response(reader: StreamReader, live: LiveReader | None) -> bytes:
    """Take log frames, if any were asked for, and return the first bytes of something else."""
    while True:
        magic = reader.take(protocol.MAGIC_BYTES)
        if live is None or magic != protocol.LOG_MAGIC:
            return magic
        rest = reader.take(protocol.LOG.size - len(magic))
        _, stream, length, left_out, tag = protocol.LOG.unpack(magic + rest)
        live.check(stream, length, left_out, tag)
        live.give(stream, left_out, reader.take(length))


def read_response(
    reader: StreamReader, nonce: bytes, output_bytes: int, live: LiveReader | None = None
) -> Response:
    """Read the one response: right magic, right nonce, lengths in bounds, nothing after it.

    Before it there may be log frames, if `live` is there to take them.

    Raises:
        ContainerGone: the stream ended before the response did.
        ProtocolViolation: anything else is not as it must be.
    """
    start = _start_of_response(reader, live)
    fields = protocol.RESPONSE.unpack(start + reader.take(protocol.RESPONSE.size - len(start)))
    magic, ending, source, result, stdout, stderr, exit_code, cpu, peak, killed, denied = fields[
        :-1
    ]
    if magic != protocol.RESPONSE_MAGIC or not hmac.compare_digest(fields[-1], nonce):
        raise ProtocolViolation("a response without the magic and the nonce of this call")
    most = output_bytes if ending == protocol.RESULT else protocol.MAX_ERROR
    if ending not in protocol.ENDINGS or source not in (protocol.FROM_RUSAGE, protocol.FROM_CGROUP):
        raise ProtocolViolation(f"a response with the ending {ending}, source {source}")
    if result > most or stdout + stderr > output_bytes:
        raise ProtocolViolation(f"a response of {result}, {stdout} and {stderr} bytes")
    if result and ending not in (protocol.RESULT, protocol.EXCEPTION):
        raise ProtocolViolation(f"a payload with the ending {ending}")
    payload, out, err = reader.take(result), reader.take(stdout), reader.take(stderr)
    if reader.pending:
        raise ProtocolViolation(f"{reader.pending} bytes after the response")
    if live is not None:
        live.finish(out, err)
    return Response(
        ending=ending,
        payload=payload,
        stdout=out,
        stderr=err,
        exit_code=exit_code,
        from_cgroup=source == protocol.FROM_CGROUP,
        cpu_seconds=cpu / 1000,
        memory_peak_bytes=peak * 1024,
        killed_for_memory=killed,
        denied_processes=denied,
    )
