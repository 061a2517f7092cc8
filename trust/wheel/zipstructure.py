"""The structure of a ZIP archive, read strictly (PKWARE APPNOTE 6.3.10).

Two readers of one archive may see two different sets of files: one walks the local headers from
the start, another follows the central directory from the end, a third searches for either. This
parser accepts only archives in which there is nothing to disagree about:

- the end-of-central-directory record is the last 22 bytes, without a comment, on one disk;
- the central directory ends where that record starts;
- entries follow each other from byte 0 to the central directory, with no gap and no overlap, in
  the order of the central directory;
- each local header says what the central header says; a data descriptor says it a third time;
- no zip64, no encryption, no method but stored and deflate, no extra field that changes a name
  or a size.

It reads headers only; `trust.wheel.archive` reads contents.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from trust.errors import Problem, problem
from trust.wheel import bounds

STORED, DEFLATED = 0, 8

_EOCD = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_EOCD_MAGIC, _CENTRAL_MAGIC, _LOCAL_MAGIC = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_ZIP64_LOCATOR_MAGIC, _DESCRIPTOR_MAGIC = b"PK\x06\x07", b"PK\x07\x08"

_FLAG_ENCRYPTED, _FLAG_DESCRIPTOR, _FLAG_UTF8 = 0x1, 0x8, 0x800
_KNOWN_FLAGS = _FLAG_DESCRIPTOR | _FLAG_UTF8 | 0x6
_ENCRYPTION_FLAGS = _FLAG_ENCRYPTED | 0x40 | 0x2000
_HARMLESS_EXTRAS = {0x5455: 13, 0x7875: 15}
"""Extra fields that carry times or owners only -> their greatest length in bytes."""
_MAX_EXTRA_BYTES = 64
_NEWEST_VERSION = 20
"""`version needed to extract`: 2.0 is deflate and folders."""

REBUILD = "build the wheel with an unmodified PEP 517 backend and do not edit it afterwards"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as the central directory has it.

    Attributes:
        path: the decoded name.
        flags: the general-purpose bit flags.
        method: 0 (stored) or 8 (deflate).
        crc: CRC-32 of the content.
        compressed_size: in bytes.
        size: uncompressed, in bytes.
        attributes: the external file attributes; the upper half is a Unix mode.
        offset: of the local header, in bytes from the archive's start.
        common: the ten bytes that both headers begin with: version, flags, method, time, date.
        start: of the content, in bytes from the archive's start; -1 if it could not be found.
    """

    path: str
    flags: int
    method: int
    crc: int
    compressed_size: int
    size: int
    attributes: int
    offset: int
    common: bytes
    start: int = -1


