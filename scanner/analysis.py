"""Everything that is looked for in a wheel: a function of bytes and policy, without I/O."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scanner import checks
from scanner.advice import advice_for
from scanner.bandit_run import Bandit, Issue
from scanner.checks.base import Wheel
from scanner.members import MemberFile, unpack
from scanner.model import Analysis, Coverage, Finding
from scanner.source import Source, SourceUnreadable, Text, to_finding
from trust.errors import Problem, SealgateError, problem, shown
from trust.outcomes import Failed, Passed
from trust.wheel import (
    Dependency,
    DependencyWheel,
    Plugin,
    inspect_dependency,
    inspect_wheel,
)

Progress = Callable[[str], None]
"""Called with the path of each member before it is looked at."""

_BINARY_NOTE = "not source code: only its type, name and size were looked at"
_TEXT_NOTE = "not source code: searched for secrets and hidden characters"
_PYTHON_NOTE = "parsed; bandit and every check ran"


@dataclass(frozen=True, slots=True)
class Looked:
    """What looking at one member brought."""

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    note: str
    rules: Mapping[str, tuple[str, str]]


def analyse(
    wheel: bytes,
    filename: str,
    policy: Mapping[str, Any],
    bandit: Bandit,
    progress: Progress,
    dependency: Dependency | None = None,
) -> Analysis:
    """Look at every member of a wheel.

    Args:
        wheel: the wheel's bytes.
        filename: its file name.
        policy: the scan policy as parsed JSON; `max_findings` and `known_names` are used here.
        bandit: bandit's engine.
        progress: told of each member.
        dependency: what the plugin's lock says, where the wheel is not the plugin's own. It is
            looked at as the plugin is, but for the checks of the plugin's name and links.

    Returns:
        The analysis; its problems say what was not looked at and why.
    """
    outcome: Passed[Plugin] | Passed[DependencyWheel] | Failed
    if dependency is None:
        outcome = inspect_wheel(wheel, filename)
    else:
        outcome = inspect_dependency(wheel, dependency)
    if isinstance(outcome, Failed):
        return Analysis(problems=outcome.problems)
    try:
        members = unpack(wheel, outcome.value)
    except SealgateError as error:
        return Analysis(problems=error.problems)
    findings: list[Finding] = []
    coverage: list[Coverage] = []
    problems: list[Problem] = []
    rules: dict[str, tuple[str, str]] = {}
    for member in members:
        progress(member.path)
        looked = look_at(member, bandit)
        findings += looked.findings
        problems += looked.problems
        rules.update(looked.rules)
        coverage.append(_coverage(member, looked))
    if isinstance(outcome.value, Plugin):
        subject = Wheel(outcome.value, members, tuple(policy.get("known_names", ())))
        hits, more = _run(checks.WHEEL_CHECKS, subject, "")
        by_path = {member.path: member for member in members}
        for path, hit in hits:
            member = by_path[path]
            findings.append(to_finding(path, member.data, _text_of(member), hit))
        problems += more
    return _bounded(findings, coverage, problems, rules, int(policy.get("max_findings", 5000)))


def look_at(member: MemberFile, bandit: Bandit) -> Looked:
    """Run every check for its kind on one member, and bandit on a Python source."""
    hits, problems = _run(checks.MEMBER_CHECKS, member, member.path)
    text = _text_of(member)
    issues: list[Issue] = []
    if member.is_python:
        try:
            text = source = Source(member.path, member.data)
            found, more = _run(checks.SOURCE_CHECKS, source, member.path)
            hits += found
            problems += more
            issues, unfinished = bandit.run(member.path, member.data)
            if unfinished:
                problems.append(_unfinished(member.path, unfinished))
        except SourceUnreadable as error:
            problems += error.problems
    if text is not None:
        found, more = _run(checks.TEXT_CHECKS, text, member.path)
        hits += found
        problems += more
    if text is not None:
        text.secrets.update(hit.secret for hit in hits if hit.secret)
    findings = tuple(to_finding(member.path, member.data, text, hit) for hit in hits)
    if text is not None:
        findings += tuple(_from_bandit(text, issue) for issue in issues)
    rules = {issue.rule: (issue.name, issue.page) for issue in issues}
    return Looked(findings, tuple(problems), _note(member, text, problems), rules)


def _text_of(member: MemberFile) -> Text | None:
    text = member.text()
    return None if text is None else Text(member.path, member.data, text)


def _note(member: MemberFile, text: Text | None, problems: list[Problem]) -> str:
    if problems:
        return f"not scanned whole: {problems[0].value}"
    if member.is_python:
        return _PYTHON_NOTE
    return _BINARY_NOTE if text is None else _TEXT_NOTE


def _run(
    check_functions: Iterable[Callable[[Any], Iterator[Any]]], subject: Any, path: str
) -> tuple[list[Any], list[Problem]]:
    """Run every check on one subject; a check that fails is a problem, not a silence."""
    hits: list[Any] = []
    problems: list[Problem] = []
    for check in check_functions:
        try:
            hits.extend(check(subject))
        except Exception as error:  # noqa: BLE001 - hostile input; the scan becomes incomplete
            problems.append(_crashed(path, check.__module__.rpartition(".")[2], error))
    return hits, problems


def _coverage(member: MemberFile, looked: Looked) -> Coverage:
    digest = hashlib.sha256(member.data).hexdigest()
    scanned = member.is_python and not looked.problems
    return Coverage(member.path, len(member.data), digest, member.kind, scanned, shown(looked.note))


def _from_bandit(source: Text, issue: Issue) -> Finding:
    content = source.content(issue.line, issue.end_line) if issue.line else source.text
    return Finding(
        issue.rule,
        issue.severity,
        source.path,
        issue.line,
        shown(source.redacted(issue.message)),
        advice_for(issue.rule),
        source.printable_line(issue.line),
        hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest(),
        issue.confidence,
        issue.end_line,
    )


def _bounded(
    findings: list[Finding],
    coverage: list[Coverage],
    problems: list[Problem],
    rules: dict[str, tuple[str, str]],
    most: int,
) -> Analysis:
    if len(findings) > most:
        path, count = min(Counter(f.path for f in findings).items(), key=lambda i: (-i[1], i[0]))
        problems.append(
            problem(
                "scan.too-many-findings",
                "the scan found more than anybody can review",
                value=f"{len(findings)} findings, {count} of them in one file",
                expected=f"at most {most} findings",
                advice="mend or leave out the file that has the most",
                where=path,
            )
        )
    ordered = _numbered(sorted(set(findings), key=lambda finding: finding.order))[:most]
    kept = {finding.rule for finding in ordered}
    used = {key: rules[key] for key in sorted(rules) if key in kept}
    return Analysis(tuple(ordered), tuple(coverage), tuple(problems), used)


def _numbered(findings: list[Finding]) -> list[Finding]:
    """Number the findings that have path, rule and content in common."""
    seen: Counter[tuple[str, str, str]] = Counter()
    numbered = []
    for finding in findings:
        key = (finding.path, finding.rule, finding.content_sha256)
        numbered.append(replace(finding, occurrence=seen[key]))
        seen[key] += 1
    return numbered


def _unfinished(path: str, reason: str) -> Problem:
    return problem(
        "scan.bandit-unfinished",
        "bandit did not finish a file of the wheel",
        value=reason,
        expected="a file that every test of bandit can look at",
        advice="make the file simpler: split it, or take apart deeply nested expressions",
        where=path,
    )


def _crashed(path: str, name: str, error: Exception) -> Problem:
    return problem(
        "scan.check-unfinished",
        f"the check '{name}' did not finish",
        value=f"{type(error).__name__}: {error}",
        expected="a file that every check can look at",
        advice="make the file simpler; if it is simple, report a defect of the scanner",
        where=path,
    )
