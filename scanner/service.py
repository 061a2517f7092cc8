"""The scan itself: hand the wheel to the confined process, judge its reply, write the report."""

from __future__ import annotations

import hashlib

from scanner import confine, frames, sarif
from scanner.model import Analysis, Finding, Result, ScanResult, Verdict
from scanner.policy import DEFAULT, RULE_SET, ScanPolicy, python_grammar
from trust import strictjson
from trust.errors import Problem, SealgateError, problem


def scan(wheel: bytes, filename: str, policy: ScanPolicy = DEFAULT) -> ScanResult:
    """Scan a wheel.

    The same wheel, file name and policy give the same report, byte for byte, on every machine
    that has the time and memory that the policy grants. Nothing that the wheel holds can make
    this raise: what does not run to its end is `incomplete`.

    Args:
        wheel: the wheel's bytes.
        filename: its file name, without a folder.
        policy: what to do and how much to use.

    Returns:
        The verdict with the report. `passed` is the only yes.
    """
    analysis = _analyse(wheel, filename, policy)
    verdict, result = judge(analysis)
    digest = hashlib.sha256(wheel).hexdigest()
    report = sarif.render(
        analysis,
        filename=filename,
        wheel_sha256=digest,
        policy=policy,
        verdict=verdict,
        result=result,
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
    )


def judge(analysis: Analysis) -> tuple[Verdict, Result]:
    """Return the verdict: a problem makes it incomplete, a High finding makes it failed.

    An incomplete scan stays so even where it has High findings: `failed` would say that the scan
    looked at everything.
    """
    if analysis.problems:
        return "incomplete", "FAILED"
    if _has(analysis.findings, "high"):
        return "failed", "FAILED"
    return "passed", "WARNED" if _has(analysis.findings, "medium") else "PASSED"


def _has(findings: tuple[Finding, ...], severity: str) -> bool:
    return any(finding.severity == severity for finding in findings)


def _analyse(wheel: bytes, filename: str, policy: ScanPolicy) -> Analysis:
    mismatch = _mismatch(policy)
    if mismatch is not None:
        return Analysis(problems=(mismatch,))
    try:
        request = frames.pack_request(filename.encode(), policy.to_json(), wheel)
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
