"""What the registry's summary (SLSA VSA) must say to count.

A summary binds the registry's "published" to exactly this evidence under exactly this layout: a
summary of another version, of other bundles or of an older layout does not count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from trust.errors import Problem, problem
from trust.evidence.bundles import VerifiedStatement
from trust.evidence.predicates import Step, check_predicate, sha256_of
from trust.evidence.statements import resource_uri
from trust.gate.decision import StepRefused
from trust.gate.steps import Satisfied
from trust.identity import Identity
from trust.layout import VerifiedLayout
from trust.wheel import Plugin

_ADVICE = "let the registry publish the version again, under the current layout"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a summary is compared with.

    Attributes:
        plugin: the wheel at hand.
        layout: the layout in force.
        done: the steps before `publish`, satisfied.
        at_hand: digests of all bundles that were handed over and verified.
    """

    plugin: Plugin
    layout: VerifiedLayout
    done: Mapping[Step, Satisfied]
    at_hand: Collection[str]


def relevant(
    summaries: Sequence[VerifiedStatement], functionaries: Collection[Identity], expected: Expected
) -> list[VerifiedStatement]:
    """Return the summaries that may count, and those by outsiders (to be explained).

    Args:
        summaries: every statement of the summary's predicate type.
        functionaries: who may publish.
        expected: what they are compared with.

    Raises:
        StepRefused: the registry signed one or several, and none of them is about this evidence.
    """
    mine = [s for s in summaries if s.identity in functionaries]
    judged = [(s, _problems(s, expected)) for s in mine]
    good = [s for s, problems in judged if not problems]
    if mine and not good:
        raise StepRefused("publish", *(p for _, problems in judged for p in problems))
    return good + [s for s in summaries if s.identity not in functionaries]


def _problems(summary: VerifiedStatement, expected: Expected) -> list[Problem]:
    malformed = check_predicate("publish", summary.predicate)
    if malformed is not None:
        return [malformed]
    predicate = summary.predicate
    uri = resource_uri(expected.plugin.name, expected.plugin.version)
    compared = (
        (
            "gate.summary-result",
            "the registry's summary does not say PASSED",
            predicate["verificationResult"],
            "PASSED",
        ),
        (
            "gate.summary-verifier",
            "the registry's summary names another verifier than its signer",
            predicate["verifier"]["id"],
            summary.identity.subject,
        ),
        (
            "gate.summary-resource",
            "the registry's summary is about another version",
            predicate["resourceUri"],
            uri,
        ),
        (
            "gate.summary-layout",
            "the registry's summary was made under another layout",
            sha256_of(predicate["policy"]),
            expected.layout.sha256,
        ),
    )
    where = f"bundle {summary.bundle_sha256}"
    problems = [
        problem(code, what, value=value, expected=wanted, advice=_ADVICE, where=where)
        for code, what, value, wanted in compared
        if value != wanted
    ]
    inputs = {sha256_of(item) for item in predicate["inputAttestations"]}
    wrong = _inputs_problem(inputs, expected)
    return [*problems, wrong] if wrong is not None else problems


def _inputs_problem(inputs: Collection[str], expected: Expected) -> Problem | None:
    """Compare the listed bundles with those that count.

    Approvals that came after publication are not in the list and need not be, as long as those
    that are in it reach the threshold.
    """
    listed = set(inputs)
    needed = [each for step in ("submit", "scan") for each in expected.done[step].bundles]
    reviews = expected.done["review"].bundles
    enough = expected.layout.thresholds["review"]
    unlisted = sorted(min(each) for each in needed if not each & listed)
    withheld = sorted(listed - set(expected.at_hand))
    if withheld:
        what, value = "the registry's summary lists a bundle that is not at hand", withheld
    elif unlisted:
        what, value = "the registry's summary does not list a bundle that counts", unlisted
    elif sum(1 for each in reviews if each & listed) < enough:
        what, value = "the registry's summary does not list enough approvals", sorted(listed)
    else:
        return None
    return problem(
        "gate.summary-inputs",
        what,
        value=", ".join(value),
        expected=f"submit, scan and at least {enough} reviews: "
        + ", ".join(sorted(min(each) for each in (*needed, *reviews))),
        advice=_ADVICE,
    )
