"""What travels between the scanner and its confined process: one request, one stream of records.

The request goes in whole: a magic, then its fields, each a length of four bytes (big-endian) and
that many bytes. Records come back: one byte of kind, a length of four bytes, the payload. `P`
says which member is being looked at, so that the death of the process can name it; `R` is the
reply, comes once and last.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

MAGIC = b"SGSCAN1\n"
PROGRESS = b"P"
REPLY = b"R"

_LENGTH = struct.Struct(">I")


class FrameInvalid(Exception):
    """The bytes are not the frame that was expected; the message says how."""


def pack_request(*parts: bytes) -> bytes:
    """Return the request that carries `parts`."""
    return MAGIC + b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def read_request(stream: BinaryIO, parts: int) -> list[bytes]:
    """Read a request of `parts` fields and the end of the stream.

    Raises:
        FrameInvalid: the stream is cut, or goes on after the last field.
    """
    if _exactly(stream, len(MAGIC)) != MAGIC:
        raise FrameInvalid("wrong magic")
    fields = []
    for _ in range(parts):
        (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
        fields.append(_exactly(stream, length))
    if stream.read(1):
        raise FrameInvalid("bytes after the last field")
    return fields


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise FrameInvalid("the stream ended early")
    return data


def pack_record(kind: bytes, payload: bytes) -> bytes:
    """Return one record."""
    return kind + _LENGTH.pack(len(payload)) + payload


def records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the whole records in `data`, as (kind, payload); a cut last one is left out."""
    at = 0
    while len(data) - at > _LENGTH.size:
        kind = data[at : at + 1]
        (length,) = _LENGTH.unpack_from(data, at + 1)
        start = at + 1 + _LENGTH.size
        if kind not in (PROGRESS, REPLY) or len(data) - start < length:
            return
        yield kind, data[start : start + length]
        at = start + length


def reply_of(data: bytes) -> bytes:
    """Return the payload of the one reply, which must be the last record.

    Raises:
        FrameInvalid: there is none, there are two, or something follows it.
    """
    used = 0
    reply: bytes | None = None
    for kind, payload in records(data):
        if reply is not None:
            raise FrameInvalid("a record after the reply")
        used += 1 + _LENGTH.size + len(payload)
        reply = payload if kind == REPLY else None
    if reply is None:
        raise FrameInvalid("no reply")
    if used != len(data):
        raise FrameInvalid("bytes that are no record")
    return reply


def last_progress(data: bytes) -> str:
    """Return the member that was being looked at last, or ""."""
    last = b""
    for kind, payload in records(data):
        if kind == PROGRESS:
            last = payload
    return last.decode("utf-8", "replace")
