"""File name, METADATA, WHEEL and entry_points.txt: one name, one version, nothing to install."""

from __future__ import annotations

import pytest

from tests.support.refusals import INFO, assert_refused, problems
from tests.support.wheels import SUMMARY, make_wheel
from trust.outcomes import Passed
from trust.wheel import bounds, inspect_wheel


def metadata(*lines: str, name: str = "example-plugin", version: str = "1.0.0") -> str:
    head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Summary: {SUMMARY}"]
    return "\n".join([*head, *lines, ""])


METADATA: dict[str, tuple[str, str, str]] = {
    "dependency": (
        metadata("Requires-Dist: requests (>=2)"),
        "lock.not-locked",
        "requests>=2",
    ),
    "external": (
        metadata("Requires-External: libc"),
        "metadata.dependencies",
        "Requires-External: libc",
    ),
    "name": (metadata(name="other-plugin"), "metadata.name-mismatch", "other-plugin"),
    "version": (metadata(version="1.0.1"), "metadata.version-mismatch", "1.0.1"),
    "version form": (metadata(version="1.0.0-0"), "metadata.version-mismatch", "1.0.0.post0"),
    "version not canonical": (metadata(version="v1.0.0"), "metadata.version-not-canonical", "v1.0"),
    "unknown field": (metadata("Evil: yes"), "metadata.unknown-field", "evil: ['yes']"),
    "name twice": (metadata("Name: other"), "metadata.unknown-field", "name: ["),
    "no version": ("Metadata-Version: 2.1\nName: example-plugin\n", "metadata.invalid", "version"),
    "bad license": (
        metadata("License-Expression: nonsense").replace("2.1", "2.4"),
        "metadata.invalid",
        "nonsense",
    ),
    "null": (metadata() + "\0", "wheel.file-encoding", "\\0"),
    "nested messages": (
        metadata("Content-Type: message/rfc822", "") + "Content-Type: message/rfc822\n\n" * 3000,
        "metadata.invalid",
        "recursion",
    ),
    "too many lines": (
        metadata(*(f"Classifier: a{n}" for n in range(2100))),
        "metadata.too-long",
        "2104 lines",
    ),
    "too many lines of another kind": (
        metadata() + "\r".join(f"a{n}:" for n in range(2100)),
        "metadata.too-long",
        " lines",
    ),
    "too large": (
        metadata("", "x" * bounds.MAX_METADATA_BYTES),
        "wheel.file-too-large",
        "bytes",
    ),
}


@pytest.mark.parametrize("case", METADATA)
def test_metadata_is_refused(case: str) -> None:
    text, code, value = METADATA[case]
    _, data = make_wheel(metadata=text)
    assert_refused(data, code, value)


def test_metadata_with_a_long_description_is_accepted() -> None:
    for end in ("\n", "\r\n"):
        text = metadata("", *(["A line."] * 5000)).replace("\n", end)
        filename, data = make_wheel(metadata=text)
        assert isinstance(inspect_wheel(data, filename), Passed)


def test_metadata_that_is_not_utf8() -> None:
    _, data = make_wheel(files={f"{INFO}/METADATA": metadata().encode() + b"Author: \xff\n"})
    assert_refused(data, "wheel.file-encoding", "utf-8")


def test_both_names_are_told() -> None:
    _, data = make_wheel(metadata=metadata(name="other-plugin"))
    (mismatch,) = (p for p in problems(data) if p.code == "metadata.name-mismatch")
    assert "other-plugin" in mismatch.value
    assert "example-plugin" in mismatch.expected


FILENAMES: dict[str, tuple[str, str]] = {
    "example_plugin-1.0.0.zip": ("wheel.filename", "example_plugin-1.0.0.zip"),
    "example_plugin-1.0.0-" + "py3.py4." * 25 + "py5-none-any.whl": ("wheel.filename", "py3.py4"),
    "example_plugin.whl": ("wheel.filename", "example_plugin.whl"),
    "../example_plugin-1.0.0-py3-none-any.whl": ("wheel.filename", "../example_plugin"),
    "example_plugin-1.0.0-1-py3-none-any.whl": ("wheel.build-number", "-1-py3"),
    "example_plugin-1.0.0-cp311-cp311-linux_x86_64.whl": ("wheel.tag", "cp311"),
    "example_plugin-1.0.0-py2.py3-none-any.whl": ("wheel.tag", "py2.py3"),
    "Example_Plugin-1.0.0-py3-none-any.whl": ("wheel.name-not-normalised", "Example_Plugin"),
    "example_plugin-1.0.0.0rc01-py3-none-any.whl": ("wheel.version-not-canonical", "1.0.0.0rc01"),
    "example_plugin-1.0.0+local-py3-none-any.whl": ("wheel.version-local", "1.0.0+local"),
    "other_plugin-1.0.0-py3-none-any.whl": ("wheel.dist-info-name", INFO),
    "example_plugin-1.0.1-py3-none-any.whl": ("wheel.dist-info-name", INFO),
}


