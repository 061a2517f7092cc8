"""The report is SARIF 2.1.0, says everything, and is the same bytes wherever it is made."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scanner import DEFAULT, ScanPolicy, ScanResult, confine, scan
from scanner.checks import RULES
from tests.support.wheels import make_wheel

SCHEMA = json.loads((Path(__file__).parent / "data" / "sarif-2.1.0.schema.json").read_text("utf-8"))
SOURCE = '''\
"""A plugin with something for every severity."""

import base64
import os
import socket


def greet(arguments):
    assert arguments
    code = base64.b64decode(arguments["code"])
    exec(code)
    return {name: os.environ[name] for name in {"a", "b", "c", "d"}}


def again(arguments):
    exec(base64.b64decode(arguments["code"]))
    exec(base64.b64decode(arguments["code"]))
'''
FILES: Mapping[str, bytes | str] = {
    "example_plugin/data file ü.txt": "spaces and umlauts\n",
    "example_plugin/data.bin": bytes(range(256)),
    "example_plugin/trojan.py": "x = 1  # \u202e\n",
}


def wheel() -> tuple[str, bytes]:
    return make_wheel(source=SOURCE, files=FILES)


@pytest.fixture(scope="module")
def result() -> ScanResult:
    name, data = wheel()
    return scan(data, name)


@pytest.fixture(scope="module")
def run(result: ScanResult) -> dict[str, Any]:
    document = json.loads(result.report)
    (only,) = document["runs"]
    assert document["version"] == "2.1.0"
    answer: dict[str, Any] = only
    return answer


def check(report: bytes) -> None:
    jsonschema.Draft4Validator(SCHEMA).validate(json.loads(report))


def test_the_report_is_sarif(result: ScanResult) -> None:
    check(result.report)


def test_the_report_of_an_incomplete_scan_is_sarif() -> None:
    name, data = make_wheel(files={"example_plugin/broken.py": "x = a" + ".b" * 1500})
    result = scan(data, name)
    check(result.report)
    (run,) = json.loads(result.report)["runs"]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["descriptor"] == {"id": "scan.bandit-unfinished"}
    place = notification["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == "example_plugin/broken.py"
    assert run["properties"]["sealgate"]["verdict"] == "incomplete"
    check(scan(b"no wheel", "example_plugin-1.0.0-py3-none-any.whl").report)


def test_the_schema_is_a_real_control(result: ScanResult) -> None:
    document = json.loads(result.report)
    document["runs"][0]["results"][0]["level"] = "terrible"
    with pytest.raises(jsonschema.ValidationError):
        check(json.dumps(document).encode())


def test_the_report_says_what_was_scanned_and_how(result: ScanResult, run: dict[str, Any]) -> None:
    name, data = wheel()
    own = run["properties"]["sealgate"]
    assert own["wheel"] == {"filename": name, "sha256": hashlib.sha256(data).hexdigest()}
    assert own["policy"] == json.loads(DEFAULT.to_json())
    assert own["policy_sha256"] == result.policy_sha256 == DEFAULT.sha256
    assert own["verdict"] == result.verdict == "failed"
    assert own["result"] == result.result == "FAILED"
    assert own["counts"] == result.counts
    assert result.report_sha256 == hashlib.sha256(result.report).hexdigest()
    assert [entry["path"] for entry in own["coverage"]] == [e.path for e in result.coverage]
    assert {*FILES} <= {entry["path"] for entry in own["coverage"]}
    for entry, artifact in zip(own["coverage"], run["artifacts"], strict=True):
        assert artifact["hashes"] == {"sha-256": entry["sha256"]}
        assert entry["scanned"] == entry["path"].endswith(".py")
    assert run["invocations"][0]["executionSuccessful"] is True


def test_every_result_names_its_rule_and_its_place(result: ScanResult, run: dict[str, Any]) -> None:
    rules = run["tool"]["driver"]["rules"]
    assert set(RULES) <= {rule["id"] for rule in rules}
    assert len(run["results"]) == len(result.findings) > 5
    for entry, finding in zip(run["results"], result.findings, strict=True):
        rule = rules[entry["ruleIndex"]]
        assert rule["id"] == entry["ruleId"] == finding.rule
        assert rule["help"]["text"]
        assert rule["helpUri"].startswith("https://")
        location = entry["locations"][0]["physicalLocation"]
        assert (
            run["artifacts"][location["artifactLocation"]["index"]]["location"]["uri"]
            == (location["artifactLocation"]["uri"])
        )
        assert location["region"]["startLine"] == finding.line
        assert location["region"]["snippet"]["text"] == finding.source_line
        assert entry["partialFingerprints"] == {"sealgate/v1": finding.fingerprint}


def test_hidden_characters_do_not_reach_the_reader(result: ScanResult) -> None:
    assert "\u202e".encode() not in result.report
    finding = next(f for f in result.findings if f.rule == "SG201")
    assert finding.source_line == "x = 1  # \\u202e"


def test_the_worst_comes_first(result: ScanResult) -> None:
    ranks = [("high", "medium", "low").index(f.severity) for f in result.findings]
    assert ranks == sorted(ranks)


def fingerprints(source: str, rule: str) -> list[str]:
    name, data = make_wheel(files={"example_plugin/code.py": source})
    found = [f for f in scan(data, name).findings if f.path == "example_plugin/code.py"]
    return [f.fingerprint for f in found if f.rule == rule]


def test_a_fingerprint_moves_with_its_lines_and_changes_with_them() -> None:
    call = "import os\nos.system(\n    'ls'\n)\n"
    (first,) = fingerprints(call, "SG411")
    assert fingerprints("x = 1\n\n" + call, "SG411") == [first]
    assert fingerprints(call.replace("'ls'", "'rm'"), "SG411") != [first]
    twice = fingerprints(call + "os.system(\n    'ls'\n)\n", "SG411")
    assert twice[0] == first
    assert len(set(twice)) == 2


def test_the_report_is_the_same_anywhere(result: ScanResult, tmp_path: Path) -> None:
    """Another folder, home, hash seed, locale, time zone and user's configuration."""
    name, data = wheel()
    target = tmp_path / name
    target.write_bytes(data)
    (tmp_path / ".bandit").write_text("[bandit]\nskips: B102\n")
    (tmp_path / "bandit.py").write_text("raise SystemExit('the wrong bandit')\n")
    (tmp_path / "zlib.py").write_text("raise SystemExit('the wrong zlib')\n")
    (tmp_path / "pyproject.toml").write_text("[tool.bandit]\nskips = ['B102']\n")
    command = Path(sys.executable).parent / "sealgate"
    for seed in ("0", "4711"):
        report = tmp_path / f"{seed}.sarif"
        done = subprocess.run(
            [command, "scan", name, "--sarif", report],
            cwd=tmp_path,
            env={
                "HOME": str(tmp_path / seed),
                "PYTHONHASHSEED": seed,
                "LC_ALL": "C",
                "TZ": "Pacific/Auckland",
                "PATH": os.environ["PATH"],
            },
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert report.read_bytes() == result.report


def test_the_report_has_no_trace_of_this_machine(result: ScanResult) -> None:
    text = result.report.decode()
    for trace in (str(Path(confine.__file__).parent), "/tmp", sys.executable, os.uname().nodename):
        assert trace not in text


def test_bandit_plugins_of_other_packages_do_not_count(
    result: ScanResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "evil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bandit.plugins]\nevil = evil:check\n")
    (tmp_path / "evil.py").write_text(
        "import bandit\nfrom bandit.core import test_properties as test\n\n\n"
        "@test.checks('Call')\n@test.test_id('B999')\ndef check(context):\n"
        "    return bandit.Issue(severity='HIGH', confidence='HIGH', cwe=0, text='evil')\n"
    )
    path = [str(tmp_path), *confine.package_path()]
    monkeypatch.setattr(confine, "package_path", lambda: path)
    name, data = wheel()
    assert scan(data, name).report == result.report


def test_the_policy_is_part_of_the_report() -> None:
    name, data = make_wheel()
    one, other = scan(data, name), scan(data, name, replace(DEFAULT, known_names=("x", "y")))
    assert one.policy_sha256 != other.policy_sha256
    assert one.report != other.report
    again = scan(data, name, ScanPolicy(known_names=("y", "x")))
    assert again.report == other.report
