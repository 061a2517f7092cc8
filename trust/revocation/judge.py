"""Does a revocation stop this admission? A pure function of a set, some facts and the time.

Who may revoke:
- a *revoker* (the runner's policy and the registry's settings name them) may take back and lift
  anything;
- a plugin's own publisher may take back versions of that plugin, under that plugin's name only,
  and lift their own quarantines.
Statements by anybody else never count and never harm.

The set has no order: a quarantine holds unless a lift by somebody who may names its bundle, and
nothing lifts a revocation. So two runners that know the same bundles decide the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from packaging.version import Version

from trust.errors import Problem, problem
from trust.identity import Identity
from trust.outcomes import Failed, Passed
from trust.revocation.statement import Revocation
from trust.revocation.target import KINDS, Kind, Target


def _nobody(_plugin: str) -> Collection[Identity]:
    return ()


@dataclass(frozen=True, slots=True)
class Authority:
    """Who may revoke.

    Attributes:
        revokers: identities that may take back anything.
        publishers_of: plugin -> who may publish it; pure.
    """

    revokers: frozenset[Identity]
    publishers_of: Callable[[str], Collection[Identity]] = field(default=_nobody)

    def allows(
        self, revocation: Revocation, lifted: Revocation | None = None
    ) -> Passed[None] | Failed:
        """Decide whether the signer of `revocation` may say what it says.

        Args:
            revocation: a verified statement.
            lifted: of a lift, the quarantine that it names, if it is known.
        """
        if revocation.action == "lift":
            wrong = _lift_problem(revocation, lifted)
            if wrong is not None:
                return Failed((wrong,))
        if revocation.signer in self.revokers:
            return Passed(None)
        target = revocation.target
        own = (
            target.kind == "version"
            and target.plugin is not None
            and revocation.signer in self.publishers_of(target.plugin)
            and (lifted is None or lifted.signer == revocation.signer)
        )
        if own:
            return Passed(None)
        return Failed(
            (
                problem(
                    "revocation.not-authorised",
                    f"the signer may not {revocation.action} this",
                    value=f"{revocation.signer}: {target}",
                    expected="a revoker, or for one version its plugin's own publisher "
                    "(issuer and subject, case-sensitive)",
                    advice="have it signed by somebody who may, or name the signer as a revoker",
                    where=f"bundle {revocation.bundle_sha256}",
                ),
            )
        )


def _lift_problem(lift: Revocation, lifted: Revocation | None) -> Problem | None:
    if lifted is None:
        what, value = "the lift names a quarantine that is not known", lift.lifts
    elif lifted.action != "quarantine":
        what, value = "only a quarantine can be lifted; a revocation is final", lifted.action
    elif lifted.target != lift.target:
        what, value = "the lift names a quarantine of something else", str(lifted.target)
    else:
        return None
    return problem(
        "revocation.lift",
        what,
        value=value,
        expected=f"the bundle of a quarantine of {lift.target}",
        advice="see `sealgate revoke list` for what can be lifted",
        where=f"bundle {lift.bundle_sha256}",
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an admission; None or empty where it is not known yet.

    Attributes:
        plugin: the normalised name.
        version: a PEP 440 version in any form.
        sha256: the wheel's digest.
        publishers: who signed the submission.
        image: the runtime image's id.
    """

    plugin: str | None = None
    version: str | None = None
    sha256: str | None = None
    publishers: frozenset[Identity] = frozenset()
    image: str | None = None


