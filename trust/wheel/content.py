"""What the files of a plugin's wheel may be: one pure-Python package and its metadata.

Code that a reviewer cannot read (machine code, bytecode, archives within the archive) and files
that Python or an installer acts upon by themselves (`.pth`, `.data/`) are refused, by suffix and
by content, since a name proves nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Set

from trust.errors import Problem, problem

_ADVICE = "take the file out of the plugin's source and build the wheel again"

_NATIVE = re.compile(
    r".*\.(so(\.\d+)*|pyd|dll|dylib|exe|com|o|obj|a|lib|wasm|class|jar|dex|bc|ko|sys|node)",
    re.IGNORECASE,
)
_BYTECODE = re.compile(r".*\.(pyc|pyo)", re.IGNORECASE)
_ARCHIVE = re.compile(
    r".*\.(zip|whl|egg|pyz|pyzw|tar|tgz|tbz2?|txz|gz|bz2|xz|lzma|zst|7z|rar)", re.IGNORECASE
)
_SCRIPT = re.compile(r".*\.(sh|bash|bat|cmd|ps1|vbs|command|scr|lnk|desktop)", re.IGNORECASE)

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x7fELF", "native-code", "an ELF binary"),
    (b"\xfe\xed\xfa\xce", "native-code", "a Mach-O binary"),
    (b"\xfe\xed\xfa\xcf", "native-code", "a Mach-O binary"),
    (b"\xce\xfa\xed\xfe", "native-code", "a Mach-O binary"),
    (b"\xcf\xfa\xed\xfe", "native-code", "a Mach-O binary"),
    (b"\xca\xfe\xba\xbe", "native-code", "a Mach-O binary or a Java class"),
    (b"\0asm", "native-code", "a WebAssembly module"),
    (b"!<arch>\n", "native-code", "an ar library"),
    (b"!<thin>\n", "native-code", "an ar library"),
    (b"BC\xc0\xde", "native-code", "LLVM bitcode"),
    (b"dex\n0", "native-code", "a Dalvik executable"),
    (b"PK\x03\x04", "nested-archive", "a ZIP archive"),
    (b"PK\x05\x06", "nested-archive", "a ZIP archive"),
    (b"\x1f\x8b", "nested-archive", "a gzip file"),
    (b"BZh", "nested-archive", "a bzip2 file"),
    (b"\xfd7zXZ\0", "nested-archive", "an xz file"),
    (b"7z\xbc\xaf\x27\x1c", "nested-archive", "a 7z archive"),
    (b"\x28\xb5\x2f\xfd", "nested-archive", "a zstd file"),
    (b"Rar!\x1a\x07", "nested-archive", "a RAR archive"),
)

RESERVED = frozenset(sys.stdlib_module_names) | {
    "sitecustomize",
    "usercustomize",
    "pip",
    "setuptools",
    "pkg_resources",
}
"""Import packages that would shadow what every Python has, or what starts by itself."""


def _bad(
    code: str, what: str, value: object, expected: str, where: str, advice: str = _ADVICE
) -> Problem:
    return problem(
        f"wheel.{code}", what, value=value, expected=expected, advice=advice, where=where
    )


def check_layout(paths: Set[str], dist_info: str, package: str | None) -> list[Problem]:
    """One import package and one `.dist-info` folder at the top, and nothing else.

    Args:
        paths: every file of the archive.
        dist_info: the `.dist-info` folder that the file name asks for.
        package: the import package that the entry point names; None if that could not be read.
    """
    found: list[Problem] = []
    tops = {path.split("/")[0]: path for path in sorted(paths, reverse=True)}
    others: list[str] = []
    for top in sorted(tops):
        where = tops[top]
        if top == dist_info:
            continue
        if top.endswith(".dist-info"):
            what = "a .dist-info folder does not match the file name"
            found.append(_bad("dist-info-name", what, top, dist_info, where))
        elif top.endswith(".data"):
            what = "the wheel has a .data folder, whose files an installer puts elsewhere"
            found.append(_bad("data-folder", what, top, "no .data folder", where))
        elif where == top and not top.endswith(".pth"):
            what = "a file stands outside of the plugin's package"
            found.append(_bad("outside-package", what, top, "files in one package", where))
        elif where != top:
            others.append(top)
    if dist_info not in tops:
        what = "the wheel has no .dist-info folder of its name"
        found.append(_bad("dist-info-missing", what, dist_info, dist_info, ""))
    expected = f"{package} only" if package else "one import package"
    for top in others:
        if top != package and (package or len(others) > 1):
            what = "the wheel has a second top-level package"
            found.append(_bad("second-package", what, top, expected, tops[top]))
    if package is not None:
        if f"{package}/__init__.py" not in paths:
            what = "the plugin's package is missing, or has no __init__.py"
            found.append(_bad("package-missing", what, package, f"{package}/__init__.py", ""))
        if package in RESERVED or package.startswith("_"):
            what = "the plugin's package has a reserved name"
            expected = "a name that is not Python's own"
            found.append(_bad("reserved-package", what, package, expected, f"{package}/"))
    return found


def check_top_level(contents: Mapping[str, bytes], dist_info: str, package: str) -> list[Problem]:
    """`top_level.txt`, where a backend writes it, names the one package."""
    where = f"{dist_info}/top_level.txt"
    if where not in contents or contents[where].split() == [package.encode()]:
        return []
    what = "top_level.txt names another package than the entry point"
    return [_bad("top-level", what, contents[where], package, where)]


def check_paths(paths: Iterable[str]) -> list[Problem]:
    """Return the files that are refused for their name."""
    found: list[Problem] = []
    for path in sorted(paths):
        parts = path.casefold().split("/")
        if _NATIVE.fullmatch(path):
            what = "the wheel has native code"
            found.append(_bad("native-code", what, path, "pure Python", path))
        elif _BYTECODE.fullmatch(path) or "__pycache__" in parts:
            what = "the wheel has compiled Python, which nobody can review"
            found.append(_bad("bytecode", what, path, "source files", path))
        elif _ARCHIVE.fullmatch(path):
            what = "the wheel has an archive or a compressed file inside"
            found.append(_bad("nested-archive", what, path, "plain files", path))
        elif _SCRIPT.fullmatch(path):
            what = "the wheel has a script of another language"
            found.append(_bad("script", what, path, "pure Python", path))
        elif parts[-1].endswith(".pth"):
            what = "the wheel has a .pth file, which Python executes when it starts"
            found.append(_bad("pth", what, path, "no .pth file", path))
        elif parts[-1].endswith((".py", ".pyi", ".pyw")) and not path.endswith((".py", ".pyi")):
            what = "a Python file has an unusual suffix"
            found.append(_bad("source-suffix", what, path, ".py or .pyi", path))
    return found


def check_contents(contents: Mapping[str, bytes]) -> list[Problem]:
    """Return the files that are refused for their content, whatever their name is."""
    found: list[Problem] = []
    for path, body in contents.items():
        for magic, code, kind in _MAGIC:
            if body.startswith(magic):
                what = f"a file is {kind}, whatever its name says"
                found.append(_bad(code, what, body[:16], "text or data", path))
                break
        else:
            if _is_pe(body):
                what = "a file is a Windows executable, whatever its name says"
                found.append(_bad("native-code", what, body[:16], "text or data", path))
            elif _is_bytecode(body):
                what = "a file is compiled Python, whatever its name says"
                found.append(_bad("bytecode", what, body[:16], "text or data", path))
            elif _is_tar(body):
                what = "a file is a tar archive, whatever its name says"
                found.append(_bad("nested-archive", what, body[257:265], "plain files", path))
    return found


def _is_pe(body: bytes) -> bool:
    """Return whether it is a DOS or Windows executable: `MZ` and a header that is not text."""
    return body.startswith(b"MZ") and b"\0" in body[:64]


def _is_bytecode(body: bytes) -> bool:
    """Return whether it is a `.pyc` of Python 3 (PEP 552): magic, CR LF, flags 0 to 3."""
    return (
        len(body) >= 16
        and body[2:4] == b"\r\n"
        and int.from_bytes(body[:2], "little") >= 3000
        and int.from_bytes(body[4:8], "little") <= 3
    )


def _is_tar(body: bytes) -> bool:
    return body[257:262] == b"ustar"
