"""The members of a wheel in memory, and what each of them is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from trust.errors import SealgateError, problem
from trust.wheel import DependencyWheel, Plugin, read_members

PYTHON = "text/x-python"
BINARY = "application/octet-stream"

_PYTHON_SUFFIXES = (".py", ".pyw", ".pyi")

_TEXT_KINDS: Mapping[str, str] = {
    ".json": "application/json",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".xml": "application/xml",
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".svg": "image/svg+xml",
}

MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"\x7fELF", "application/x-elf"),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xca\xfe\xba\xbe", "application/x-mach-binary"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\0asm", "application/wasm"),
    (b"!<arch>\n", "application/x-archive"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"%PDF-", "application/pdf"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
)
"""First bytes -> media type, for the files whose type matters here."""


class MemberDiffers(SealgateError):
    """The archive gives other bytes than those that the strict reader hashed."""


@dataclass(frozen=True, slots=True)
class MemberFile:
    """One file of the wheel, with its bytes.

    Attributes:
        path: its path in the wheel.
        data: its content.
        kind: its media type, told from its first bytes, then from its name.
    """

    path: str
    data: bytes
    kind: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """The last suffix of the name, lower case, with its dot."""
        return PurePosixPath(self.path).suffix.lower()

    @property
    def in_dist_info(self) -> bool:
        """Whether the file belongs to the wheel's own metadata."""
        return PurePosixPath(self.path).parts[0].endswith(".dist-info")

    @property
    def is_python(self) -> bool:
        """Whether the interpreter would run it as source."""
        return self.kind == PYTHON

    def text(self) -> str | None:
        """Return the content as text, or None where it is not UTF-8 text."""
        if b"\0" in self.data:
            return None
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError:
            return None


def make_member(path: str, data: bytes) -> MemberFile:
    """Return the member with its kind."""
    return MemberFile(path, data, _kind(path, data))


def _kind(path: str, data: bytes) -> str:
    suffix = PurePosixPath(path).suffix.lower()
    first_line = data[:200].split(b"\n", 1)[0]
    if suffix in _PYTHON_SUFFIXES or (first_line.startswith(b"#!") and b"python" in first_line):
        return PYTHON
    for magic, kind in MAGICS:
        if data.startswith(magic):
            return kind
    if b"\0" in data:
        return BINARY
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return BINARY
    return _TEXT_KINDS.get(suffix, "text/plain")


def unpack(wheel: bytes, plugin: Plugin | DependencyWheel) -> tuple[MemberFile, ...]:
    """Return every member that the strict reader accepted, in its order.

    Raises:
        WheelRejected: the archive cannot be read.
        MemberDiffers: its content is not what the reader hashed.
    """
    contents = read_members(wheel)
    found = []
    for member in plugin.members:
        data = contents.get(member.path, b"")
        if hashlib.sha256(data).hexdigest() != member.sha256:
            raise MemberDiffers(
                problem(
                    "scan.member-differs",
                    "a member of the wheel reads differently the second time",
                    value=f"{len(data)} bytes",
                    expected=f"SHA-256 {member.sha256}",
                    advice="report it as a defect of the scanner, with the wheel",
                    where=member.path,
                )
            )
        found.append(make_member(member.path, data))
    return tuple(found)
