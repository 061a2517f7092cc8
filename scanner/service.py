"""The scan itself: hand the wheel to the confined process, judge its reply, write the report."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scanner import closure, confine, frames, sarif
from scanner.model import Analysis, Finding, Result, ScanResult, Verdict
from scanner.policy import DEFAULT, RULE_SET, ScanPolicy, python_grammar
from trust import strictjson
from trust.errors import Problem, SealgateError, problem
from trust.evidence.acknowledgements import MAX_WARNED
from trust.wheel import Dependency, lock


def scan(
    wheel: bytes,
    filename: str,
    policy: ScanPolicy = DEFAULT,
    *,
    dependencies: Sequence[bytes] = (),
    vulnerabilities: Path | None = None,
) -> ScanResult:
    """Scan a wheel, and every wheel that its lock names.

    The same wheels, file name, policy and database give the same report, byte for byte, on every
    machine that has the time and memory that the policy grants to each of them. Nothing that a
    wheel holds can make this raise: what does not run to its end is `incomplete`.

    Args:
        wheel: the wheel's bytes.
        filename: its file name, without a folder.
        policy: what to do and how much to use.
        dependencies: the wheels that the plugin's lock names, in any order.
        vulnerabilities: a database in the OSV format to look the dependencies up in.

    Returns:
        The verdict with the report. `passed` is the only yes.
    """
    analysis = _analyse(wheel, filename, policy, None)
    locked: tuple[Dependency, ...] = ()
    extra: dict[str, Any] = {}
    bill: bytes | None = None
    if not analysis.problems and lock.may_be_in(wheel):
        closed = closure.read(wheel, filename, dependencies)
        if isinstance(closed, Analysis):
            analysis = closure.join(analysis, closed, policy.max_findings)
        elif closed.wheels:
            analysis, extra = _with_dependencies(analysis, closed, policy, vulnerabilities)
            locked = closed.plugin.dependencies
            if not analysis.problems:
                bill = _bill(closed)
    verdict, result = judge(analysis)
    digest = hashlib.sha256(wheel).hexdigest()
    report = sarif.render(
        analysis,
        filename=filename,
        wheel_sha256=digest,
        policy=policy,
        verdict=verdict,
        result=result,
        extra=extra,
    )
    return ScanResult(
        verdict,
        result,
        report,
        analysis.findings,
        analysis.coverage,
        analysis.problems,
        policy.sha256,
        hashlib.sha256(report).hexdigest(),
        digest,
        locked,
        bill,
    )


def _with_dependencies(
    analysis: Analysis, closed: closure.Closure, policy: ScanPolicy, database: Path | None
) -> tuple[Analysis, dict[str, Any]]:
    """Return the analysis of everything, and what the report says beside it."""
    extra: dict[str, Any] = {
        "dependencies": [
            {"filename": w.dependency.filename, "sha256": w.dependency.sha256}
            for w in closed.wheels
        ],
        "vulnerability_database": None,
    }

    def look(data: bytes, name: str, dependency: Dependency | None) -> Analysis:
        return _analyse(data, name, policy, dependency)

    parts = closure.analyse(closed, look, policy.max_findings)
    analysis = closure.join(analysis, parts, policy.max_findings)
    if database is not None:
        known, extra["vulnerability_database"] = closure.vulnerabilities(closed, database)
        analysis = closure.join(analysis, known, policy.max_findings)
    return analysis, extra


def _bill(closed: closure.Closure) -> bytes:
    from scanner import sbom  # only plugins with dependencies pay for it

    return sbom.render(closed.plugin, closed.wheels)


def judge(analysis: Analysis) -> tuple[Verdict, Result]:
    """Return the verdict: a problem makes it incomplete, a High finding makes it failed.

    An incomplete scan stays so even where it has High findings: `failed` would say that the scan
    looked at everything. More Medium findings than a reviewer can acknowledge one by one block as
    a High one does.
    """
    if analysis.problems:
        return "incomplete", "FAILED"
    if _count(analysis.findings, "high"):
        return "failed", "FAILED"
    medium = _count(analysis.findings, "medium")
    if medium > MAX_WARNED:
        return "failed", "FAILED"
    return "passed", "WARNED" if medium else "PASSED"


def _count(findings: tuple[Finding, ...], severity: str) -> int:
    return sum(finding.severity == severity for finding in findings)


def _analyse(
    wheel: bytes, filename: str, policy: ScanPolicy, dependency: Dependency | None
) -> Analysis:
    mismatch = _mismatch(policy)
    if mismatch is not None:
        return Analysis(problems=(mismatch,))
    try:
        locked = b"" if dependency is None else strictjson.dumps(asdict(dependency))
        request = frames.pack_request(filename.encode(), policy.to_json(), locked, wheel)
        reply = confine.run(request, policy)
        data = strictjson.loads(reply, max_bytes=policy.output_bytes)
        return Analysis.from_dict(data)
    except SealgateError as error:
        return Analysis(problems=error.problems)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, it is not a pass
        return Analysis(
            problems=(
                problem(
                    "scan.unexpected",
                    "the scan ended in an error that nobody foresaw",
                    value=f"{type(error).__name__}: {error}",
                    expected="an analysis",
                    advice="report it as a defect of the scanner, with the wheel",
                ),
            )
        )


def _mismatch(policy: ScanPolicy) -> Problem | None:
    """Return a problem where this scanner is not the one that the policy means."""
    for what, wanted, present in (
        ("rule set", policy.rule_set, RULE_SET),
        ("Python grammar", policy.python, python_grammar()),
    ):
        if wanted != present:
            return problem(
                "scan.other-scanner",
                f"the scan policy means another {what} than this scanner has",
                value=present,
                expected=str(wanted),
                advice="use the version of Sealgate that the policy was written for",
            )
    return None
