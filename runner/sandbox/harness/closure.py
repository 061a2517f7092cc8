"""A plugin's wheel with the wheels that it locks, as one run of bytes.

A plugin without dependencies travels as its wheel alone. With some, `MAGIC` and the number of
wheels come first, then the length of each, then their bytes, the plugin's first: each wheel stays
byte for byte what was verified. No two of them have a top-level module in common; the gate saw to
that.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

MAGIC = b"SGW1"
"""No wheel begins so: an archive begins with `PK`."""

_COUNT = struct.Struct(">4sI")
_LENGTH = struct.Struct(">I")


def join(wheels: Sequence[bytes]) -> bytes:
    """Return the plugin's wheel, and those that follow it, as one."""
    if len(wheels) == 1:
        return wheels[0]
    lengths = b"".join(_LENGTH.pack(len(wheel)) for wheel in wheels)
    return b"".join((_COUNT.pack(MAGIC, len(wheels)), lengths, *wheels))


def split(data: bytes) -> list[bytes]:
    """Return what was joined; raises ValueError."""
    if not data.startswith(MAGIC):
        return [data]
    try:
        _, count = _COUNT.unpack_from(data)
        lengths = [
            _LENGTH.unpack_from(data, _COUNT.size + i * _LENGTH.size)[0] for i in range(count)
        ]
    except struct.error as error:
        raise ValueError("wheels that were cut") from error
    at = _COUNT.size + count * _LENGTH.size
    if at + sum(lengths) != len(data):
        raise ValueError("wheels of other lengths than they say")
    parts = []
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    return parts
