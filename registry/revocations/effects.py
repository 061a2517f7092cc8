"""The worker's part: what is published and was taken back leaves the shelf.

| revoked | what happens |
|---|---|
| version, plugin, publisher | `revoked` for good, or `quarantined` until that is lifted |
| reviewer | the gate judges anew without them; what does not pass goes back into review |
| rule set | scanned again with the present rules; what does not pass goes back into review |

Every step stands in the version's timeline with its reason. Nothing here lets anything be
published: from review a version leaves by the gate alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry import evidence, leases
from registry.errors import IllegalTransition, Unavailable
from registry.leases import Claim
from registry.models import Review, Scan, Version
from registry.publishing import ask
from registry.revocations.models import Rescan
from registry.revocations.standing import facts_of
from registry.scan_results import blocking, replace_scan
from registry.scanning import Scanning
from registry.services import Services
from registry.states import Event, State, advance
from scanner import ScanPolicy, ScanResult
from trust.errors import Problem
from trust.evidence.statements import scan_statement
from trust.gate import Refused
from trust.identity import Identity
from trust.revocation import Revocation, Revocations
from trust.revocation.judge import stopped
from trust.signing import SigningFailed

log = logging.getLogger("registry.revocations")

_SHELF = (State.PUBLISHED, State.QUARANTINED, State.IN_REVIEW)


@dataclass(frozen=True, slots=True)
class Effects:
    """Acts on the revocations that hold.

    Attributes:
        services: the registry's parts.
        scanning: scans again; None where this worker has no scanner's account.
        seen: the bundles that held at the last look; the shelf is walked when they change.
    """

    services: Services
    scanning: Scanning | None
    seen: list[frozenset[str]] = field(default_factory=list)

    @classmethod
    def of(cls, services: Services, scanning: Scanning | None) -> Effects | None:
        """Return who acts on revocations, where the registry keeps a log of them."""
        return None if services.settings.revocations.log is None else cls(services, scanning)

    def once(self) -> bool:
        """Act on what changed, then scan one version again if one must be; say if there was any.

        Raises:
            Unavailable: the stores do not answer.
        """
        found, now = self.services.standing.now(), self.services.clock()
        holds = frozenset(each.bundle_sha256 for each in found.in_force(now))
        changed = False
        if self.seen != [holds] and (holds or self.seen):
            changed = self._walk(found)
        self.seen[:] = [holds]
        return self._rescan(found.rule_sets(now)) or changed

    # -- versions, plugins, publishers, reviewers ------------------------------------------

    def _walk(self, found: Revocations) -> bool:
        with self.services.database.read() as session:
            shelf = session.scalars(select(Version.id).where(Version.state.in_(_SHELF))).all()
        changed = False
        for number in shelf:
            try:
                with self.services.database.write() as session:
                    changed |= self._judge(session, session.get_one(Version, number), found)
            except IllegalTransition as error:
                log.warning("%s", error)
        return changed

    def _judge(self, session: Session, version: Version, found: Revocations) -> bool:
        now, state = self.services.clock(), State(version.state)
        holding = found.holding(facts_of(version), now)
        final = [each for each in holding if each.action == "revoke"]
        if final:
            return self._move(session, version, Event.REVOKED, final)
        if state == State.IN_REVIEW:
            return False
        if holding:
            if state == State.QUARANTINED:
                return False
            return self._move(session, version, Event.QUARANTINED, holding)
        excluded = found.excluded_reviewers(now)
        rested = sorted(excluded & {review.reviewer for review in version.reviews})
        if state == State.PUBLISHED and not rested:
            return False
        decision = ask(self.services, version, before_publish=False)
        if isinstance(decision, Refused):
            self._reopen(session, version, rested, decision.problems)
            return True
        if state == State.QUARANTINED:
            detail = "the quarantine was lifted, and the gate admits the version"
            advance(session, version, Event.LIFTED, now, actor=None, detail=detail)
            return True
        return False

    def _move(
        self, session: Session, version: Version, event: Event, why: Iterable[Revocation]
    ) -> bool:
        causes = list(why)
        first = causes[0]
        word = "revoked" if event == Event.REVOKED else "put in quarantine"
        advance(
            session,
            version,
            event,
            self.services.clock(),
            actor=first.signer,
            detail=f"{first.target} was {word}: {first.reason}",
            problems=[stopped(each) for each in causes],
        )
        return True

    def _reopen(
        self,
        session: Session,
        version: Version,
        rested: Iterable[Identity],
        problems: Iterable[Problem],
    ) -> None:
        who = ", ".join(each.subject for each in rested)
        advance(
            session,
            version,
            Event.REOPENED,
            self.services.clock(),
            actor=None,
            detail=f"it is judged anew without the approval of {who}, which was revoked"
            if who
            else "the gate does not admit it any more",
            problems=problems,
        )
        self._wake(version)

    def _wake(self, version: Version) -> None:
        version.in_review_at = self.services.clock()
        version.not_before = None
        version.gate_seen = None

    # -- rule sets -------------------------------------------------------------------------

    def _rescan(self, rule_sets: frozenset[str]) -> bool:
        """Scan one published version again whose rule set was revoked."""
        present = ScanPolicy().sha256
        scanning = self.scanning
        if scanning is None or not rule_sets - {present}:
            return False
        done = select(Rescan.version_id).where(Rescan.policy_sha256 == present)
        waiting = (
            select(Version)
            .join(Version.scan)
            .where(
                Version.state == State.PUBLISHED,
                Scan.policy_sha256.in_(rule_sets - {present}),
                Version.id.not_in(done),
                leases.free(self.services),
            )
            .order_by(Version.id)
            .limit(1)
        )
        claim = leases.claim(
            self.services, lambda session: session.scalar(waiting), scanning.lease_seconds
        )
        if claim is None:
            return False
        with leases.kept(self.services, claim, scanning.lease_seconds):
            self._scan_again(scanning, claim, present)
        return True

    def _scan_again(self, scanning: Scanning, claim: Claim, present: str) -> None:
        try:
            with self.services.database.read() as session:
                version = leases.held(session, claim)
                filename, sha256 = version.filename, version.sha256
                rule_set = session.scalars(
                    select(Scan.policy_sha256).where(Scan.version_id == version.id)
                ).one()
            result = scanning.again(claim, filename, sha256)
            self._settle(claim, result, (rule_set, present), filename, sha256, scanning)
        except (SigningFailed, Unavailable) as error:
            log.warning("a new scan could not be signed or stored now: %s", error.diagnostics())
            with self.services.database.write() as session:
                leases.release(leases.held(session, claim))

    def _settle(
        self,
        claim: Claim,
        result: ScanResult,
        rule_sets: tuple[str, str],
        filename: str,
        sha256: str,
        scanning: Scanning,
    ) -> None:
        """Record a new scan: published as before, or back in review with what was found."""
        now, bundle, verified = self.services.clock(), None, None
        revoked, present = rule_sets
        if result.verdict == "failed":
            # Signed, so that every gate that sees the evidence refuses, whoever asks it.
            bundle = scanning.workload.sign(
                scan_statement(
                    filename,
                    sha256,
                    result="FAILED",
                    policy_sha256=result.policy_sha256,
                    report_sha256=result.report_sha256,
                    counts=result.counts,
                )
            )
            verified = evidence.verify(
                self.services.trust.verifier(),
                bundle,
                step="scan",
                filename=filename,
                sha256=sha256,
            )
        with self.services.recording() as (session, batch):
            version = leases.held(session, claim)
            leases.release(version)
            session.add(
                Rescan(
                    version_id=version.id,
                    rule_set=revoked,
                    policy_sha256=present,
                    verdict=result.verdict,
                    at=now,
                )
            )
            because = f"the rule set {revoked[:12]} was revoked; scanned again under {present[:12]}"
            if result.verdict == "passed":
                detail = f"{because}: nothing new that blocks"
                advance(session, version, Event.RESCANNED, now, actor=None, detail=detail)
                return
            replace_scan(session, version, result, self.services)
            # They approved another report: they decide anew.
            session.execute(delete(Review).where(Review.version_id == version.id))
            advance(
                session,
                version,
                Event.REOPENED,
                now,
                actor=verified.identity if verified else None,
                detail=f"{because}: it {result.verdict}",
                problems=result.problems or blocking(result),
            )
            self._wake(version)
            if bundle is not None and verified is not None:
                session.add(evidence.row(verified, "scan", version.id, now))
                session.flush()
                batch.put(bundle)
            batch.put(result.report)
