"""Files that are code but no source: nobody can review what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scanner.members import MemberFile
from scanner.model import Rule
from scanner.source import Hit

NATIVE = Rule(
    "SG101",
    "NativeCode",
    "high",
    "The wheel carries native code.",
    "Leave it out: a plugin is pure Python, so that every instruction of it can be reviewed.",
)
BYTECODE = Rule(
    "SG102",
    "CompiledPython",
    "high",
    "The wheel carries compiled Python, which may differ from the source beside it.",
    "Leave out .pyc files and __pycache__; build backends do so by default.",
)
ARCHIVE = Rule(
    "SG103",
    "NestedArchive",
    "medium",
    "The wheel carries an archive or compressed file, whose content was not scanned.",
    "Put the content into the wheel as plain files. A reviewer must unpack it and look.",
)
PICKLE = Rule(
    "SG104",
    "SerialisedObjects",
    "medium",
    "The wheel carries pickled or marshalled objects, which run code when they are loaded.",
    "Use JSON or another format that is only data.",
)
SCRIPT = Rule(
    "SG105",
    "ForeignScript",
    "medium",
    "The wheel carries a script in a language that the scanner does not read.",
    "Leave it out, or say to the reviewers what starts it.",
)
RULES = (NATIVE, BYTECODE, ARCHIVE, PICKLE, SCRIPT)

_NATIVE_KINDS = frozenset(
    {
        "application/x-elf",
        "application/x-mach-binary",
        "application/vnd.microsoft.portable-executable",
        "application/wasm",
        "application/x-archive",
    }
)
_NATIVE_NAME = re.compile(
    r"\.(so(\.[0-9]+)*|pyd|dll|dylib|exe|o|a|lib|node|wasm|jar|class)$", re.IGNORECASE
)
_ARCHIVE_KINDS = frozenset(
    {
        "application/zip",
        "application/gzip",
        "application/x-bzip2",
        "application/x-xz",
        "application/x-7z-compressed",
        "application/vnd.rar",
        "application/zstd",
    }
)
_TAR_MAGIC = slice(257, 262)
_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth.tar", ".npy"})
_PICKLE_MAGIC = re.compile(rb"\x80[\x02-\x05][\x00-\xff]*\.\Z", re.DOTALL)
_PYC_MAGIC = re.compile(rb"[\x00-\xff]{2}\r\n[\x00-\x03]\x00\x00\x00", re.DOTALL)
_SCRIPT_SUFFIXES = frozenset({".sh", ".bash", ".bat", ".cmd", ".ps1", ".vbs", ".pl", ".rb"})


def check(member: MemberFile) -> Iterator[Hit]:
    """Yield what the file's first bytes and name say about it."""
    native = _NATIVE_NAME.search(member.name)
    if member.kind in _NATIVE_KINDS or native:
        yield Hit(NATIVE, f"native code: {native.group() if native else member.kind}")
    if member.suffix in (".pyc", ".pyo") or _PYC_MAGIC.match(member.data):
        yield Hit(BYTECODE, "compiled Python")
    if member.kind in _ARCHIVE_KINDS or member.data[_TAR_MAGIC] == b"ustar":
        yield Hit(ARCHIVE, f"an archive inside the wheel: {member.kind}")
    if member.suffix in _PICKLE_SUFFIXES or _PICKLE_MAGIC.match(member.data):
        yield Hit(PICKLE, "serialised objects")
    if member.suffix in _SCRIPT_SUFFIXES or (member.data[:2] == b"#!" and not member.is_python):
        first = member.data[:80].split(b"\n", 1)[0].decode("ascii", "replace")
        yield Hit(SCRIPT, f"a script that is not Python: {first}")
