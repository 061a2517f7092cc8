"""`sealgate check` prints a summary or every problem, and says which by its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sealgate.cli import cli
from tests.support.wheels import make_wheel


def check(tmp_path: Path, data: bytes, filename: str, *options: str) -> tuple[int, str]:
    path = tmp_path / filename
    path.write_bytes(data)
    result = CliRunner().invoke(cli, ["check", str(path), *options])
    return result.exit_code, result.output


def test_accepted(tmp_path: Path) -> None:
    filename, data = make_wheel()
    code, text = check(tmp_path, data, filename)
    assert code == 0
    assert "is accepted" in text
    assert "example-plugin 1.0.0" in text
    assert "greet: Greet somebody." in text


def test_refused_with_every_problem(tmp_path: Path) -> None:
    filename, data = make_wheel(
        files={"evil.pth": b"import os", "example_plugin/x.so": b"\x7fELF\x1b[2J"}
    )
    code, text = check(tmp_path, data, filename)
    assert code == 1
    assert "is refused" in text
    assert "wheel.pth" in text
    assert "wheel.native-code" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("good", [True, False])
def test_json(good: bool, tmp_path: Path) -> None:
    filename, data = make_wheel()
    code, text = check(tmp_path, data if good else data + b"x", filename, "--json")
    report = json.loads(text)
    assert (code, report["accepted"]) == ((0, True) if good else (1, False))
    if not good:
        assert report["problems"][0]["code"] == "wheel.trailing-data"


def test_a_file_larger_than_any_wheel_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "example_plugin-1.0.0-py3-none-any.whl"
    with path.open("wb") as file:
        file.truncate(1 << 33)
    result = CliRunner().invoke(cli, ["check", str(path)])
    assert result.exit_code == 1
    assert "wheel.too-large" in result.output
