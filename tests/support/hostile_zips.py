"""Archives that each break one rule of structure, with the refusal that they must get."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

from tests.support.rawzip import RawEntry, entries_of, raw_zip
from tests.support.refusals import INIT
from tests.support.wheels import make_members, make_wheel
from trust.wheel import bounds


def entries() -> list[RawEntry]:
    return entries_of(make_members())


def changed(**changes: object) -> bytes:
    """Return the wheel with its first entry changed."""
    first, *rest = entries()
    return raw_zip([replace(first, **changes), *rest])  # type: ignore[arg-type] # fields of RawEntry


def added(*more: RawEntry) -> bytes:
    return raw_zip([*entries(), *more])


def deflated(body: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(body) + stream.flush()


def overlapping() -> bytes:
    """Two names whose central entries share one local header and its data."""
    first, *rest = entries()
    twin = replace(first, name=b"example_plugin/other.py", central={"offset": 0})
    return raw_zip([first, twin, *rest])


def nested_overlap() -> bytes:
    """An entry whose data is another entry, header and all (the way of a quine or zip bomb)."""
    inner = RawEntry(b"example_plugin/inner.py", b"x = 1\n", method=0)
    packed = raw_zip([inner])[: 30 + len(inner.name) + len(inner.body)]
    outer = RawEntry(b"example_plugin/outer.txt", packed, method=0)
    whole = [*entries(), outer]
    start = (
        len(raw_zip(whole[:-1], end={"size": 0})) - 22 - sum(46 + len(e.name) for e in whole[:-1])
    )
    hidden = replace(inner, central={"offset": start + 30 + len(outer.name)})
    return raw_zip([*whole, replace(hidden, before=b"")])


def long_extra() -> bytes:
    """The last central entry says that it has 500 bytes of extra field."""
    data = bytearray(raw_zip(entries()))
    struct.pack_into("<H", data, data.rindex(b"PK\x01\x02") + 30, 500)
    return bytes(data)


def many_members() -> bytes:
    return raw_zip([RawEntry(f"p/f{n}".encode()) for n in range(bounds.MAX_MEMBERS + 1)])


BOMB = b"\0" * (8 << 20)
INIT_BODY = make_members()[INIT]

CASES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "empty file": (lambda: b"", "wheel.not-a-zip", "an empty file"),
    "not a zip": (lambda: b"GIF89a" * 20, "wheel.not-a-zip", "GIF89a"),
    "truncated": (lambda: make_wheel()[1][:-5], "wheel.not-a-zip", "PK"),
    "comment": (lambda: raw_zip(entries(), comment=b"hello"), "wheel.archive-comment", "hello"),
    "comment that hides an archive": (
        lambda: raw_zip(entries(), comment=raw_zip([RawEntry(b"a.py", b"evil")])),
        "wheel.prefixed-data",
        "more than its headers say",
    ),
    "trailing data": (
        lambda: raw_zip(entries(), suffix=b"evil tail"),
        "wheel.trailing-data",
        "9 bytes: b'evil tail'",
    ),
    "prefixed data": (
        lambda: raw_zip(entries(), prefix=b"#!/bin/sh\n", shift=10),
        "wheel.prefixed-data",
        "#!/bin/sh",
    ),
    "prefixed data with right offsets": (
        lambda: raw_zip(entries(), prefix=b"#!/bin/sh\n"),
        "wheel.prefixed-data",
        "header at byte 10",
    ),
    "gap between entries": (
        lambda: changed(after=b"hidden"),
        "wheel.gap",
        "header at byte",
    ),
    "hidden entry between entries": (
        lambda: changed(after=raw_zip([RawEntry(b"evil.py", b"x=1")])[:-80]),
        "wheel.gap",
        "header at byte",
    ),
    "gap before the directory": (
        lambda: raw_zip(entries(), before_directory=b"hidden"),
        "wheel.gap",
        "byte ",
    ),
    "gap after the directory": (
        lambda: raw_zip(entries(), after_directory=b"hidden"),
        "wheel.prefixed-data",
        "6 bytes more",
    ),
    "gap inside the directory": (
        lambda: raw_zip(
            entries(),
            after_directory=b"hidden",
            end={"size": 6 + sum(46 + len(e.name) for e in entries())},
        ),
        "wheel.hidden-data",
        "6 bytes: b'hidden'",
    ),
    "overlapping entries": (overlapping, "wheel.overlap", "header at byte 0"),
    "entry within an entry": (nested_overlap, "wheel.overlap", "header at byte"),
    "out of order": (
        lambda: raw_zip(
            [replace(e, central={"offset": 0}) if n == 1 else e for n, e in enumerate(entries())]
        ),
        "wheel.overlap",
        "header at byte 0",
    ),
    "offset past the end": (
        lambda: changed(central={"offset": 10_000_000}),
        "wheel.local-header",
        "b''",
    ),
    "size runs into the directory": (
        lambda: changed(central={"packed": 100_000}),
        "wheel.overlap",
        "100000 bytes",
    ),
    "local name differs": (
        lambda: changed(local={"name": b"example_plugin/__evil__.py"}),
        "wheel.local-name",
        "__evil__.py",
    ),
    "local size differs": (
        lambda: changed(local={"size": 7}),
        "wheel.local-size",
        ", 7)",
    ),
    "local crc differs": (lambda: changed(local={"crc": 7}), "wheel.local-size", "(7, "),
    "local packed size differs": (
        lambda: changed(local={"packed": 7}),
        "wheel.local-size",
        ", 7, ",
    ),
    "local method differs": (lambda: changed(local={"method": 0}), "wheel.local-header", "0000"),
    "local flags differ": (lambda: changed(local={"flags": 2}), "wheel.local-header", "0200"),
    "local date differs": (lambda: changed(local={"date": 0x22}), "wheel.local-header", "2200"),
    "local extra only": (
        lambda: changed(local={"extra": struct.pack("<HH4s", 0xCAFE, 4, b"evil")}),
        "wheel.extra-field",
        "0xcafe, 4 bytes",
    ),
    "unicode path extra": (
        lambda: changed(central={"extra": struct.pack("<HHBL4s", 0x7075, 9, 1, 0, b"evil")}),
        "wheel.extra-field",
        "0x7075, 9 bytes",
    ),
    "broken extra": (lambda: changed(central={"extra": b"ab"}), "wheel.extra-field", "b'ab'"),
    "extra longer than it may be": (
        lambda: changed(central={"extra": struct.pack("<HH9s", 0x5455, 9, b"") * 6}),
        "wheel.extra-field",
        "78 bytes",
    ),
    "member comment": (
        lambda: changed(central={"comment": b"psst"}),
        "wheel.member-comment",
        "psst",
    ),
    "zip64 extra": (
        lambda: changed(central={"extra": struct.pack("<HHQQ", 1, 16, 1, 1)}),
        "wheel.zip64",
        "0x0001",
    ),
    "zip64 sizes": (lambda: changed(central={"size": 0xFFFFFFFF}), "wheel.zip64", "0xffffffff"),
    "zip64 locator": (
        lambda: raw_zip(entries(), after_directory=struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)),
        "wheel.zip64",
        "zip64 records",
    ),
    "zip64 count": (
        lambda: raw_zip(entries(), end={"here": 0xFFFF, "count": 0xFFFF}),
        "wheel.zip64",
        "zip64 records",
    ),
    "two disks": (lambda: raw_zip(entries(), end={"disk": 1}), "wheel.many-disks", "disk 1"),
    "entry on another disk": (lambda: changed(central={"disk": 3}), "wheel.many-disks", "3"),
    "fewer entries than there are": (
        lambda: raw_zip(entries(), end={"here": 2, "count": 2}),
        "wheel.hidden-data",
        "PK",
    ),
    "more entries than there are": (
        lambda: raw_zip(entries(), end={"here": 9, "count": 9}),
        "wheel.broken-directory",
        "entry 6",
    ),
    "directory shorter than it is": (
        lambda: raw_zip(entries(), end={"size": sum(46 + len(e.name) for e in entries()) - 4}),
        "wheel.prefixed-data",
        "4 bytes more",
    ),
    "entry runs past the directory": (
        long_extra,
        "wheel.broken-directory",
        "entry 5",
    ),
    "second end in the directory": (
        lambda: added(RawEntry(b"example_plugin/PK\x05\x06")),
        "wheel.second-end",
        "PK",
    ),
    "encrypted": (
        lambda: changed(flags=1),
        "wheel.encrypted",
        "flags 0x0001",
    ),
    "strongly encrypted": (lambda: changed(flags=0x41), "wheel.encrypted", "flags 0x0041"),
    "masked headers": (lambda: changed(flags=0x2000), "wheel.encrypted", "flags 0x2000"),
    "patched data": (lambda: changed(flags=0x20), "wheel.unknown-flags", "0x0020"),
    "bzip2": (lambda: changed(method=12), "wheel.method", "12"),
    "lzma": (lambda: changed(method=14), "wheel.method", "14"),
    "newer version": (
        lambda: changed(local={"version": 63}, central={"version": 63}),
        "wheel.version-needed",
        "63",
    ),
    "crc wrong": (
        lambda: changed(local={"crc": 1}, central={"crc": 1}),
        "wheel.crc",
        f"{zlib.crc32(INIT_BODY):08x}",
    ),
    "deflate broken": (lambda: changed(packed=b"\xff\xff\xff"), "wheel.deflate", "invalid"),
    "deflate ends early": (
        lambda: changed(packed=deflated(INIT_BODY) + b"hidden"),
        "wheel.deflate-end",
        "6 bytes after the end",
    ),
    "deflate has no end": (
        lambda: changed(packed=deflated(INIT_BODY)[:-1]),
        "wheel.deflate-end",
        "no end found",
    ),
    "more than declared": (
        lambda: changed(local={"size": 5}, central={"size": 5}),
        "wheel.lying-size",
        "more than 5 bytes",
    ),
    "less than declared": (
        lambda: changed(local={"size": 5000}, central={"size": 5000}),
        "wheel.lying-size",
        f"{len(INIT_BODY)} bytes",
    ),
    "stored with two sizes": (
        lambda: changed(method=0, local={"size": 5}, central={"size": 5}),
        "wheel.lying-size",
        f"{len(INIT_BODY)} bytes",
    ),
    "declared bomb": (
        lambda: added(RawEntry(b"example_plugin/bomb.bin", BOMB)),
        "wheel.ratio",
        f"{len(BOMB)} bytes from",
    ),
    "lying bomb": (
        lambda: added(
            RawEntry(b"example_plugin/bomb.bin", BOMB, local={"size": 100}, central={"size": 100})
        ),
        "wheel.lying-size",
        "more than 100 bytes",
    ),
    "member too large": (
        lambda: added(
            RawEntry(
                b"example_plugin/b",
                b"",
                local={"size": bounds.MAX_MEMBER_BYTES + 1},
                central={"size": bounds.MAX_MEMBER_BYTES + 1},
            )
        ),
        "wheel.member-too-large",
        str(bounds.MAX_MEMBER_BYTES + 1),
    ),
    "too large together": (
        lambda: added(
            *(
                RawEntry(f"example_plugin/b{n}".encode(), b"", central={"size": 16 << 20})
                for n in range(5)
            )
        ),
        "wheel.too-large-uncompressed",
        "bytes",
    ),
    "too large": (
        lambda: b"\0" * (bounds.MAX_WHEEL_BYTES + 1),
        "wheel.too-large",
        str(bounds.MAX_WHEEL_BYTES + 1),
    ),
    "too many members": (many_members, "wheel.too-many-members", str(bounds.MAX_MEMBERS + 1)),
    "symlink": (
        lambda: added(RawEntry(b"example_plugin/link", b"/etc/passwd", attributes=0o120777 << 16)),
        "wheel.symlink",
        "lrwxrwxrwx",
    ),
    "device": (
        lambda: added(RawEntry(b"example_plugin/dev", attributes=0o020666 << 16)),
        "wheel.special-file",
        "crw-rw-rw-",
    ),
    "set-user-id": (
        lambda: added(RawEntry(b"example_plugin/suid", attributes=0o104755 << 16)),
        "wheel.special-file",
        "-rwsr-xr-x",
    ),
    "folder that says it is a file": (
        lambda: added(RawEntry(b"example_plugin/x/", attributes=0o100644 << 16)),
        "wheel.special-file",
        "-rw-r--r--",
    ),
    "file that says it is a folder": (
        lambda: added(RawEntry(b"example_plugin/x", attributes=0x10)),
        "wheel.special-file",
        "0x00000010",
    ),
    "folder with content": (
        lambda: added(RawEntry(b"example_plugin/x/", b"evil", attributes=0o040755 << 16)),
        "wheel.folder-content",
        "4 bytes",
    ),
    "descriptor missing": (
        lambda: changed(flags=8, local={"crc": 0, "packed": 0, "size": 0}),
        "wheel.descriptor",
        "PK",
    ),
    "descriptor differs": (
        lambda: changed(
            flags=8,
            local={"crc": 0, "packed": 0, "size": 0},
            after=struct.pack("<4s3L", b"PK\x07\x08", 1, 2, 3),
        ),
        "wheel.descriptor",
        "PK",
    ),
    "descriptor with a stored file": (
        lambda: changed(
            flags=8,
            method=0,
            local={"crc": 0, "packed": 0, "size": 0},
            after=struct.pack(
                "<4s3L", b"PK\x07\x08", zlib.crc32(INIT_BODY), len(INIT_BODY), len(INIT_BODY)
            ),
        ),
        "wheel.local-size",
        "(0, 0, 0)",
    ),
    "name is not utf-8": (
        lambda: added(RawEntry(b"example_plugin/\xff.txt")),
        "wheel.name-encoding",
        "\\xff",
    ),
    "utf-8 name without the flag": (
        lambda: added(RawEntry("example_plugin/é.txt".encode())),
        "wheel.name-encoding",
        "é.txt",
    ),
}
