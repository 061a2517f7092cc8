"""The contents of an archive whose structure was read, decompressed in memory within bounds.

Each deflate stream must end exactly where its compressed size says, give exactly the declared
number of bytes, and have the declared CRC-32. At most one byte more than declared is ever
produced, so an archive that lies about its sizes costs no more than one that does not.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from trust.errors import Problem, problem
from trust.wheel import names
from trust.wheel.zipstructure import DEFLATED, REBUILD, Entry, read_structure

_DOS_FOLDER = 0x10


@dataclass(frozen=True, slots=True)
class Archive:
    """What an archive holds.

    Attributes:
        contents: path -> content of every file that could be read, in the archive's order.
        paths: every file that the archive names, readable or not.
        problems: everything that is wrong with the archive and with its names.
        complete: every file that the archive names could be read.
    """

    contents: Mapping[str, bytes]
    paths: frozenset[str]
    problems: tuple[Problem, ...]
    complete: bool


def read_archive(data: bytes) -> Archive:
    """Read a ZIP archive strictly, all of it, in memory; never raises for hostile bytes."""
    structure = read_structure(data)
    problems = list(structure.problems)
    problems += names.check_names([entry.path for entry in structure.entries])
    contents: dict[str, bytes] = {}
    unread = 0
    view = memoryview(data)
    for entry in structure.entries:
        problems += _check_kind(entry)
        try:
            body = _content(view, entry)
        except _Broken as broken:
            problems.append(broken.problem)
            unread += 1
            continue
        if not entry.path.endswith("/"):
            contents.setdefault(entry.path, body)
        elif body:
            what, value = "a folder of the archive has content", f"{len(body)} bytes"
            problems.append(_bad("folder-content", what, value, "no content", entry.path))
    if not problems:
        problems += compare_with_zipfile(data, structure.entries)
    paths = frozenset(entry.path for entry in structure.entries if not entry.path.endswith("/"))
    complete = bool(structure.entries) and not structure.problems and not unread
    return Archive(contents, paths, tuple(problems), complete)


class _Broken(Exception):
    def __init__(self, found: Problem) -> None:
        super().__init__(found.what)
        self.problem = found


def _bad(code: str, what: str, value: object, expected: str, where: str) -> Problem:
    return problem(
        f"wheel.{code}", what, value=value, expected=expected, advice=REBUILD, where=where
    )


def _content(view: memoryview, entry: Entry) -> bytes:
    packed = view[entry.start : entry.start + entry.compressed_size]
    if entry.method == DEFLATED:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            body = stream.decompress(packed, entry.size + 1)
        except zlib.error as error:
            raise _Broken(
                _bad("deflate", "a file cannot be decompressed", error, "deflate", entry.path)
            ) from error
        if len(body) > entry.size:
            what, value = "a file is larger than its header says", f"more than {entry.size} bytes"
            raise _Broken(_bad("lying-size", what, value, f"{entry.size} bytes", entry.path))
        if not stream.eof or stream.unused_data:
            what = "a file's compressed data does not end where its header says"
            value = (
                f"{len(stream.unused_data)} bytes after the end" if stream.eof else "no end found"
            )
            raise _Broken(_bad("deflate-end", what, value, "the end of the stream", entry.path))
    else:
        body = bytes(packed)
    if len(body) != entry.size:
        what, value = "a file has another size than its header says", f"{len(body)} bytes"
        raise _Broken(_bad("lying-size", what, value, f"{entry.size} bytes", entry.path))
    crc = zlib.crc32(body)
    if crc != entry.crc:
        what, expected = "a file's checksum is wrong", f"{entry.crc:08x}"
        raise _Broken(_bad("crc", what, f"{crc:08x}", expected, entry.path))
    return body


def _check_kind(entry: Entry) -> list[Problem]:
    """Only regular files and folders: no link, device, socket, and no set-user-id bit."""
    mode = entry.attributes >> 16
    kind = stat.S_IFMT(mode)
    folder = entry.path.endswith("/")
    allowed = (0, stat.S_IFDIR) if folder else (0, stat.S_IFREG)
    if kind == stat.S_IFLNK:
        what = "a member of the archive is a symbolic link"
        return [_bad("symlink", what, stat.filemode(mode), "a regular file", entry.path)]
    if kind not in allowed or (entry.attributes & _DOS_FOLDER and not folder):
        what = "a member of the archive is neither a regular file nor a folder"
        value = f"{stat.filemode(mode)} ({entry.attributes:#010x})"
        return [_bad("special-file", what, value, "a regular file", entry.path)]
    if mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
        what = "a member of the archive has a special permission bit"
        return [_bad("special-file", what, stat.filemode(mode), "plain permissions", entry.path)]
    return []


def compare_with_zipfile(data: bytes, entries: tuple[Entry, ...]) -> list[Problem]:
    """Return a problem if the standard library, which loads plugins, sees other entries."""
    ours = [(e.path, e.offset, e.method, e.crc, e.compressed_size, e.size) for e in entries]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            theirs = [
                (i.orig_filename, i.header_offset, i.compress_type, i.CRC, *_sizes(i))
                for i in archive.infolist()
            ]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        what = "another ZIP reader refuses the archive"
        return [_bad("reader-differs", what, error, "readers that agree", "")]
    if ours != theirs:
        value = next((b for a, b in zip(ours, theirs, strict=False) if a != b), len(theirs))
        what = "another ZIP reader sees other files in the archive"
        return [_bad("reader-differs", what, value, "readers that agree", "")]
    return []


def _sizes(info: zipfile.ZipInfo) -> tuple[int, int]:
    return info.compress_size, info.file_size
