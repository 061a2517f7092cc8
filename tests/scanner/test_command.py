"""`sealgate scan`: what a person sees, the files it writes, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scanner import scan
from sealgate.commands.scan import command
from tests.support.wheels import make_wheel

HIGH = "import base64\n\n\ndef greet(a):\n    exec(base64.b64decode(a['x']))  # nosec\n"
MEDIUM = "import socket\n\n\ndef greet(a):\n    return socket.__name__\n"


def run(folder: Path, wheel: tuple[str, bytes], *options: str) -> Result:
    name, data = wheel
    path = folder / name
    path.write_bytes(data)
    return CliRunner().invoke(command, [str(path), *options])


def test_a_clean_wheel_passes(tmp_path: Path) -> None:
    result = run(tmp_path, make_wheel())
    assert result.exit_code == 0
    assert "passed: 0 high, 0 medium, 0 low" in result.output
    assert "Nothing for the reviewers to acknowledge" in result.output


def test_a_high_finding_fails_and_says_where_why_and_how_to_mend(tmp_path: Path) -> None:
    result = run(tmp_path, make_wheel(source=HIGH))
    assert result.exit_code == 1
    assert "high    SG211  example_plugin/__init__.py:5" in result.output
    assert "why:  exec gets what base64.b64decode gives" in result.output
    assert "code: exec(base64.b64decode(a['x']))  # nosec" in result.output
    assert "mend: Put the code into the wheel as source" in result.output
    assert "failed: 1 high" in result.output


def test_a_medium_finding_passes_and_says_what_reviewers_must_do(tmp_path: Path) -> None:
    result = run(tmp_path, make_wheel(source=MEDIUM))
    assert result.exit_code == 0
    assert "medium  SG401" in result.output
    assert "must be acknowledged by the reviewers" in result.output


def test_an_incomplete_scan_says_which_file_and_why(tmp_path: Path) -> None:
    wheel = make_wheel(files={"example_plugin/broken.py": "x = a" + ".b" * 1500})
    result = run(tmp_path, wheel)
    assert result.exit_code == 2
    assert "not scanned" in result.output
    assert "example_plugin/broken.py" in result.output
    assert "[scan.bandit-unfinished]" in result.output
    assert "incomplete:" in result.output


def test_files_that_are_no_code_are_listed_with_type_and_size(tmp_path: Path) -> None:
    result = run(tmp_path, make_wheel(files={"example_plugin/d.bin": b"\0\1\2"}))
    assert "example_plugin/d.bin (application/octet-stream, 3 bytes)" in result.output


def test_the_report_that_it_writes_is_the_registrys(tmp_path: Path) -> None:
    name, data = make_wheel(source=MEDIUM)
    report = tmp_path / "out.sarif"
    result = run(tmp_path, (name, data), "--sarif", str(report), "--json")
    registrys = scan(data, name)
    assert report.read_bytes() == registrys.report
    said = json.loads(result.output)
    assert said["report_sha256"] == registrys.report_sha256
    assert said["policy_sha256"] == registrys.policy_sha256
    assert said["verdict"] == "passed"
    assert said["result"] == "WARNED"
    assert said["findings"][0]["fingerprint"] == registrys.findings[0].fingerprint


def test_a_policy_file_is_used(tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"known_names": ["example-plugim"]}')
    result = run(tmp_path, make_wheel(), "--policy", str(policy))
    assert "SG601" in result.output
    policy.write_text('{"known": []}')
    refused = run(tmp_path, make_wheel(), "--policy", str(policy))
    assert refused.exit_code == 2
    assert "[scan.policy-invalid]" in refused.output


@pytest.mark.parametrize("name", ["missing.whl", "."])
def test_a_wheel_that_cannot_be_read_is_exit_code_2(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(tmp_path / name)])
    assert result.exit_code == 2
    assert "[scan.file]" in result.output


def test_hostile_names_cannot_move_the_terminal(tmp_path: Path) -> None:
    source = "x = 1  # \x1b[2J\u202e\n"
    result = run(tmp_path, make_wheel(files={"example_plugin/t.py": source}))
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
