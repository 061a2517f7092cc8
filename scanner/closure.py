"""A plugin with its locked dependencies: each looked at in a process of its own, one analysis.

A dependency's files stand in the report under the file name of its wheel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scanner import osv
from scanner.model import Analysis, Coverage, Finding
from trust.errors import Problem, SealgateError, problem
from trust.outcomes import Failed
from trust.wheel import Dependency, DependencyWheel, Plugin, inspect_dependencies, inspect_wheel

Look = Callable[[bytes, str, Dependency | None], Analysis]
"""Looks at one wheel in the confined process."""


@dataclass(frozen=True, slots=True)
class Closure:
    """A plugin and the wheels that it locks, read.

    Attributes:
        plugin: the plugin.
        wheels: what was read of each dependency, in the lock's order.
        data: SHA-256 -> bytes.
    """

    plugin: Plugin
    wheels: tuple[DependencyWheel, ...]
    data: Mapping[str, bytes]


def read(wheel: bytes, filename: str, dependencies: Sequence[bytes]) -> Closure | Analysis:
    """Read the plugin and its dependencies; an analysis with problems where that fails.

    Args:
        wheel: the plugin's bytes.
        filename: its file name.
        dependencies: the bytes of the locked wheels, in any order.
    """
    outcome = inspect_wheel(wheel, filename)
    if isinstance(outcome, Failed):
        return Analysis(problems=outcome.problems)
    data = {hashlib.sha256(item).hexdigest(): item for item in dependencies}
    wheels = inspect_dependencies(outcome.value, data)
    if isinstance(wheels, Failed):
        return Analysis(problems=wheels.problems)
    return Closure(outcome.value, wheels.value, data)


def analyse(closure: Closure, look: Look, most: int) -> Analysis:
    """Look at every dependency and return all of it as one analysis, without the plugin's own.

    Args:
        closure: what was read.
        look: looks at one wheel.
        most: findings that a report may have.
    """
    findings: list[Finding] = []
    coverage: list[Coverage] = []
    problems: list[Problem] = []
    rules: dict[str, tuple[str, str]] = {}
    for wheel in closure.wheels:
        dependency = wheel.dependency
        data = closure.data[dependency.sha256]
        part = look(data, dependency.filename, dependency)
        place = f"{dependency.filename}/"
        findings += [replace(item, path=place + item.path) for item in part.findings]
        coverage += [replace(item, path=place + item.path) for item in part.coverage]
        problems += [
            item
            if item.where.startswith(dependency.filename)
            else replace(item, where=place + item.where)
            for item in part.problems
        ]
        rules.update(part.rules or {})
    return Analysis(_bounded(findings, most, problems), tuple(coverage), tuple(problems), rules)


def join(one: Analysis, other: Analysis, most: int) -> Analysis:
    """Return two analyses as one, the findings in the order of a report."""
    problems = [*one.problems, *other.problems]
    findings = _bounded([*one.findings, *other.findings], most, problems)
    return Analysis(
        tuple(sorted(findings, key=lambda item: item.order)),
        (*one.coverage, *other.coverage),
        tuple(problems),
        {**(one.rules or {}), **(other.rules or {})},
    )


def _bounded(findings: list[Finding], most: int, problems: list[Problem]) -> tuple[Finding, ...]:
    if len(findings) > most and not any(p.code == "scan.too-many-findings" for p in problems):
        problems.append(
            problem(
                "scan.too-many-findings",
                "the scan found more than anybody can review",
                value=f"{len(findings)} findings",
                expected=f"at most {most} findings",
                advice="lock fewer or simpler dependencies",
            )
        )
    return tuple(findings[:most])


def vulnerabilities(closure: Closure, database: Path) -> tuple[Analysis, dict[str, Any]]:
    """Look the dependencies up in a database of known vulnerabilities.

    Returns:
        An analysis with a finding for each, and what the report says of the database.
    """
    names = [wheel.dependency.name for wheel in closure.wheels]
    places = {
        wheel.dependency.sha256: next(
            f"{wheel.dependency.filename}/{member.path}"
            for member in wheel.members
            if member.path.endswith(".dist-info/METADATA")
        )
        for wheel in closure.wheels
    }
    try:
        loaded = osv.load(database, names)
        found = osv.findings(loaded, [wheel.dependency for wheel in closure.wheels], places)
    except SealgateError as error:
        return Analysis(problems=error.problems), {}
    return Analysis(tuple(found)), loaded.as_dict()
