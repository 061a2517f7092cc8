"""What a reviewer acknowledges: found in verified evidence, asked for one by one, never guessed.

The findings are those that the scanner signed, and must be the Medium findings of the very report.
Earlier reasons come from the approvals of the earlier version, verified against the pinned trusted
root; they are an offer, and count only when the reviewer confirms each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from registry.readmodel import FindingView
from trust.errors import Problem, SealgateError, problem
from trust.evidence.acknowledgements import (
    MAX_REASON,
    Acknowledgement,
    Warned,
    acknowledged,
    warned,
)
from trust.evidence.bundles import VerifiedStatement
from trust.identity import Identity

MIN_PREFIX = 8


class NotAcknowledged(SealgateError):
    """A finding has no reason, or a reason has no finding."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What somebody signed about the same finding of the earlier version."""

    reviewer: Identity
    reason: str


@dataclass(frozen=True, slots=True)
class Open:
    """A finding that the approval must acknowledge.

    Attributes:
        finding: the finding, as the report has it.
        earlier: the newest earlier reason, verified; None where there is none.
    """

    finding: FindingView
    earlier: Earlier | None

    @property
    def named(self) -> Warned:
        """The finding as the scan statement names it."""
        return _named(self.finding)


Ask: TypeAlias = Callable[[Open], str]
"""Returns the reason that the reviewer gives for a finding."""


def _named(finding: FindingView) -> Warned:
    return Warned(finding.fingerprint, finding.rule, finding.path)


def to_acknowledge(
    scan: VerifiedStatement,
    findings: Iterable[FindingView],
    approvals: Iterable[VerifiedStatement],
) -> tuple[Open, ...]:
    """Return what must be acknowledged.

    Args:
        scan: the verified scan statement.
        findings: the findings of the report that it names.
        approvals: the verified approvals of the earlier version.

    Raises:
        SealgateError: statement and report do not have the same findings.
    """
    medium = {_named(f): f for f in findings if f.severity == "medium"}
    try:
        signed = set(warned(scan.predicate))
    except ValueError as error:
        signed, value = set(), str(error)
    else:
        value = ", ".join(item.text for item in sorted(signed ^ medium.keys()))
    if signed != medium.keys():
        raise SealgateError(
            problem(
                "review.warnings",
                "the scan statement and its report do not name the same findings",
                value=value,
                expected="every Medium finding of the report in the statement, and no other",
                advice="sign nothing; ask the registry's operator",
            )
        )
    before = {
        entry.finding: Earlier(approval.identity, entry.reason)
        for approval in sorted(approvals, key=lambda a: a.signed_at)
        for entry in acknowledged(approval.predicate)
    }
    return tuple(Open(finding, before.get(named)) for named, finding in medium.items())


def read_options(values: Sequence[str]) -> dict[str, str]:
    """Read `--acknowledge FINGERPRINT=REASON`; a fingerprint may be cut after eight digits.

    Raises:
        NotAcknowledged: a value has another form, or names a fingerprint twice.
    """
    found: dict[str, str] = {}
    for value in values:
        fingerprint, sign, reason = value.partition("=")
        if not sign or len(fingerprint) < MIN_PREFIX or fingerprint in found:
            raise NotAcknowledged(
                problem(
                    "review.acknowledge",
                    "an acknowledgement cannot be read",
                    value=value,
                    expected=f"FINGERPRINT=REASON, at least {MIN_PREFIX} digits, each once",
                    advice="take the fingerprint from `sealgate review show`",
                )
            )
        found[fingerprint] = reason
    return found


def answer(
    findings: Sequence[Open], given: Mapping[str, str], ask: Ask | None
) -> tuple[Acknowledgement, ...]:
    """Return an acknowledgement of each finding.

    Args:
        findings: what must be acknowledged.
        given: reasons by fingerprint, or by its first digits.
        ask: asks the reviewer for a reason that was not given; None where nobody can be asked.

    Raises:
        NotAcknowledged: a finding has no reason, or a reason no finding.
    """
    problems: list[Problem] = []
    answers: list[Acknowledgement] = []
    used: set[str] = set()
    for item in findings:
        fingerprint = item.named.fingerprint
        matching = [prefix for prefix in given if fingerprint.startswith(prefix)]
        used.update(matching)
        if len(matching) == 1:
            reason = given[matching[0]]
        elif not matching and ask is not None:
            reason = ask(item)
        else:
            reason = ""
        if reason.strip() and len(reason) <= MAX_REASON:
            answers.append(Acknowledgement(item.named, reason))
        else:
            problems.append(_missing(item, reason))
    problems += [
        problem(
            "review.acknowledge-unknown",
            "there is no such finding to acknowledge",
            value=prefix,
            expected=", ".join(item.named.fingerprint[:12] for item in findings) or "none",
            advice="take the fingerprints from `sealgate review show`",
        )
        for prefix in given
        if prefix not in used
    ]
    ambiguous = [p for p in used if sum(i.named.fingerprint.startswith(p) for i in findings) > 1]
    problems += [
        problem("review.acknowledge-ambiguous", "a fingerprint fits several findings", value=prefix)
        for prefix in ambiguous
    ]
    if problems:
        raise NotAcknowledged(problems)
    return tuple(answers)


def _missing(item: Open, reason: str) -> Problem:
    return problem(
        "review.not-acknowledged",
        "an approval acknowledges each Medium finding with a reason",
        value=f"{item.named.rule} in {item.named.path}"
        + (f": {len(reason)} characters" if reason.strip() else ""),
        expected=f"a reason of 1 to {MAX_REASON} characters",
        advice=f"add --acknowledge {item.named.fingerprint[:12]}='why it is acceptable'",
        where=f"{item.finding.path}:{item.finding.line}",
    )