@pytest.mark.parametrize("filename", FILENAMES)
def test_filename_is_refused(filename: str) -> None:
    _, data = make_wheel()
    code, value = FILENAMES[filename]
    assert_refused(data, code, value, filename)


WHEELS: dict[str, tuple[str, str, str]] = {
    "version": ("Wheel-Version: 2.0", "wheel.wheel-version", "2.0"),
    "platlib": ("Root-Is-Purelib: false", "wheel.not-pure", "false"),
    "tag": ("Tag: cp311-cp311-linux_x86_64", "wheel.tag", "cp311"),
    "build": ("Build: 7", "wheel.wheel-file", "Build: 7"),
    "no colon": ("nonsense", "wheel.wheel-file", "nonsense"),
}


@pytest.mark.parametrize("case", WHEELS)
def test_wheel_file_is_refused(case: str) -> None:
    line, code, value = WHEELS[case]
    lines = ["Wheel-Version: 1.0", "Generator: t", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    key = line.split(":")[0]
    text = "\n".join([*(each for each in lines if not each.startswith(key)), line, ""])
    _, data = make_wheel(files={f"{INFO}/WHEEL": text})
    assert_refused(data, code, value)


def test_wheel_file_with_a_second_tag() -> None:
    text = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\nTag: cp311-none-any\n"
    _, data = make_wheel(files={f"{INFO}/WHEEL": text})
    assert_refused(data, "wheel.wheel-file", "Tag: cp311-none-any")


POINTS: dict[str, tuple[str, str, str]] = {
    "console script": (
        "[console_scripts]\nevil = example_plugin:greet\n"
        "[sealgate.plugins]\nexample-plugin = example_plugin\n",
        "metadata.entry-point-group",
        "[console_scripts] evil",
    ),
    "other group": (
        "[pytest11]\nevil = example_plugin\n[sealgate.plugins]\nexample-plugin = example_plugin\n",
        "metadata.entry-point-group",
        "[pytest11] evil",
    ),
    "default section": (
        "[DEFAULT]\nevil = x\n[sealgate.plugins]\nexample-plugin = example_plugin\n",
        "metadata.entry-point-group",
        "[DEFAULT] evil",
    ),
    "two": (
        "[sealgate.plugins]\nexample-plugin = example_plugin\nother = example_plugin\n",
        "metadata.entry-point",
        "example-plugin, other",
    ),
    "none": ("[sealgate.plugins]\n", "metadata.entry-point", "none"),
    "other name": ("[sealgate.plugins]\nother = example_plugin\n", "metadata.entry-point", "other"),
    "attribute": (
        "[sealgate.plugins]\nexample-plugin = example_plugin:greet\n",
        "metadata.entry-point",
        "example_plugin:greet",
    ),
    "submodule": (
        "[sealgate.plugins]\nexample-plugin = example_plugin.sub\n",
        "metadata.entry-point",
        "example_plugin.sub",
    ),
    "other package": (
        "[sealgate.plugins]\nexample-plugin = other\n",
        "wheel.second-package",
        "example_plugin",
    ),
    "twice": (
        "[sealgate.plugins]\nexample-plugin = example_plugin\nexample-plugin = os\n",
        "metadata.entry-points",
        "already exists",
    ),
    "not ini": ("example-plugin = example_plugin\n", "metadata.entry-points", "no section"),
}


@pytest.mark.parametrize("case", POINTS)
def test_entry_points_are_refused(case: str) -> None:
    text, code, value = POINTS[case]
    _, data = make_wheel(files={f"{INFO}/entry_points.txt": text})
    assert_refused(data, code, value)


def test_setuptools_of_old_writes_license_files_early() -> None:
    text = metadata("License-File: LICENSE", "Platform: UNKNOWN")
    filename, data = make_wheel(metadata=text)
    assert isinstance(inspect_wheel(data, filename), Passed)
