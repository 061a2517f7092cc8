"""Locked dependencies are scanned like the plugin, looked up, and listed in a bill of materials."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scanner import ScanResult, osv, scan
from tests.support.dependencies import make_dependent, make_library
from trust.wheel import Dependency

LIBRARY, DATA = make_library(metadata=["Requires-Dist: whispering"])
OTHER, OTHER_DATA = make_library("whispering")
BAD, BAD_DATA = make_library(
    "shouting",
    files={
        "shouting/__init__.py": "import subprocess\n\n\ndef loud(text):\n"
        "    return subprocess.check_output(text, shell=True)\n"
    },
)


def scanned(
    dependencies: Sequence[Dependency], data: Sequence[bytes], database: Path | None = None
) -> ScanResult:
    filename, wheel = make_dependent(dependencies)
    return scan(wheel, filename, dependencies=data, vulnerabilities=database)


def test_dependencies_are_scanned_and_listed() -> None:
    result = scanned([LIBRARY, OTHER], [OTHER_DATA, DATA])
    assert result.verdict == "passed", result.problems
    assert result.dependencies == (LIBRARY, OTHER)
    by_path = {entry.path: entry for entry in result.coverage}
    assert by_path["shouting-2.0-py3-none-any.whl/shouting/__init__.py"].scanned
    assert result.sbom is not None
    bill = json.loads(result.sbom)
    assert bill["specVersion"] == "1.6"
    assert {c["hashes"][0]["content"] for c in bill["components"]} == {
        LIBRARY.sha256,
        OTHER.sha256,
    }
    needs = {item["ref"]: item.get("dependsOn", []) for item in bill["dependencies"]}
    assert needs["pkg:pypi/shouting@2.0"] == ["pkg:pypi/whispering@2.0"]
    report = json.loads(result.report)["runs"][0]["properties"]["sealgate"]
    assert report["vulnerability_database"] is None
    assert scanned([LIBRARY, OTHER], [DATA, OTHER_DATA]).report == result.report
    assert scanned([LIBRARY, OTHER], [DATA, OTHER_DATA]).sbom == result.sbom


def test_a_high_finding_in_a_dependency_blocks() -> None:
    result = scanned([BAD], [BAD_DATA])
    assert result.verdict == "failed"
    assert any(
        f.severity == "high" and f.path.startswith("shouting-2.0-py3-none-any.whl/shouting/")
        for f in result.findings
    )


@pytest.mark.parametrize("data", [[], [DATA], [BAD_DATA, OTHER_DATA]])
def test_without_every_locked_wheel_the_scan_is_incomplete(data: list[bytes]) -> None:
    result = scanned([LIBRARY, OTHER], data)
    assert result.verdict == "incomplete"
    assert {p.code for p in result.problems} == {"dependency.missing"}
    assert result.sbom is None


def record(name: str = "shouting", **affected: Any) -> dict[str, Any]:
    return {
        "id": "PYSEC-2026-1",
        "aliases": ["CVE-2026-0001"],
        "modified": "2026-05-01T00:00:00Z",
        "summary": "It is too loud.",
        "affected": [{"package": {"ecosystem": "PyPI", "name": name}, **affected}],
    }


def events(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in pairs]}]


@pytest.mark.parametrize("form", ["zip", "folder", "lines"])
def test_a_known_vulnerability_is_reported_with_the_databases_date(
    tmp_path: Path, form: str
) -> None:
    text = json.dumps(record(ranges=events(("introduced", "0"), ("fixed", "2.1"))))
    path = tmp_path / "database"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("PYSEC-2026-1.json", text)
    elif form == "folder":
        path.mkdir()
        (path / "PYSEC-2026-1.json").write_text(text)
    else:
        path.write_text(text + "\n")
    result = scanned([LIBRARY, OTHER], [DATA, OTHER_DATA], path)
    assert result.result == "WARNED"
    (finding,) = [f for f in result.findings if f.rule == "SG701"]
    assert "CVE-2026-0001" in finding.message
    assert "shouting 2.0" in finding.message
    report = json.loads(result.report)["runs"][0]["properties"]["sealgate"]
    assert report["vulnerability_database"]["modified"] == "2026-05-01T00:00:00Z"


RANGES: dict[str, tuple[dict[str, Any], bool]] = {
    "all": ({"ranges": events(("introduced", "0"))}, True),
    "before": ({"ranges": events(("introduced", "0"), ("fixed", "2.0"))}, False),
    "until": ({"ranges": events(("introduced", "0"), ("last_affected", "2.0"))}, True),
    "until earlier": ({"ranges": events(("introduced", "0"), ("last_affected", "1.9"))}, False),
    "later": ({"ranges": events(("introduced", "2.0.1"))}, False),
    "again": (
        {"ranges": events(("introduced", "1"), ("fixed", "1.5"), ("introduced", "2.0"))},
        True,
    ),
    "unordered": ({"ranges": events(("fixed", "3"), ("introduced", "0"))}, True),
    "listed": ({"versions": ["1.0", "2.0.0"]}, True),
    "not listed": ({"versions": ["1.0", "nonsense"]}, False),
}


@pytest.mark.parametrize("case", RANGES)
def test_which_versions_a_record_is_about(case: str) -> None:
    affected, expected = RANGES[case]
    assert osv.affects(record(**affected), "shouting", "2.0") is expected
    assert not osv.affects(record("other", **affected), "shouting", "2.0")


@pytest.mark.parametrize("text", ["", "{", '{"id": 1}', "[]"])
def test_a_database_that_cannot_be_read_is_no_pass(tmp_path: Path, text: str) -> None:
    path = tmp_path / "database"
    path.write_text(text)
    result = scanned([LIBRARY, OTHER], [DATA, OTHER_DATA], path)
    assert result.verdict == "incomplete"
    assert {p.code for p in result.problems} == {"scan.osv-unusable"}
