"""What a scan says: rules, findings, what was looked at, and the verdict. Frozen data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from trust.errors import Problem, shown
from trust.wheel import Dependency

Severity = Literal["high", "medium", "low"]
"""`high` blocks, `medium` must be acknowledged by a reviewer, `low` is shown."""

Confidence = Literal["high", "medium", "low"]
"""How sure the check is that the finding is what the rule means."""

Verdict = Literal["passed", "failed", "incomplete"]
"""`passed` is the only yes; `incomplete` means that the scan did not look at everything."""

Result = Literal["PASSED", "WARNED", "FAILED"]
"""The test result of the scan's statement; WARNED has findings that reviewers must acknowledge."""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that the scanner looks for.

    Attributes:
        id: `SG` and three digits; bandit's rules keep their own `B` and three digits.
        name: the rule's name in PascalCase, as SARIF wants it.
        severity: how bad a finding is; bandit's rules carry theirs in each finding.
        summary: one sentence that says what was found.
        help: what the author can do about it, or what a reviewer should look at.
    """

    id: str
    name: str
    severity: Severity
    summary: str
    help: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in the wheel where a rule holds.

    Attributes:
        rule: the rule's id.
        severity: `high`, `medium` or `low`.
        path: the member's path, relative to the wheel's root.
        line: the first line, from 1; 0 where the finding is about the whole file.
        message: what was found, printable.
        help: what to do about it.
        source_line: the first line of source, printable, bounded.
        content_sha256: SHA-256 of the lines that the finding is about without the white space
            around them, or of the whole file where `line` is 0; hexadecimal.
        confidence: how sure the check is.
        end_line: the last line, from 1; 0 where the finding is about the whole file.
        occurrence: counts from 0 the findings with the same path, rule and content.
    """

    rule: str
    severity: Severity
    path: str
    line: int
    message: str
    help: str
    source_line: str
    content_sha256: str
    confidence: Confidence = "high"
    end_line: int = 0
    occurrence: int = 0

    @property
    def fingerprint(self) -> str:
        """What a reviewer's acknowledgement is bound to: path, rule, content and occurrence.

        It stays the same when lines above the finding move, and changes with the finding's own
        lines. SHA-256, hexadecimal.
        """
        parts = (self.path, self.rule, self.content_sha256, str(self.occurrence))
        return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()

    @property
    def order(self) -> tuple[int, str, int, str, str, int]:
        """The place of the finding in a report: the worst first, then by path and line."""
        rank = SEVERITIES.index(self.severity)
        return (rank, self.path, self.line, self.rule, self.message, self.occurrence)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as a JSON-serialisable object, with its fingerprint."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "confidence": self.confidence,
            "path": self.path,
            "line": self.line,
            "end_line": self.end_line,
            "message": self.message,
            "help": self.help,
            "source_line": self.source_line,
            "content_sha256": self.content_sha256,
            "occurrence": self.occurrence,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """How one member of the wheel was looked at.

    Attributes:
        path: the member's path.
        size: its size in bytes.
        sha256: its digest, hexadecimal.
        kind: what it is, as a media type.
        scanned: whether every check for its kind ran to its end.
        note: why it was not scanned, or how it was.
    """

    path: str
    size: int
    sha256: str
    kind: str
    scanned: bool
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as a JSON-serialisable object."""
        return {
            "path": self.path,
            "size": self.size,
            "sha256": self.sha256,
            "kind": self.kind,
            "scanned": self.scanned,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the analysis of a wheel's members brought: no verdict yet.

    Attributes:
        findings: every finding, in the order of a report.
        coverage: every member, in the order of the archive.
        problems: why the analysis is not complete; empty when it is.
        rules: names and help pages of the bandit rules among the findings, by id.
    """

    findings: tuple[Finding, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    problems: tuple[Problem, ...] = ()
    rules: Mapping[str, tuple[str, str]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the analysis as a JSON-serialisable object, the child's reply."""
        return {
            "findings": [finding.as_dict() for finding in self.findings],
            "coverage": [entry.as_dict() for entry in self.coverage],
            "problems": [problem.as_dict() for problem in self.problems],
            "rules": {key: list(value) for key, value in (self.rules or {}).items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Analysis:
        """Read what `as_dict` wrote, and believe no type of it.

        Raises:
            ValueError: the object does not have the form that `as_dict` gives.
        """
        try:
            findings = tuple(_finding(entry) for entry in _list(data["findings"]))
            coverage = tuple(_coverage(entry) for entry in _list(data["coverage"]))
            problems = tuple(Problem.from_dict(entry) for entry in _list(data["problems"]))
            rules = {
                shown(key): (shown(name), shown(page))
                for key, (name, page) in dict(data["rules"]).items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an analysis: {error}") from error
        return cls(findings, coverage, problems, rules)


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The outcome of a scan.

    Attributes:
        verdict: `passed`, `failed` or `incomplete`.
        result: PASSED, WARNED (passed, with findings to acknowledge) or FAILED (anything else).
        report: the SARIF 2.1.0 document; the same wheel and policy give the same bytes.
        findings: every finding, the worst first.
        coverage: every member of the wheel.
        problems: why the scan is incomplete; empty otherwise.
        policy_sha256: the digest of the policy, hexadecimal.
        report_sha256: the digest of `report`, hexadecimal.
        wheel_sha256: the digest of the wheel that was scanned, hexadecimal.
        dependencies: the locked wheels that were scanned with it.
        sbom: the CycloneDX bill of materials, None where there are no dependencies.
    """

    verdict: Verdict
    result: Result
    report: bytes
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    problems: tuple[Problem, ...]
    policy_sha256: str
    report_sha256: str
    wheel_sha256: str
    dependencies: tuple[Dependency, ...] = ()
    sbom: bytes | None = None

    @property
    def counts(self) -> dict[str, int]:
        """The number of findings by severity: `high`, `medium`, `low`."""
        return {s: sum(f.severity == s for f in self.findings) for s in SEVERITIES}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a string")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("expected a number that is not negative")
    return value


def _finding(data: Mapping[str, Any]) -> Finding:
    if data["severity"] not in SEVERITIES or data["confidence"] not in CONFIDENCES:
        raise TypeError("expected a severity and a confidence")
    return Finding(
        _text(data["rule"]),
        data["severity"],
        _text(data["path"]),
        _number(data["line"]),
        _text(data["message"]),
        _text(data["help"]),
        _text(data["source_line"]),
        _text(data["content_sha256"]),
        data["confidence"],
        _number(data["end_line"]),
        _number(data["occurrence"]),
    )


def _coverage(data: Mapping[str, Any]) -> Coverage:
    return Coverage(
        _text(data["path"]),
        _number(data["size"]),
        _text(data["sha256"]),
        _text(data["kind"]),
        data["scanned"] is True,
        _text(data["note"]),
    )
