"""The gate itself.

The order of `Gate.decide`, each line a way to be refused:
 1. `layout`: signed by enough owners, understood, not expired (`trust.layout.load`);
 2. `wheel`: structure and manifest (`trust.wheel`), and those of every wheel that it locks;
 3. `bundle`: at most 64, every one of them verifies, is signed in the past, and is about this
    wheel: file name and SHA-256;
 4. `submit`: one of those who may publish this plugin signed a publish attestation;
 5. `scan`: the scanner signed PASSED, or WARNED with the findings to acknowledge, and names
    every locked wheel;
 6. `review`: enough reviewers, none of them the author, approved on that very report, each of them
    acknowledged each of those findings with a reason, and none rejected;
 7. `publish`: the registry signed a summary of exactly this evidence under this layout.

Whoever signed `submit` can do no other step for this wheel. The layout names no functionary for
`submit`: who may publish which plugin is the caller's knowledge (the registry's ownership, the
runner's policy), and is filled in only after the owners' signatures have verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from trust.errors import Problem, SealgateError, problem
from trust.evidence.bundles import (
    BundleVerifier,
    EvidenceRefused,
    TrustedRootInvalid,
    VerifiedStatement,
    is_plain,
)
from trust.evidence.predicates import STEPS, Step, step_of
from trust.gate import acknowledgements, dependencies
from trust.gate.decision import Admitted, Decision, Refused, RefusedStep, StepRefused, refuse
from trust.gate.steps import Satisfied, evaluate
from trust.gate.summary import Expected, relevant
from trust.identity import Identity
from trust.layout import LayoutRefused, Owners, VerifiedLayout, verify_layout
from trust.outcomes import Failed
from trust.wheel import Plugin, inspect_wheel

MAX_BUNDLES: Final = 64
CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far in the future a signature may lie: clocks differ."""


