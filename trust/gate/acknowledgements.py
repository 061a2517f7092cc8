"""Every finding that the scan warned of is acknowledged in every approval that counts.

Pure, and the same in the registry, the runner and `sealgate verify`. What must be acknowledged is
what the scanner signed, never what a page or a database says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trust.errors import Problem, problem
from trust.evidence.acknowledgements import Warned, acknowledged, warned
from trust.evidence.bundles import VerifiedStatement
from trust.gate.decision import StepRefused


def scan_problem(predicate: Mapping[str, Any]) -> Problem | None:
    """Return why a scan's result and the findings that it names do not belong together.

    Args:
        predicate: a test result that `check_predicate` accepted.
    """
    try:
        named = warned(predicate)
    except ValueError as error:
        return _scan("a finding is not named as findings are", error, "fingerprint, rule and path")
    if len({finding.fingerprint for finding in named}) != len(named):
        return _scan("the scan names a finding twice", len(named), "each finding once")
    if predicate["result"] == "WARNED" and not named:
        return _scan(
            "the scan warns and does not say of what",
            "WARNED without warnedTests",
            "the findings that reviewers must acknowledge, in warnedTests",
        )
    if predicate["result"] != "WARNED" and named:
        return _scan("the scan names warnings and has none", predicate["result"], "WARNED")
    return None


def _scan(what: str, value: object, expected: str) -> Problem:
    return problem(
        "gate.scan-warnings",
        what,
        value=value,
        expected=expected,
        advice="have the version scanned and signed again by the current scanner",
        where="/predicate/warnedTests",
    )


def review_problems(
    named: Iterable[Warned], predicate: Mapping[str, Any], where: str = "/predicate/acknowledged"
) -> tuple[Problem, ...]:
    """Return what an approval lacks of the findings that the scan names.

    Args:
        named: the findings that must be acknowledged.
        predicate: an approval that `check_predicate` accepted.
        where: the place that a problem names.
    """
    needed, given = sorted(set(named)), [entry.finding for entry in acknowledged(predicate)]
    missing = [
        problem(
            "gate.not-acknowledged",
            "an approval does not acknowledge a finding that the scan warned of",
            value=f"{finding.rule} in {finding.path}, {finding.fingerprint}",
            expected="an entry in acknowledged, with the reason why the finding is acceptable",
            advice="read the finding and approve with --acknowledge FINGERPRINT=REASON, or reject",
            where=where,
        )
        for finding in needed
        if finding not in given
    ]
    strange = [
        problem(
            "gate.acknowledged-unknown",
            "an approval acknowledges what the scan did not name"
            if finding not in needed
            else "an approval acknowledges a finding twice",
            value=f"{finding.rule} in {finding.path}, {finding.fingerprint}",
            expected="the findings of the scan, each once",
            advice="read the report of this version again, and sign the approval anew",
            where=where,
        )
        for position, finding in enumerate(given)
        if finding not in needed or finding in given[:position]
    ]
    return (*missing, *strange)


def require(scans: Iterable[VerifiedStatement], reviews: Iterable[VerifiedStatement]) -> None:
    """Check every approval that counts against every scan that counts.

    Args:
        scans: the scan statements that satisfied the step `scan`.
        reviews: the approvals that satisfied the step `review`.

    Raises:
        StepRefused: one of the approvals leaves a finding out, or names another one.
    """
    named = {finding for scan in scans for finding in warned(scan.predicate)}
    problems = [
        problem
        for review in reviews
        for problem in review_problems(
            named, review.predicate, f"bundle {review.bundle_sha256} by {review.identity.subject}"
        )
    ]
    if problems:
        raise StepRefused("review", *problems)
