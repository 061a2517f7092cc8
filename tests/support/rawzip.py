"""ZIP archives written field by field, so that each field can be made to lie."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LOCAL, CENTRAL = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L")
EOCD = struct.Struct("<4s4H2LH")


@dataclass
class RawEntry:
    """One entry. `local` and `central` replace fields of one header by name.

    Fields: version, flags, method, time, date, crc, packed, size, name, extra; in the central
    header also comment, disk, attributes, offset.
    """

    name: bytes
    body: bytes = b""
    method: int = 8
    flags: int = 0
    attributes: int = 0o100644 << 16
    local: Mapping[str, object] = field(default_factory=dict)
    central: Mapping[str, object] = field(default_factory=dict)
    packed: bytes | None = None
    before: bytes = b""
    after: bytes = b""

    def data(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method != 8:
            return self.body
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        return stream.compress(self.body) + stream.flush()

    def fields(self, changes: Mapping[str, object]) -> dict[str, object]:
        return {
            "version": 20,
            "flags": self.flags,
            "method": self.method,
            "time": 0,
            "date": 0x21,
            "crc": zlib.crc32(self.body),
            "packed": len(self.data()),
            "size": len(self.body),
            "name": self.name,
            "extra": b"",
            "comment": b"",
            "disk": 0,
            "attributes": self.attributes,
            **changes,
        }


def _local(entry: RawEntry) -> bytes:
    f = entry.fields(entry.local)
    head = [f[k] for k in ("version", "flags", "method", "time", "date", "crc", "packed", "size")]
    sizes = len(f["name"]), len(f["extra"])  # type: ignore[arg-type] # bytes by construction
    return LOCAL.pack(b"PK\x03\x04", *head, *sizes) + f["name"] + f["extra"]  # type: ignore[operator] # bytes by construction


def _central(entry: RawEntry, offset: int) -> bytes:
    f = entry.fields({"offset": offset, **entry.central})
    head = [f[k] for k in ("version", "flags", "method", "time", "date", "crc", "packed", "size")]
    sizes = [len(f[k]) for k in ("name", "extra", "comment")]  # type: ignore[arg-type] # bytes by construction
    tail = [f["disk"], 0, f["attributes"], f["offset"]]
    fixed = CENTRAL.pack(b"PK\x01\x02", 0x0314, *head, *sizes, *tail)
    return fixed + f["name"] + f["extra"] + f["comment"]  # type: ignore[operator] # bytes by construction


def raw_zip(
    entries: Iterable[RawEntry],
    *,
    prefix: bytes = b"",
    before_directory: bytes = b"",
    after_directory: bytes = b"",
    comment: bytes = b"",
    suffix: bytes = b"",
    shift: int = 0,
    end: Mapping[str, int] | None = None,
) -> bytes:
    """Return an archive.

    Args:
        entries: written in this order, in both directories.
        prefix: bytes before the first entry.
        before_directory: bytes between the last entry and the central directory.
        after_directory: bytes between the central directory and its end record.
        comment: the archive's comment.
        suffix: bytes after all.
        shift: taken off every offset, as if `prefix` were not there.
        end: replaces fields of the end record: disk, start_disk, here, count, size, offset.
    """
    body, directory = prefix, b""
    count = 0
    for entry in entries:
        body += entry.before
        directory += _central(entry, len(body) - shift)
        body += _local(entry) + entry.data() + entry.after
        count += 1
    body += before_directory
    values = {
        "disk": 0,
        "start_disk": 0,
        "here": count,
        "count": count,
        "size": len(directory),
        "offset": len(body) - shift,
        **(end or {}),
    }
    record = EOCD.pack(b"PK\x05\x06", *values.values(), len(comment))
    return body + directory + after_directory + record + comment + suffix


def entries_of(members: Mapping[str, bytes]) -> list[RawEntry]:
    """Return an honest entry for each member."""
    return [
        RawEntry(path.encode(), body, flags=0 if path.isascii() else 0x800)
        for path, body in members.items()
    ]