def _epoch(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


class Gate:
    """Decides on wheels under one trusted root, one layout and its owners."""

    def __init__(self, trusted_root: bytes, layout: bytes, owners: bytes) -> None:
        """Read what the deployment pins; nothing is raised, `check` and `decide` tell.

        Args:
            trusted_root: a Sigstore `TrustedRoot` (JSON).
            layout: the layout's DSSE envelope (JSON).
            owners: the layout owners' file (JSON).
        """
        self._epoch = _epoch(trusted_root, layout, owners)
        self._layout: VerifiedLayout | None = None
        self._verifier: BundleVerifier | None = None
        self._broken: Refused | None = None
        try:
            self._layout = verify_layout(layout, Owners.parse(owners))
            self._verifier = BundleVerifier(trusted_root)
        except LayoutRefused as error:
            self._broken = Refused("layout", error.problems)
        except TrustedRootInvalid as error:
            self._broken = Refused("bundle", error.problems)

    @property
    def epoch(self) -> str:
        """Digest of trusted root, layout and owners: a decision made under another one is void."""
        return self._epoch

    @property
    def layout(self) -> VerifiedLayout | None:
        """The layout, None where it is refused."""
        return self._layout

    @property
    def verifier(self) -> BundleVerifier | None:
        """The verifier of bundles, None where the trusted root is refused."""
        return self._verifier

    def check(self, now: datetime) -> Refused | None:
        """Return why this gate would refuse everything at `now`, or None.

        Args:
            now: timezone-aware.
        """
        if self._broken is not None:
            return self._broken
        try:
            self._ready()[0].check_fresh(now)
        except LayoutRefused as error:
            return Refused("layout", error.problems)
        except Exception as error:  # noqa: BLE001 - a clock without a timezone, for one
            return Refused("layout", (_unexpected(error),))
        return None

    def _ready(self) -> tuple[VerifiedLayout, BundleVerifier]:
        if self._layout is None or self._verifier is None:
            raise RuntimeError("the gate has no layout or no trusted root")
        return self._layout, self._verifier

    def decide(
        self,
        wheel: bytes,
        filename: str,
        bundles: Sequence[bytes],
        publishers: Collection[Identity],
        now: datetime,
        *,
        wheels: Collection[bytes] = (),
        before_publish: bool = False,
        excluded: Collection[Identity] = (),
    ) -> Decision:
        """Decide on one wheel.

        Args:
            wheel: the wheel's bytes, untrusted.
            filename: its file name, untrusted.
            bundles: every Sigstore bundle (JSON) at hand, in any order, untrusted.
            publishers: who may publish this plugin.
            now: the time of the decision, timezone-aware.
            wheels: the wheels that the plugin's lock names, in any order, untrusted.
            before_publish: leave out the step `publish`; only the registry asks so.
            excluded: reviewers who were revoked: what they said counts for nothing.

        Returns:
            The decision. Nothing is ever raised: what could not be checked is refused.
        """
        step: RefusedStep = "layout"
        try:
            refused = self.check(now)
            if refused is not None:
                return refused
            step = "wheel"
            outcome = inspect_wheel(wheel, filename)
            if isinstance(outcome, Failed):
                return Refused("wheel", outcome.problems)
            dependencies.check_wheels(outcome.value, wheels)
            step = "bundle"
            statements = self._statements(bundles, outcome.value, now)
            step = "submit"
            return self._judge(outcome.value, statements, publishers, before_publish, excluded)
        except StepRefused as error:
            return Refused(error.step, error.problems)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not a yes
            return Refused(step, (_unexpected(error),))

    def _statements(
        self, bundles: Sequence[bytes], plugin: Plugin, now: datetime
    ) -> list[VerifiedStatement]:
        """Verify every bundle; one that does not verify refuses the whole set."""
        if len(bundles) > MAX_BUNDLES:
            refuse(
                "bundle",
                "gate.too-many-bundles",
                "there are too many bundles",
                value=len(bundles),
                expected=f"at most {MAX_BUNDLES}",
                advice="hand over only the bundles of this wheel that the layout asks for",
            )
        verifier = self._ready()[1]
        statements: dict[str, VerifiedStatement] = {}
        for raw in bundles:
            try:
                statement = verifier.verify(raw)
            except EvidenceRefused as error:
                raise StepRefused("bundle", *error.problems) from error
            if statement.signed_at > now + CLOCK_SKEW:
                refuse(
                    "bundle",
                    "bundle.future",
                    "the bundle is signed after the time of the decision",
                    value=statement.signed_at.isoformat(),
                    expected=f"at most {(now + CLOCK_SKEW).isoformat()}",
                    advice="check the clock of this machine and that of the timestamp authority",
                    where=f"bundle {statement.bundle_sha256}",
                )
            _check_subject(statement, plugin)
            statements[statement.bundle_sha256] = statement
        return list(statements.values())

    def _judge(
        self,
        plugin: Plugin,
        statements: Sequence[VerifiedStatement],
        publishers: Collection[Identity],
        before_publish: bool,
        excluded: Collection[Identity],
    ) -> Admitted:
        layout = self._ready()[0]
        by_step: dict[Step, list[VerifiedStatement]] = {step: [] for step in STEPS}
        for statement in statements:
            step = step_of(statement.predicate_type)
            if step is not None:
                by_step[step].append(statement)
        may = {**layout.functionaries, "submit": _publishers(publishers)}
        may["review"] = tuple(who for who in may["review"] if who not in excluded)
        published = [s.signed_at for s in by_step["publish"] if s.identity in may["publish"]]
        done: dict[Step, Satisfied] = {}
        for step in STEPS:
            if step == "publish":
                if before_publish:
                    break
                at_hand = {statement.bundle_sha256 for statement in statements}
                expected = Expected(plugin, layout, done, at_hand)
                by_step[step] = relevant(by_step[step], may[step], expected)
            authors = done["submit"].identities if "submit" in done else ()
            links = {name: item.link for name, item in done.items()}
            done[step] = evaluate(step, layout, may[step], by_step[step], links, authors)
            if step == "scan":
                dependencies.check_scanned(plugin, done[step].statements)
            if step == "review":
                acknowledgements.require(done["scan"].statements, done[step].statements)
            if step == "submit" and len(done[step].statements) != 1:
                refuse(
                    step,
                    "gate.several-authors",
                    "several publishers submitted the same wheel",
                    value=", ".join(map(str, done[step].identities)),
                    expected="one author: whoever submits cannot approve",
                    advice="leave out all submit bundles but the author's",
                )
        return _admitted(plugin, layout, done, min(published, default=None))


def _unexpected(error: Exception) -> Problem:
    if isinstance(error, SealgateError):
        return error.problem
    return problem(
        "gate.internal",
        "the check did not run to its end",
        value=f"{type(error).__name__}: {error}",
        expected="a check that ends",
        advice="report this as a bug of Sealgate, with the files",
    )


def _publishers(publishers: Collection[Identity]) -> tuple[Identity, ...]:
    accepted = tuple(sorted(set(publishers)))
    for who in accepted:
        if not is_plain(who.issuer) or not is_plain(who.subject):
            refuse(
                "submit",
                "gate.publisher",
                "a publisher's identity is unusable",
                value=who,
                expected="issuer and subject, printable, without spaces",
                advice="correct the list of those who may publish this plugin",
            )
    if not accepted:
        refuse(
            "submit",
            "gate.no-publishers",
            "nobody may publish this plugin",
            expected="at least one publisher",
            advice="name the plugin's publishers (issuer and subject) in the policy",
        )
    return accepted


def _check_subject(statement: VerifiedStatement, plugin: Plugin) -> None:
    subject = statement.subjects[0]
    if (subject.name, subject.sha256) == (plugin.filename, plugin.sha256):
        return
    refuse(
        step_of(statement.predicate_type) or "bundle",
        "evidence.subject",
        f"the statement by {statement.identity} is about another file",
        value=f"{subject.name} sha256:{subject.sha256}",
        expected=f"{plugin.filename} sha256:{plugin.sha256}",
        advice="hand over the bundles that were signed for this very wheel",
        where=f"bundle {statement.bundle_sha256}",
    )


def _admitted(
    plugin: Plugin,
    layout: VerifiedLayout,
    done: dict[Step, Satisfied],
    published_at: datetime | None,
) -> Admitted:
    publish = done.get("publish")
    counted = [s.bundle_sha256 for item in done.values() for s in item.statements]
    return Admitted(
        plugin=plugin,
        author=done["submit"].identities[0],
        reviewers=tuple(sorted(done["review"].identities)),
        scanner=done["scan"].identities[0],
        registry=None if publish is None else publish.identities[0],
        bundle_sha256s=tuple(sorted(counted)),
        layout_sha256=layout.sha256,
        expires=layout.expires,
        published_at=None if publish is None else published_at,
    )
