"""The report: a SARIF 2.1.0 document (OASIS Standard, 2020), the same bytes on every machine.

It has no time, no host, no absolute path: members are named relative to `WHEEL`, the root of the
archive. What SARIF has no field for stands in the run's property bag under `sealgate`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from scanner.advice import advice_for
from scanner.checks import RULES
from scanner.model import SEVERITIES, Analysis, Finding, Result, Severity, Verdict
from scanner.policy import ScanPolicy
from trust.errors import Problem

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "sealgate/v1"
"""The key of the fingerprint: SHA-256 of path, rule, content digest and occurrence."""

_LEVELS: Mapping[Severity, str] = {"high": "error", "medium": "warning", "low": "note"}
_SCORES: Mapping[Severity, str] = {"high": "8.0", "medium": "5.0", "low": "2.0"}


def render(
    analysis: Analysis,
    *,
    filename: str,
    wheel_sha256: str,
    policy: ScanPolicy,
    verdict: Verdict,
    result: Result,
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the report as UTF-8 JSON, sorted, indented by one space, ended by a line feed."""
    rules = _rules(analysis, policy)
    rule_index = {rule["id"]: index for index, rule in enumerate(rules)}
    places = {entry.path: index for index, entry in enumerate(analysis.coverage)}
    run = {
        "tool": {
            "driver": {
                "name": "sealgate-scanner",
                "semanticVersion": f"{policy.rule_set}.0.0",
                "informationUri": "https://sealgate.dev/docs/scanner",
                "rules": rules,
            },
            "extensions": [{"name": "bandit", "version": policy.bandit}],
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"WHEEL": {"description": {"text": "the root of the wheel"}}},
        "artifacts": [
            {
                "location": {"uri": quote(entry.path), "uriBaseId": "WHEEL"},
                "length": entry.size,
                "mimeType": entry.kind,
                "hashes": {"sha-256": entry.sha256},
            }
            for entry in analysis.coverage
        ],
        "invocations": [
            {
                "executionSuccessful": not analysis.problems,
                "toolExecutionNotifications": [
                    _notification(problem, places) for problem in analysis.problems
                ],
            }
        ],
        "results": [_result(finding, rule_index, places) for finding in analysis.findings],
        "properties": {
            "sealgate": {
                "verdict": verdict,
                "result": result,
                "wheel": {"filename": filename, "sha256": wheel_sha256},
                "policy": json.loads(policy.to_json()),
                "policy_sha256": policy.sha256,
                "counts": _counts(analysis.findings),
                "coverage": [entry.as_dict() for entry in analysis.coverage],
                "problems": [problem.as_dict() for problem in analysis.problems],
                **(extra or {}),
            }
        },
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def _rules(analysis: Analysis, policy: ScanPolicy) -> list[dict[str, Any]]:
    """Return every rule of our own, and those of bandit's that found something."""
    own = [
        {
            "id": rule.id,
            "name": rule.name,
            "shortDescription": {"text": rule.summary},
            "help": {"text": rule.help},
            "helpUri": f"https://sealgate.dev/docs/scanner#{rule.id.lower()}",
            "defaultConfiguration": {"level": _LEVELS[rule.severity]},
            "properties": {"security-severity": _SCORES[rule.severity], "tags": ["security"]},
        }
        for rule in RULES.values()
    ]
    bandit = [
        {
            "id": key,
            "name": "".join(part.capitalize() for part in name.replace("-", "_").split("_")),
            "shortDescription": {"text": f"bandit {policy.bandit}: {name}"},
            "help": {"text": advice_for(key)},
            "helpUri": page,
            "properties": {"tags": ["security", "bandit"]},
        }
        for key, (name, page) in sorted((analysis.rules or {}).items())
    ]
    return own + bandit


def _location(path: str, places: Mapping[str, int]) -> dict[str, Any]:
    location: dict[str, Any] = {"uri": quote(path), "uriBaseId": "WHEEL"}
    if path in places:
        location["index"] = places[path]
    return location


def _result(
    finding: Finding, rule_index: Mapping[str, int], places: Mapping[str, int]
) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": _location(finding.path, places)}
    if finding.line:
        place["region"] = {
            "startLine": finding.line,
            "endLine": max(finding.line, finding.end_line),
            "snippet": {"text": finding.source_line},
        }
    entry: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "properties": {
            "severity": finding.severity,
            "confidence": finding.confidence,
            "content_sha256": finding.content_sha256,
            "occurrence": finding.occurrence,
            "help": finding.help,
        },
    }
    if finding.rule in rule_index:
        entry["ruleIndex"] = rule_index[finding.rule]
    return entry


def _notification(problem: Problem, places: Mapping[str, int]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "level": "error",
        "descriptor": {"id": problem.code},
        "message": {"text": problem.lines()},
    }
    if problem.where in places:
        location = {"physicalLocation": {"artifactLocation": _location(problem.where, places)}}
        entry["locations"] = [location]
    return entry


def _counts(findings: Iterable[Finding]) -> dict[str, int]:
    counts = Counter(finding.severity for finding in findings)
    return {severity: counts[severity] for severity in SEVERITIES}
