"""Paths in an archive: each alone, and all together."""

from __future__ import annotations

import pytest

from tests.support.hostile_zips import added
from tests.support.rawzip import RawEntry
from tests.support.refusals import INIT, assert_refused

NAMES: dict[str, tuple[str, str]] = {
    "../evil.py": ("wheel.name-traversal", "../evil.py"),
    "example_plugin/../../evil.py": ("wheel.name-traversal", "example_plugin/../../evil.py"),
    "/etc/cron.d/evil": ("wheel.name-absolute", "/etc/cron.d/evil"),
    "example_plugin\\evil.py": ("wheel.name-backslash", "example_plugin\\evil.py"),
    "C:/evil.py": ("wheel.name-drive", "C:/evil.py"),
    "example_plugin/a\0b.py": ("wheel.name-control", "example_plugin/a\\x00b.py"),
    "example_plugin/a\nb.py": ("wheel.name-control", "example_plugin/a\\nb.py"),
    "example_plugin/a\u202eb.py": ("wheel.name-control", "example_plugin/a\\u202eb.py"),
    "example_plugin/a:b": ("wheel.name-character", "example_plugin/a:b"),
    "example_plugin/a*": ("wheel.name-character", "example_plugin/a*"),
    "example_plugin/e\u0301.txt": ("wheel.name-unicode", "example_plugin/e\u0301.txt"),
    "example_plugin/a.": ("wheel.name-trailing", "example_plugin/a."),
    "example_plugin/a ": ("wheel.name-trailing", "example_plugin/a "),
    "example_plugin/ a": ("wheel.name-trailing", "example_plugin/ a"),
    "example_plugin/./a": ("wheel.name-part", "example_plugin/./a"),
    "example_plugin//a": ("wheel.name-part", "example_plugin//a"),
    "example_plugin/nul.txt": ("wheel.name-device", "example_plugin/nul.txt"),
    "example_plugin/" + "a/" * 12 + "b": ("wheel.name-too-deep", "a/a/a"),
    "example_plugin/" + "a" * 240: ("wheel.name-too-long", "aaaa"),
    "": ("wheel.name-empty", ""),
    INIT: ("wheel.duplicate-member", INIT),
    "example_plugin/__INIT__.py": ("wheel.colliding-members", "__INIT__.py"),
    "Example_Plugin/other.py": ("wheel.colliding-members", "Example_Plugin"),
    "example_plugin/plugin.json/x": ("wheel.file-and-folder", "example_plugin/plugin.json"),
}


@pytest.mark.parametrize("name", NAMES)
def test_name_is_refused(name: str) -> None:
    code, value = NAMES[name]
    flags = 0 if name.isascii() else 0x800
    assert_refused(added(RawEntry(name.encode(), b"x", flags=flags)), code, value)


def test_names_that_differ_in_unicode_form_collide() -> None:
    one, other = "example_plugin/ﬁ.txt", "example_plugin/fi.txt"
    data = added(RawEntry(one.encode(), b"1", flags=0x800), RawEntry(other.encode(), b"2"))
    collision = assert_refused(data, "wheel.colliding-members", one)
    assert other in collision.value
