"""What a plugin's wheel must be besides a sound archive: RECORD, metadata, layout, contents."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import zipfile
from typing import Any

import pytest

from tests.support.refusals import FILENAME, INFO, INIT, assert_refused, problems
from tests.support.wheels import SUMMARY, make_manifest, make_members, make_record, make_wheel, pack
from trust.outcomes import Passed
from trust.wheel import WheelRejected, bounds, inspect_wheel, read_wheel


def test_the_plugin_says_what_the_wheel_says() -> None:
    filename, data = make_wheel()
    plugin = read_wheel(data, filename)
    assert (plugin.name, plugin.version, plugin.package) == (
        "example-plugin",
        "1.0.0",
        "example_plugin",
    )
    assert plugin.filename == filename
    assert plugin.sha256 == hashlib.sha256(data).hexdigest()
    assert plugin.size == len(data)
    assert plugin.summary == plugin.manifest.summary == SUMMARY
    assert {m.path: m.sha256 for m in plugin.members} == {
        path: hashlib.sha256(body).hexdigest() for path, body in make_members().items()
    }
    greet = plugin.manifest.methods["greet"]
    assert (greet.module, greet.qualname) == ("example_plugin", "greet")


def test_read_wheel_raises_every_problem() -> None:
    filename, data = make_wheel(
        files={"evil.pth": b"import os", "example_plugin/x.so": b"\x7fELF"},
        metadata="Metadata-Version: 2.1\nName: other\nVersion: 2.0\nSummary: no\n",
    )
    with pytest.raises(WheelRejected) as caught:
        read_wheel(data, filename)
    codes = {p.code for p in caught.value.problems}
    assert codes >= {
        "wheel.pth",
        "wheel.native-code",
        "metadata.name-mismatch",
        "metadata.version-mismatch",
        "manifest.summary-mismatch",
    }


RECORDS: dict[str, tuple[bytes, str, str]] = {}


def _record(code: str, value: str, edit: Any) -> tuple[bytes, str, str]:
    members = make_members()
    path = f"{INFO}/RECORD"
    return pack({**members, path: edit(members[path])}), code, value


def _flip_digest(record: bytes) -> bytes:
    line = next(line for line in record.splitlines() if line.startswith(INIT.encode()))
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"other").digest()).rstrip(b"=")
    return record.replace(line, line.split(b",")[0] + b",sha256=" + digest + b",1")


RECORDS = {
    "digest": _record("wheel.record-digest", "sha256=", _flip_digest),
    "md5": _record(
        "wheel.record-digest",
        "md5=",
        lambda r: r.replace(b"__init__.py,sha256=", b"__init__.py,md5="),
    ),
    "padded digest": _record(
        "wheel.record-digest", "=", lambda r: r.replace(b",", b"=,", 2).replace(b"=,", b",", 1)
    ),
    "no digest": _record(
        "wheel.record-digest",
        "no digest",
        lambda r: f"{INIT},,\n".encode() + b"".join(r.splitlines(True)[1:]),
    ),
    "size": _record(
        "wheel.record-size",
        "999",
        lambda r: b"".join(
            line.rsplit(b",", 1)[0] + b",999\n" if line.startswith(INIT.encode()) else line
            for line in r.splitlines(True)
        ),
    ),
    "unlisted": _record("wheel.record-unlisted", INIT, lambda r: b"".join(r.splitlines(True)[1:])),
    "extra": _record(
        "wheel.record-extra",
        "example_plugin/ghost.py",
        lambda r: r + b"example_plugin/ghost.py,sha256=x,1\n",
    ),
    "twice": _record("wheel.record-duplicate", INIT, lambda r: r.splitlines(True)[0] + r),
    "of itself": _record(
        "wheel.record-self", "sha256=x,1", lambda r: r.replace(b"RECORD,,", b"RECORD,sha256=x,1")
    ),
    "broken line": _record("wheel.record-broken", "just a line", lambda r: r + b"just a line\n"),
    "broken quotes": _record("wheel.record-broken", "", lambda r: r + b'"a"b,c,d\n'),
    "not text": _record("wheel.record-broken", "utf-8", lambda r: r + b"\xff,,\n"),
    "itself unlisted": _record(
        "wheel.record-unlisted", "RECORD", lambda r: b"".join(r.splitlines(True)[:-1])
    ),
}


@pytest.mark.parametrize("case", RECORDS)
def test_record_is_refused(case: str) -> None:
    data, code, value = RECORDS[case]
    assert_refused(data, code, value)


def test_record_missing() -> None:
    members = make_members()
    del members[f"{INFO}/RECORD"]
    assert_refused(pack(members), "wheel.record-missing", "RECORD")


def test_record_signatures_are_refused() -> None:
    for name in ("RECORD.jws", "RECORD.p7s"):
        _, data = make_wheel(files={f"{INFO}/{name}": b"{}"})
        assert_refused(data, "wheel.record-signature", name)


def test_record_that_is_too_large() -> None:
    record = b"a" * (bounds.MAX_METADATA_BYTES + 1)
    _, data = make_wheel(record=record, compression=zipfile.ZIP_STORED)
    assert_refused(data, "wheel.record-broken", str(bounds.MAX_METADATA_BYTES + 1))


PE = b"MZ" + bytes(58) + struct.pack("<L", 64) + b"PE\0\0"
PYC = struct.pack("<HccLLL", 3495, b"\r", b"\n", 0, 1, 2) + b"\xe3"
TAR = bytes(257) + b"ustar\x0000" + bytes(247)

FILES: dict[str, tuple[bytes | str, str, str]] = {
    "example_plugin/_speed.cpython-311-x86_64-linux-gnu.so": (b"x", "wheel.native-code", ".so"),
    "example_plugin/lib.so.1.2": (b"x", "wheel.native-code", "lib.so.1.2"),
    "example_plugin/_speed.pyd": (b"x", "wheel.native-code", "_speed.pyd"),
    "example_plugin/_speed.DLL": (b"x", "wheel.native-code", "_speed.DLL"),
    "example_plugin/lib.a": (b"x", "wheel.native-code", "lib.a"),
    "example_plugin/A.class": (b"x", "wheel.native-code", "A.class"),
    "example_plugin/elf.txt": (b"\x7fELF\x02\x01\x01", "wheel.native-code", "ELF"),
    "example_plugin/pe.txt": (PE, "wheel.native-code", "MZ"),
    "example_plugin/macho.txt": (b"\xcf\xfa\xed\xfe\x07", "wheel.native-code", "\\xcf\\xfa"),
    "example_plugin/fat.txt": (b"\xca\xfe\xba\xbe\0", "wheel.native-code", "\\xca\\xfe"),
    "example_plugin/wasm.txt": (b"\0asm\x01\0\0\0", "wheel.native-code", "asm"),
    "example_plugin/ar.txt": (b"!<arch>\nx", "wheel.native-code", "!<arch>"),
    "example_plugin/a.pyc": (b"x", "wheel.bytecode", "a.pyc"),
    "example_plugin/pyc.txt": (PYC, "wheel.bytecode", "\\r\\n"),
    "example_plugin/__pycache__/a.txt": (b"x", "wheel.bytecode", "__pycache__"),
    "example_plugin/a.zip": (b"x", "wheel.nested-archive", "a.zip"),
    "example_plugin/zip.txt": (b"PK\x03\x04xx", "wheel.nested-archive", "PK"),
    "example_plugin/gz.txt": (b"\x1f\x8b\x08", "wheel.nested-archive", "\\x1f\\x8b"),
    "example_plugin/tar.txt": (TAR, "wheel.nested-archive", "ustar"),
    "example_plugin/install.sh": (b"x", "wheel.script", "install.sh"),
    "example_plugin/start.pth": (b"import os", "wheel.pth", "start.pth"),
    "evil.pth": (b"import os; os.system('id')", "wheel.pth", "evil.pth"),
    "evil.PTH": (b"import os; os.system('id')", "wheel.pth", "evil.PTH"),
    "example_plugin/x.PY": (b"x = 1", "wheel.source-suffix", "x.PY"),
    "example_plugin-1.0.0.data/scripts/run": (
        b"#!/bin/sh",
        "wheel.data-folder",
        "example_plugin-1.0.0.data",
    ),
    "example_plugin-1.0.0.data/purelib/evil.py": (
        b"x = 1",
        "wheel.data-folder",
        "example_plugin-1.0.0.data",
    ),
    "other_package/__init__.py": (b"", "wheel.second-package", "other_package"),
    "sitecustomize.py": (b"x = 1", "wheel.outside-package", "sitecustomize.py"),
    "other-1.0.dist-info/METADATA": (b"", "wheel.dist-info-name", "other-1.0.dist-info"),
    f"{INFO}/evil.py": (b"x = 1", "wheel.dist-info-file", "evil.py"),
    f"{INFO}/INSTALLER": (b"pip", "wheel.dist-info-file", "INSTALLER"),
    f"{INFO}/top_level.txt": (b"other", "wheel.top-level", "other"),
    "example_plugin/bad.py": (b"def :", "wheel.source-syntax", "invalid syntax"),
    "example_plugin/deep.py": (b"-" * 100_000 + b"1", "wheel.source-syntax", "Error"),
    "example_plugin/null.py": (b"x = 1\0", "wheel.source-null-byte", "at byte 5"),
    "example_plugin/latin.py": (
        b"# coding: latin-1\nx = '\xe9'\n",
        "wheel.source-encoding",
        "iso-8859-1",
    ),
    "example_plugin/utf7.py": (b"# coding: utf-7\nx = 1\n", "wheel.source-encoding", "utf-7"),
    "example_plugin/bytes.py": (b"x = '\xff'\n", "wheel.source-encoding", "invalid"),
    "example_plugin/long.py": (
        b"#" * (bounds.MAX_SOURCE_BYTES + 1),
        "wheel.source-too-large",
        f"{bounds.MAX_SOURCE_BYTES + 1} bytes",
    ),
    "example_plugin/lines.py": (
        b"a\n" * (bounds.MAX_STATEMENT_MARKS + 1),
        "wheel.source-too-large",
        "lines",
    ),
    "example_plugin/braces.py": (
        b"f'" + b"{a}" * (bounds.MAX_BRACES + 1) + b"'",
        "wheel.source-too-large",
        "braces",
    ),
    INIT: (None, "wheel.package-missing", "example_plugin"),  # type: ignore[dict-item] # taken away
    f"{INFO}/WHEEL": (None, "wheel.file-missing", "WHEEL"),  # type: ignore[dict-item] # taken away
    f"{INFO}/entry_points.txt": (None, "wheel.file-missing", "entry_points.txt"),  # type: ignore[dict-item] # taken away
    f"{INFO}/METADATA": (None, "wheel.file-missing", "METADATA"),  # type: ignore[dict-item] # taken away
}


@pytest.mark.parametrize("path", FILES)
def test_file_is_refused(path: str) -> None:
    body, code, value = FILES[path]
    _, data = make_wheel(files={path: body})
    assert_refused(data, code, value)


@pytest.mark.parametrize(
    ("body", "count", "unit"),
    [
        (b"#" * bounds.MAX_SOURCE_BYTES, 8, "bytes"),
        (b"a;" * bounds.MAX_STATEMENT_MARKS, 5, "lines or statements"),
        (b"{" * bounds.MAX_BRACES + b"}" * bounds.MAX_BRACES, 10, "opening braces"),
    ],
)
def test_modules_too_large_together(body: bytes, count: int, unit: str) -> None:
    init = {INIT: "def greet(a): return {}\n\ndef echo(a): return {}\n\n{}"}
    files = {f"example_plugin/m{n}.py": body for n in range(count)}
    _, data = make_wheel(files={**init, **files})
    assert_refused(data, "wheel.source-too-large", unit)


def test_innocent_files_pass() -> None:
    filename, data = make_wheel(
        files={
            "example_plugin/MZ.txt": "MZ is how this text begins, and no more than that.",
            "example_plugin/list.csv": b"ab\r\ncd\r\nef,gh,ij,kl,mn\r\n",
            "example_plugin/escape.py": "PATTERN = '\\d'\n",
            "example_plugin/data/größe.txt": "ü",
            "example_plugin/py.typed": b"",
            "example_plugin/bom.py": b"\xef\xbb\xbfx = 1\n",
            f"{INFO}/licenses/LICENSE": "MIT",
            f"{INFO}/LICENSE.txt": "MIT",
            f"{INFO}/top_level.txt": "example_plugin\n",
        }
    )
    outcome = inspect_wheel(data, filename)
    assert isinstance(outcome, Passed), outcome


@pytest.mark.parametrize("name", ["json", "os", "sitecustomize", "pip"])
def test_package_that_shadows_another_is_refused(name: str) -> None:
    filename, data = make_wheel(name)
    assert_refused(data, "wheel.reserved-package", name, filename)


def test_a_hundred_problems_are_enough() -> None:
    files = {f"example_plugin/{n}.so": os.urandom(8) for n in range(300)}
    filename, data = make_wheel(files=files)
    found = problems(data, filename)
    assert len(found) == bounds.MAX_PROBLEMS + 1
    assert found[-1].code == "wheel.more-problems"
    assert found[-1].value == "200 more"


def test_record_of_a_member_with_a_comma_in_its_name() -> None:
    members = make_members()
    path = "example_plugin/a,b.txt"
    members[path] = b"x"
    record = f"{INFO}/RECORD"
    body = make_record({k: v for k, v in members.items() if k != record}, record)
    body = body.replace(path.encode(), f'"{path}"'.encode())
    del members[record]
    assert isinstance(inspect_wheel(pack({**members, record: body}), FILENAME), Passed)


def test_manifest_missing() -> None:
    _, data = make_wheel(files={"example_plugin/plugin.json": None})
    assert_refused(data, "manifest.missing", "none")


def test_manifest_elsewhere() -> None:
    files: dict[str, Any] = {
        "example_plugin/plugin.json": None,
        "example_plugin/sub/plugin.json": str(make_manifest()),
    }
    _, data = make_wheel(files=files)
    assert_refused(data, "manifest.missing", "example_plugin/sub/plugin.json")


def test_dist_info_missing() -> None:
    files = {path: body for path, body in make_members().items() if ".dist-info/" not in path}
    assert_refused(pack(files), "wheel.dist-info-missing", INFO)
