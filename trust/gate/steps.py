"""One step of the layout against the statements at hand.

Who counts, how many are needed and whether the artifacts fit together is decided by in-toto
(`in_toto.verifylib`), one step at a time so that a refusal can name its step. What in-toto does
not know is decided here: what each predicate says.

Statements by somebody whom the layout does not authorise for their step never count and never
harm: anybody may comment. Among several by one authorised signer the earliest counts, if they say
the same of the same artifacts; if not, the step is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from in_toto import verifylib
from in_toto.exceptions import RuleVerificationError, ThresholdVerificationError
from in_toto.models.layout import Layout
from in_toto.models.layout import Step as LayoutStep
from in_toto.models.link import Link

from trust.errors import Problem, problem
from trust.evidence.bundles import VerifiedStatement
from trust.evidence.links import StatementMetadata, functionary_key
from trust.evidence.predicates import Step, check_predicate
from trust.gate.acknowledgements import scan_problem
from trust.gate.decision import StepRefused, refuse
from trust.identity import Identity
from trust.layout import VerifiedLayout

_RULES_LOCK = threading.Lock()
"""in-toto's rule engine writes a trace into a module global: two threads would spoil it."""


@dataclass(frozen=True, slots=True)
class Satisfied:
    """A step that in-toto found satisfied.

    Attributes:
        statements: those that counted, one for each functionary, ordered by identity.
        bundles: for each of them the digests of all bundles in which that functionary says the
            same of the same artifacts: it does not matter which of them is counted.
        link: the step's link; all functionaries' links have the same artifacts.
    """

    statements: tuple[VerifiedStatement, ...]
    bundles: tuple[frozenset[str], ...]
    link: Link

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Who counted."""
        return tuple(statement.identity for statement in self.statements)


def _accept(step: Step, statement: VerifiedStatement) -> None:
    """Check what an authorised signer says.

    Raises:
        StepRefused: the predicate is malformed, or says no.
    """
    malformed = check_predicate(step, statement.predicate)
    if malformed is not None:
        raise StepRefused(step, malformed)
    where = f"bundle {statement.bundle_sha256}"
    if step == "scan" and statement.predicate["result"] not in ("PASSED", "WARNED"):
        refuse(
            step,
            "gate.scan-failed",
            f"the scan did not pass ({statement.identity})",
            value=statement.predicate["result"],
            expected="PASSED or WARNED",
            advice="read the report, correct the plugin and submit a new version",
            where=where,
        )
    if step == "scan":
        unclear = scan_problem(statement.predicate)
        if unclear is not None:
            raise StepRefused(step, unclear)
    if step == "review" and statement.predicate["decision"] != "approve":
        refuse(
            step,
            "gate.rejected",
            f"a reviewer rejected it ({statement.identity})",
            value=statement.predicate["comment"] or statement.predicate["decision"],
            expected="approve",
            advice="read the reviewer's comment, correct the plugin and submit a new version",
            where=where,
        )


def _one_each(step: Step, mine: Sequence[VerifiedStatement]) -> dict[str, StatementMetadata]:
    """Return one statement for each signer, by key id.

    Raises:
        StepRefused: a signer contradicts themselves.
    """
    found: dict[str, StatementMetadata] = {}

    def said(metadata: StatementMetadata) -> tuple[object, ...]:
        link, predicate = metadata.get_payload(), metadata.statement.predicate
        warnings = sorted(predicate.get("warnedTests", ())) if step == "scan" else ()
        return link.materials, link.products, warnings

    ordered = sorted(mine, key=lambda s: (s.identity, s.signed_at, s.bundle_sha256))
    for statement in ordered:
        metadata = StatementMetadata(step, statement)
        first = found.setdefault(statement.identity.keyid, metadata)
        if said(first) != said(metadata):
            refuse(
                step,
                "gate.conflict",
                f"two {step} statements of one signer contradict each other",
                value=statement.identity,
                expected="one statement, or several that say the same of the same artifacts",
                advice=f"leave out the {step} bundle that no longer holds",
                where=f"bundles {first.statement.bundle_sha256}, {statement.bundle_sha256}",
            )
    return found


def _explain(
    step: Step,
    threshold: int,
    counted: Iterable[Identity],
    statements: Sequence[VerifiedStatement],
    authors: Iterable[Identity],
) -> list[Problem]:
    """Say why in-toto found too few functionaries."""
    counted, authors = sorted(counted), set(authors)
    by = ", ".join(map(str, counted)) or "nobody"
    missing = problem(
        "gate.threshold",
        f"the step {step} is not vouched for by enough of those who may",
        value=f"{len(counted)} of {threshold}: {by}",
        expected=f"{threshold} different functionaries of the layout",
        advice=f"get a {step} statement from another who may, then ask again",
    )
    others = sorted({s.identity for s in statements} - set(counted))
    own = [
        problem(
            f"gate.author-{'approved' if step == 'review' else 'vouched-for'}-own",
            "the author approved their own plugin: that never counts"
            if step == "review"
            else f"the author did the step {step} for their own plugin: that never counts",
            value=who,
            expected="somebody other than the author",
            advice=f"ask another who may {step}",
        )
        for who in others
        if who in authors
    ]
    outsiders = [
        problem(
            "gate.not-authorised",
            f"a {step} statement is signed by somebody who may not",
            value=who,
            expected="a functionary of the layout (issuer and subject, case-sensitive)",
            advice="check the identity letter by letter",
        )
        for who in others
        if who not in authors
    ]
    return [*own, missing, *outsiders]


def evaluate(
    step: Step,
    layout: VerifiedLayout,
    functionaries: Iterable[Identity],
    statements: Sequence[VerifiedStatement],
    links: Mapping[Step, Link],
    authors: Iterable[Identity] = (),
) -> Satisfied:
    """Let in-toto judge one step.

    Args:
        step: the step.
        layout: the verified layout: thresholds and artifact rules.
        functionaries: who may do the step for this plugin; the author is never among them.
        statements: the statements of this step's predicate type, by anybody.
        links: the links of the steps before this one.
        authors: who submitted, to explain a refusal.

    Raises:
        StepRefused: the step is not satisfied.
    """
    may = {who.keyid: who for who in functionaries if who not in authors}
    mine = [s for s in statements if s.identity.keyid in may]
    for statement in mine:
        _accept(step, statement)
    model = layout.layout.get_step_by_name(step)
    one_step = Layout(
        steps=[
            LayoutStep(
                name=step,
                pubkeys=sorted(may),
                threshold=layout.thresholds[step],
                expected_materials=model.expected_materials,
                expected_products=model.expected_products,
            )
        ],
        keys={keyid: functionary_key(who) for keyid, who in may.items()},
        expires=layout.layout.expires,
    )
    metadata = _one_each(step, mine)
    try:
        verified = verifylib.verify_link_signature_thresholds(one_step, {step: metadata})
    except ThresholdVerificationError as error:
        problems = _explain(step, layout.thresholds[step], _signers(metadata), statements, authors)
        raise StepRefused(step, *problems) from error
    chain = {step: {keyid: item.get_payload() for keyid, item in verified[step].items()}}
    # in-toto compares the links of as many as the threshold asks for; here all must agree.
    one_step.steps[0].threshold = len(chain[step])
    try:
        verifylib.verify_threshold_constraints(one_step, chain)
    except ThresholdVerificationError as error:
        raise StepRefused(step, _disagree(step, metadata)) from error
    link = verifylib.reduce_chain_links(chain)[step]
    try:
        with _RULES_LOCK:
            verifylib.verify_all_item_rules(one_step.steps, {**links, step: link})
    except RuleVerificationError as error:
        refuse(
            step,
            "gate.rules",
            f"the artifacts of the step {step} are not those of the steps before",
            value=str(error).partition("\n")[0],
            expected="the layout's artifact rules: the same wheel, scan policy and report",
            advice=f"do the step {step} again on what the steps before it produced",
        )
    return Satisfied(
        tuple(verified[step][keyid].statement for keyid in metadata),
        tuple(frozenset(s.bundle_sha256 for s in mine if s.identity.keyid == k) for k in metadata),
        link,
    )


def _signers(metadata: Mapping[str, StatementMetadata]) -> list[Identity]:
    return [item.statement.identity for item in metadata.values()]


def _disagree(step: Step, metadata: Mapping[str, StatementMetadata]) -> Problem:
    return problem(
        "gate.disagreement",
        f"those who did the step {step} did not have the same artifacts before them",
        value=", ".join(map(str, _signers(metadata))),
        expected="the same wheel, scan policy and report for all",
        advice=f"do the step {step} again on one report, and leave out the older statements",
    )