@dataclass(frozen=True, slots=True)
class Structure:
    """What was read: the entries that hold together, and every problem."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _End:
    count: int
    directory_start: int
    directory_end: int


def _bad(code: str, what: str, value: object, expected: str, where: str = "") -> Problem:
    return problem(
        f"wheel.{code}", what, value=value, expected=expected, advice=REBUILD, where=where
    )


def read_structure(data: bytes) -> Structure:
    """Read the headers of a ZIP archive.

    Args:
        data: the whole archive, at most `bounds.MAX_WHEEL_BYTES` bytes.
    """
    if len(data) > bounds.MAX_WHEEL_BYTES:
        size, most = f"{len(data)} bytes", f"at most {bounds.MAX_WHEEL_BYTES} bytes"
        return Structure((), (_bad("too-large", "the wheel is too large", size, most),))
    problems: list[Problem] = []
    end = _read_end(data, problems)
    if end is None:
        return Structure((), tuple(problems))
    entries = _read_directory(data, end, problems)
    if entries is None:
        return Structure((), tuple(problems))
    total = sum(entry.size for entry in entries)
    if total > bounds.MAX_TOTAL_BYTES:
        problems.append(
            _bad(
                "too-large-uncompressed",
                "the wheel's files are too large together",
                f"{total} bytes",
                f"at most {bounds.MAX_TOTAL_BYTES} bytes",
            )
        )
        return Structure((), tuple(problems))
    sound = _read_locals(data, entries, end.directory_start, problems)
    return Structure(tuple(sound), tuple(problems))


def _read_end(data: bytes, problems: list[Problem]) -> _End | None:
    """Read the end-of-central-directory record; None if the rest cannot be read."""
    at = data.rfind(_EOCD_MAGIC)
    if at < 0 or at + _EOCD.size > len(data):
        what = "the file is not a ZIP archive"
        value = data[:16] if data else "an empty file"
        problems.append(_bad("not-a-zip", what, value, "an end-of-central-directory record"))
        return None
    _, disk, start_disk, count_here, count, size, offset, comment_length = _EOCD.unpack_from(
        data, at
    )
    after = len(data) - at - _EOCD.size
    if comment_length:
        comment = data[at + _EOCD.size :][: min(comment_length, 64)]
        problems.append(_bad("archive-comment", "the archive has a comment", comment, "no comment"))
    if after > comment_length:
        tail = data[at + _EOCD.size + comment_length :][:32]
        value = f"{after - comment_length} bytes: {tail!r}"
        expected = "nothing after the end-of-central-directory record"
        problems.append(_bad("trailing-data", "data follows the archive's end", value, expected))
    if data[max(at - 20, 0) : at].startswith(_ZIP64_LOCATOR_MAGIC) or (
        count == 0xFFFF or size == 0xFFFFFFFF or offset == 0xFFFFFFFF
    ):
        problems.append(_bad("zip64", "the archive uses zip64", "zip64 records", "plain ZIP"))
        return None
    if disk or start_disk or count_here != count:
        value = f"disk {disk}, directory on disk {start_disk}, {count_here} of {count} entries"
        problems.append(_bad("many-disks", "the archive is split", value, "one disk"))
        return None
    prefix = at - size - offset
    if prefix:
        value = f"{prefix} bytes more than its headers say: {data[:16]!r}"
        what = "the archive does not start at byte 0, or its central directory is not at its end"
        expected = "a central directory that ends at the end-of-central-directory record"
        problems.append(_bad("prefixed-data", what, value, expected))
        return None
    if count > bounds.MAX_MEMBERS:
        expected = f"at most {bounds.MAX_MEMBERS}"
        problems.append(_bad("too-many-members", "the wheel has too many files", count, expected))
        return None
    if _EOCD_MAGIC in data[offset:at]:
        what = "the central directory has the mark of an archive's end inside"
        problems.append(_bad("second-end", what, "PK\\x05\\x06", "the mark once, at the end"))
        return None
    return _End(count, offset, at)


def _read_directory(data: bytes, end: _End, problems: list[Problem]) -> list[Entry] | None:
    """Read the central directory; None if it cannot be walked to its end."""
    entries: list[Entry] = []
    at = end.directory_start
    for index in range(end.count):
        if at + _CENTRAL.size > end.directory_end or data[at : at + 4] != _CENTRAL_MAGIC:
            value = f"entry {index} at byte {at}: {data[at : at + 4]!r}"
            what = "the central directory is broken"
            problems.append(_bad("broken-directory", what, value, f"{end.count} entries"))
            return None
        fields = _CENTRAL.unpack_from(data, at)
        needed, flags, method = fields[2:5]
        crc, packed, size, n, m, k, disk, _, attributes, offset = fields[7:]
        body = at + _CENTRAL.size
        if body + n + m + k > end.directory_end:
            value = f"entry {index} at byte {at} needs {n + m + k} bytes"
            what = "an entry of the central directory runs past its end"
            problems.append(_bad("broken-directory", what, value, "entries within the directory"))
            return None
        path = _name(data[body : body + n], flags, problems)
        common = data[at + 6 : at + 16]
        entry = Entry(path, flags, method, crc, packed, size, attributes, offset, common)
        problems += _check_central(entry, needed, disk)
        problems += _check_extra(data[body + n : body + n + m], path)
        if k:
            comment = data[body + n + m : body + n + m + min(k, 64)]
            what = "a file of the archive has a comment"
            problems.append(_bad("member-comment", what, comment, "no comment", path))
        entries.append(entry)
        at = body + n + m + k
    if at != end.directory_end:
        hidden = data[at : min(end.directory_end, at + 16)]
        value = f"{end.directory_end - at} bytes: {hidden!r}"
        what = "data hides between the central directory and the archive's end"
        problems.append(_bad("hidden-data", what, value, "nothing there"))
    return entries


def _name(raw: bytes, flags: int, problems: list[Problem]) -> str:
    try:
        path = raw.decode("utf-8")
    except UnicodeDecodeError:
        what = "a file's name is not UTF-8"
        problems.append(_bad("name-encoding", what, raw, "a name in UTF-8"))
        return raw.decode("latin-1")
    if not path.isascii() and not flags & _FLAG_UTF8:
        what = "a file's name is not ASCII, and the flag that says UTF-8 is not set"
        problems.append(_bad("name-encoding", what, path, "general-purpose flag bit 11", path))
    return path


def _check_central(entry: Entry, needed: int, disk: int) -> list[Problem]:
    found = []

    def bad(code: str, what: str, value: object, expected: str) -> None:
        found.append(_bad(code, what, value, expected, entry.path))

    if entry.flags & _ENCRYPTION_FLAGS:
        bad("encrypted", "a file is encrypted", f"flags {entry.flags:#06x}", "no encryption")
    elif entry.flags & ~_KNOWN_FLAGS:
        bad("unknown-flags", "a file has unknown flags", f"{entry.flags:#06x}", "bits 1, 2, 3, 11")
    if entry.method not in (STORED, DEFLATED):
        bad("method", "a file is compressed by another method", entry.method, "stored or deflate")
    if 0xFFFFFFFF in (entry.compressed_size, entry.size, entry.offset):
        bad("zip64", "a file's header points to zip64 fields", "0xffffffff", "plain ZIP")
    if needed & 0xFF > _NEWEST_VERSION:
        bad("version-needed", "a file needs a newer ZIP version", needed, "at most 20 (2.0)")
    if disk:
        bad("many-disks", "a file starts on another disk", disk, "disk 0")
    if entry.size > bounds.MAX_MEMBER_BYTES:
        most = f"at most {bounds.MAX_MEMBER_BYTES} bytes"
        bad("member-too-large", "a file is too large", f"{entry.size} bytes", most)
    elif (
        entry.size > bounds.RATIO_FREE_BYTES
        and entry.size > bounds.MAX_RATIO * entry.compressed_size
    ):
        ratio = f"{entry.size} bytes from {entry.compressed_size}"
        most = f"at most {bounds.MAX_RATIO} to 1"
        bad("ratio", "a file is compressed too well, as bombs are", ratio, most)
    return found


def _check_extra(extra: bytes, path: str) -> list[Problem]:
    """Walk the extra fields; any that could change what the entry is, is refused."""
    if len(extra) > _MAX_EXTRA_BYTES:
        what, expected = "a file's extra field is too long", f"at most {_MAX_EXTRA_BYTES} bytes"
        return [_bad("extra-field", what, f"{len(extra)} bytes", expected, path)]
    at = 0
    while at < len(extra):
        if at + 4 > len(extra):
            what = "a file's extra field is broken"
            return [_bad("extra-field", what, extra[at:], "whole fields", path)]
        kind, length = struct.unpack_from("<HH", extra, at)
        most = _HARMLESS_EXTRAS.get(kind, -1)
        if length > most or at + 4 + length > len(extra):
            what = "a file has an extra field that is not accepted"
            value = f"{kind:#06x}, {length} bytes"
            expected = "times (0x5455) or owners (0x7875), or none"
            code = "zip64" if kind == 1 else "extra-field"
            return [_bad(code, what, value, expected, path)]
        at += 4 + length
    return []


def _read_locals(
    data: bytes, entries: list[Entry], directory_start: int, problems: list[Problem]
) -> list[Entry]:
    """Compare every local header with its central one; entries must tile the archive exactly."""
    sound: list[Entry] = []
    expected_offset = 0
    for position, entry in enumerate(entries):
        if entry.offset != expected_offset:
            kind = "overlap" if entry.offset < expected_offset else "gap"
            if position == 0:
                kind = "prefixed-data"
            what = {
                "overlap": "a file's data overlaps another's, or stands out of order",
                "gap": "data hides between two files of the archive",
                "prefixed-data": "data stands before the first file of the archive",
            }[kind]
            value = f"header at byte {entry.offset}"
            wanted = f"header at byte {expected_offset}"
            problems.append(_bad(kind, what, value, wanted, entry.path))
        end, start = _read_local(data, entry, directory_start, problems)
        following = entries[position + 1].offset if position + 1 < len(entries) else directory_start
        if end is None:
            expected_offset = following
            continue
        expected_offset = end
        sound.append(replace(entry, start=start))
    if expected_offset != directory_start:
        kind = "gap" if expected_offset < directory_start else "overlap"
        what = "the files of the archive do not end where its central directory starts"
        value, wanted = f"byte {expected_offset}", f"byte {directory_start}"
        problems.append(_bad(kind, what, value, wanted, entries[-1].path if entries else ""))
    return sound


def _read_local(
    data: bytes, entry: Entry, directory_start: int, problems: list[Problem]
) -> tuple[int | None, int]:
    """Return where the entry ends (None: unknown) and where its content starts."""

    def bad(code: str, what: str, value: object, expected: str) -> None:
        problems.append(_bad(code, what, value, expected, entry.path))

    at = entry.offset
    if at + _LOCAL.size > directory_start or data[at : at + 4] != _LOCAL_MAGIC:
        bad("local-header", "a local header is missing", data[at : at + 4], "PK\\x03\\x04")
        return None, -1
    crc, packed, size, n, m = _LOCAL.unpack_from(data, at)[6:]
    start = at + _LOCAL.size + n + m
    if start + entry.compressed_size > directory_start:
        value = f"{entry.compressed_size} bytes at {start}"
        bad("overlap", "a file runs into the central directory", value, f"end <= {directory_start}")
        return None, -1
    name = data[at + _LOCAL.size : at + _LOCAL.size + n]
    if name != entry.path.encode("utf-8", "replace"):
        bad("local-name", "the local header has another name", name, f"{entry.path!r}")
    problems += _check_extra(data[start - m : start], entry.path)
    common = data[at + 4 : at + 14]
    if common != entry.common:
        what = "the local header has another version, flag, method, time or date"
        value, expected = common.hex(" ", 2), entry.common.hex(" ", 2)
        bad("local-header", what, value, f"{expected}, as in the central directory")
    sizes, central = (crc, packed, size), (entry.crc, entry.compressed_size, entry.size)
    end = start + entry.compressed_size
    if not entry.flags & _FLAG_DESCRIPTOR:
        if sizes != central:
            what = "the local header has another checksum or size"
            value, expected = f"crc, sizes {sizes}", f"{central}, as in the central directory"
            bad("local-size", what, value, expected)
        return end, start
    if sizes not in (central, (0, 0, 0)) or (entry.method == STORED and sizes != central):
        what = "a file with a data descriptor has other sizes in its local header"
        bad("local-size", what, f"crc, sizes {sizes}", f"{central}, or zeros if deflated")
    plain = struct.pack("<3L", *central)
    for descriptor in (_DESCRIPTOR_MAGIC + plain, plain):
        if data[end : end + len(descriptor)] == descriptor:
            return end + len(descriptor), start
    bad("descriptor", "a data descriptor is missing or differs", data[end : end + 16], f"{central}")
    return None, start