class Revocations:
    """A set of verified revocations under one authority. Immutable; safe to share."""

    def __init__(self, revocations: Iterable[Revocation], authority: Authority) -> None:
        """Sort out what counts.

        Args:
            revocations: verified statements in any order; those that may not are left out.
            authority: who may.
        """
        known = {item.bundle_sha256: item for item in revocations}
        allowed = [
            item
            for item in known.values()
            if isinstance(authority.allows(item, known.get(item.lifts or "")), Passed)
        ]
        self.counted = tuple(sorted(allowed, key=lambda r: (r.signed_at, r.bundle_sha256)))
        self._revokers = authority.revokers
        self._lifts: dict[str, list[Revocation]] = defaultdict(list)
        self._by_target: dict[Target, list[Revocation]] = defaultdict(list)
        self._by_kind: dict[Kind, list[Revocation]] = {kind: [] for kind in KINDS}
        self._by_version: dict[tuple[str | None, Version], list[Revocation]] = defaultdict(list)
        self._by_wheel: dict[str, list[Revocation]] = defaultdict(list)
        for item in self.counted:
            if item.lifts is not None:
                self._lifts[item.lifts].append(item)
                continue
            target = item.target
            self._by_kind[target.kind].append(item)
            if target.kind == "version" and target.version is not None:
                if target.sha256 is not None:
                    self._by_wheel[target.sha256].append(item)
                self._by_version[target.plugin, Version(target.version)].append(item)
            else:
                self._by_target[target].append(item)

    def lifted(self, revocation: Revocation, now: datetime) -> bool:
        """Tell whether a quarantine has been lifted by `now`."""
        return any(_begun(lift, now) for lift in self._lifts.get(revocation.bundle_sha256, ()))

    def _holds(self, revocation: Revocation, now: datetime) -> bool:
        return _begun(revocation, now) and not self.lifted(revocation, now)

    def in_force(self, now: datetime) -> tuple[Revocation, ...]:
        """Return what holds at `now`, oldest signature first; lifts are not among them."""
        return tuple(r for r in self.counted if r.lifts is None and self._holds(r, now))

    def excluded_reviewers(self, now: datetime) -> frozenset[Identity]:
        """Return the reviewers whose approvals do not count at `now`."""
        return frozenset(
            r.target.identity
            for r in self._by_kind["reviewer"]
            if r.target.identity is not None and self._holds(r, now)
        )

    def rule_sets(self, now: datetime) -> frozenset[str]:
        """Return the digests of the scan policies that are taken back at `now`."""
        return frozenset(
            r.target.sha256
            for r in self._by_kind["rule-set"]
            if r.target.sha256 is not None and self._holds(r, now)
        )

    def judge(self, facts: Facts, now: datetime) -> Passed[None] | Failed:
        """Decide whether what the facts describe may run at `now`.

        Versions, plugins, publishers and images are judged here; reviewers and rule sets take
        force through the gate and the registry's scans (`excluded_reviewers`, `rule_sets`).

        Args:
            facts: what is known so far; may be asked again when more is known.
            now: the time, aware.

        Returns:
            `Failed` with one problem for each revocation that holds.

        Raises:
            InvalidVersion: the facts' version is not one (PEP 440).
        """
        problems = tuple(stopped(r) for r in self.holding(facts, now))
        return Failed(problems) if problems else Passed(None)

    def holding(self, facts: Facts, now: datetime) -> tuple[Revocation, ...]:
        """Return the revocations and quarantines that stop what the facts describe; see `judge`."""
        found = {r.bundle_sha256: r for r in self._matching(facts) if self._holds(r, now)}
        return tuple(found.values())

    def _matching(self, facts: Facts) -> Iterator[Revocation]:
        by = self._by_target
        if facts.plugin is not None:
            yield from by.get(Target("plugin", facts.plugin), ())
            if facts.version is not None:
                key = facts.plugin, Version(facts.version)
                yield from self._by_version.get(key, ())
        for item in self._by_wheel.get(facts.sha256 or "", ()):
            # A publisher speaks for their own plugin: naming another's bytes stops nothing.
            if item.signer in self._revokers or item.target.plugin == facts.plugin:
                yield item
        for who in sorted(facts.publishers):
            yield from by.get(Target.of_publisher(who), ())
        if facts.image is not None:
            yield from by.get(Target.of_image(facts.image), ())


def _begun(revocation: Revocation, now: datetime) -> bool:
    """Tell whether it is time; what was not put off when it was signed holds at once."""
    return revocation.effective <= max(now, revocation.signed_at)


def stopped(revocation: Revocation) -> Problem:
    """Return what is told to whom a revocation stops."""
    final = revocation.action == "revoke"
    return problem(
        f"revocation.{revocation.target.kind}",
        f"the {revocation.target.kind} {'was revoked' if final else 'is in quarantine'}: "
        f"{revocation.reason}",
        value=str(revocation.target),
        expected="something that has not been taken back",
        advice="use another version, or ask the operator"
        if final
        else "wait until the quarantine is lifted, or use another version",
        where=f"bundle {revocation.bundle_sha256}",
    )
