"""What the registry makes of a scan's result: the row, what must be acknowledged, what blocks."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from registry.models import Scan, Version
from registry.services import Services
from scanner import ScanResult
from trust.errors import Problem, problem
from trust.evidence.acknowledgements import MAX_WARNED, Warned

MAX_SHOWN_FINDINGS = 20


def replace_scan(
    session: Session, version: Version, result: ScanResult, services: Services
) -> None:
    """Make `result` the one scan that counts for a version."""
    session.execute(delete(Scan).where(Scan.version_id == version.id))
    counts = result.counts
    session.add(
        Scan(
            version_id=version.id,
            verdict=result.verdict,
            result=result.result,
            high=counts["high"],
            medium=counts["medium"],
            low=counts["low"],
            report_sha256=result.report_sha256,
            policy_sha256=result.policy_sha256,
            finished_at=services.clock(),
            problems=[
                p.as_dict()
                for p in result.problems or (blocking(result) if result.verdict == "failed" else ())
            ],
        )
    )


def warned(result: ScanResult) -> tuple[Warned, ...]:
    """Return what reviewers must acknowledge: the Medium findings of a scan that passed."""
    if result.verdict != "passed":
        return ()
    return tuple(
        Warned(finding.fingerprint, finding.rule, finding.path)
        for finding in result.findings
        if finding.severity == "medium"
    )


def summary(result: ScanResult) -> str:
    """Return what a scan found, for a version's history."""
    counts = ", ".join(f"{number} {name}" for name, number in result.counts.items())
    return f"the scan {result.verdict} ({result.result}): findings {counts}"


def blocking(result: ScanResult) -> tuple[Problem, ...]:
    """Return why a scan did not pass."""
    high = [finding for finding in result.findings if finding.severity == "high"]
    shown = tuple(
        problem(
            f"scan.{finding.rule}",
            finding.message,
            value=finding.source_line,
            expected="no finding of high severity",
            advice=finding.help,
            where=f"{finding.path}:{finding.line}" if finding.line else finding.path,
        )
        for finding in high[:MAX_SHOWN_FINDINGS]
    )
    if not high and result.counts["medium"] > MAX_WARNED:
        many = problem(
            "scan.too-many-medium",
            "there are more findings of medium severity than reviewers acknowledge one by one",
            value=result.counts["medium"],
            expected=f"at most {MAX_WARNED}",
            advice="mend most of them and submit another version; see the report for all of them",
        )
        return (many,)
    if len(high) <= MAX_SHOWN_FINDINGS:
        return shown
    more = problem(
        "scan.more",
        "there are more findings of high severity",
        value=len(high),
        advice="see the report for all of them",
    )
    return (*shown, more)
