"""The worker's second task: publish what the gate admits, and nothing else.

The gate is asked twice. First without the registry's own statement: only if it admits does the
registry sign. Then, inside the transaction that makes the version `published`, with everything
read back from the store, the new statement included: only if it admits again is the transaction
committed. A worker that is killed in between leaves the version in review, and the next one
begins anew.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import evidence, leases, views
from registry.dependencies import store as locked
from registry.errors import Unavailable
from registry.leases import Claim
from registry.models import Version
from registry.revocations.standing import facts_of
from registry.services import Services
from registry.states import Event, State, advance
from registry.workload import Workload
from trust.errors import Problem, SealgateError
from trust.evidence.statements import publish_statement, resource_uri
from trust.gate import Admitted, Refused
from trust.signing import SigningFailed

RETRY_REFUSED = timedelta(hours=1)
"""A refusal may rest on the time alone: the same evidence is judged again after this."""
RETRY_DELAYED = timedelta(seconds=10)

log = logging.getLogger("registry.worker")


class _GateRefused(Exception):
    def __init__(self, refusal: Refused) -> None:
        super().__init__(refusal.step)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Publishing:
    """Claims versions with enough approvals, asks the gate, signs, asks again, publishes.

    Attributes:
        services: the registry's parts.
        workload: the registry's own identity.
        lease_seconds: how long a claim holds without a sign of life, in seconds.
    """

    services: Services
    workload: Workload
    lease_seconds: float

    def once(self) -> bool:
        """Publish, or refuse to publish, one version; return whether there was one to decide."""
        claim = leases.claim(self.services, self._waiting, self.lease_seconds)
        if claim is None:
            return False
        with leases.kept(self.services, claim, self.lease_seconds):
            self._work(claim)
        return True

    def _fingerprint(self, version: Version) -> str:
        """Return what a refusal of the gate holds for: this evidence under this trust."""
        epoch = self.services.trust.gate().epoch
        parts = [epoch, *sorted(item.sha256 for item in version.evidence)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _waiting(self, session: Session) -> Version | None:
        """Return the first version that the gate should be asked about."""
        now = self.services.clock()
        try:
            reviewing = self.services.trust.reviewing()
        except Unavailable as error:
            log.warning("nothing can be published: %s", error)
            return None
        revoked = self.services.standing.now()
        rows = session.scalars(
            select(Version)
            .where(Version.state == State.IN_REVIEW, Version.reviews.any())
            .order_by(Version.in_review_at, Version.id)
        )
        for version in rows:
            if version.lease_until is not None and version.lease_until >= now:
                continue
            if views.approvals(version, reviewing) < reviewing.threshold:
                continue
            if revoked.holding(facts_of(version), now):
                continue
            pausing = version.not_before is not None and version.not_before > now
            if not pausing or (
                version.gate_seen is not None and version.gate_seen != self._fingerprint(version)
            ):
                return version
        return None

    def _work(self, claim: Claim) -> None:
        try:
            with self.services.database.read() as session:
                version = leases.held(session, claim)
                decision = self._ask(version, before_publish=True)
                name, number = version.plugin.name, version.number
                filename, sha256 = version.filename, version.sha256
            if isinstance(decision, Refused):
                raise _GateRefused(decision)
            bundle = self.workload.sign(
                publish_statement(
                    filename,
                    sha256,
                    inputs=decision.bundle_sha256s,
                    layout_sha256=decision.layout_sha256,
                    time=self.services.clock(),
                    verifier_id=self.workload.subject,
                    resource_uri=resource_uri(name, number),
                )
            )
            self._publish(claim, bundle)
        except _GateRefused as error:
            self._refuse(claim, error.refusal)
        except leases.LeaseLost:
            raise
        except (SigningFailed, Unavailable) as error:
            log.warning("a publication could not be signed or stored now: %s", error)
            self._delay(claim, error.problems)
        except Exception as error:
            log.exception("a publication did not end")
            problems = error.problems if isinstance(error, SealgateError) else ()
            self._delay(claim, problems)

    def _ask(
        self, version: Version, *, before_publish: bool, more: Sequence[str] = ()
    ) -> Admitted | Refused:
        return ask(self.services, version, before_publish=before_publish, more=more)

    def _publish(self, claim: Claim, bundle: bytes) -> None:
        now = self.services.clock()
        with self.services.recording() as (session, batch):
            version = leases.held(session, claim)
            verified = evidence.verify(
                self.services.trust.verifier(),
                bundle,
                step="publish",
                filename=version.filename,
                sha256=version.sha256,
            )
            stored = batch.put(bundle)
            decision = self._ask(version, before_publish=False, more=[stored])
            if isinstance(decision, Refused):
                raise _GateRefused(decision)
            session.add(evidence.row(verified, "publish", version.id, now))
            advance(
                session,
                version,
                Event.PUBLISHED,
                now,
                actor=verified.identity,
                detail=f"the gate admitted {version.filename}: approved by "
                + ", ".join(reviewer.subject for reviewer in decision.reviewers),
            )
            version.published_at = version.published_at or now
            version.not_before = None
            leases.release(version)

    def _refuse(self, claim: Claim, refusal: Refused) -> None:
        """Record why; the same refusal of the same evidence is recorded once."""
        with self.services.database.write() as session:
            version = leases.held(session, claim)
            now = self.services.clock()
            last = version.timeline[-1]
            told = [p.as_dict() for p in refusal.problems]
            if version.state == State.IN_REVIEW and (
                last.event != Event.PUBLISH_REFUSED or last.problems != told
            ):
                advance(
                    session,
                    version,
                    Event.PUBLISH_REFUSED,
                    now,
                    actor=None,
                    detail=f"the gate refused it at the step {refusal.step}: "
                    f"{refusal.problems[0].what}",
                    problems=refusal.problems,
                )
            version.gate_seen = self._fingerprint(version)
            version.not_before = now + RETRY_REFUSED
            leases.release(version)

    def _delay(self, claim: Claim, problems: Sequence[Problem]) -> None:
        with self.services.database.write() as session:
            version = leases.held(session, claim)
            now = self.services.clock()
            last = version.timeline[-1]
            if version.state == State.IN_REVIEW and last.event != Event.PUBLISH_DELAYED:
                advance(
                    session,
                    version,
                    Event.PUBLISH_DELAYED,
                    now,
                    actor=None,
                    detail="the publication could not be signed or stored; it will be tried again",
                    problems=problems,
                )
            version.gate_seen = self._fingerprint(version)
            version.not_before = now + RETRY_DELAYED
            leases.release(version)


def ask(
    services: Services, version: Version, *, before_publish: bool, more: Sequence[str] = ()
) -> Admitted | Refused:
    """Ask the gate about what is stored: wheel and bundles are read from the blob store."""
    blobs = services.blobs
    digests = [item.sha256 for item in version.evidence] + list(more)
    return services.trust.gate().decide(
        blobs.read(version.sha256),
        version.filename,
        [blobs.read(digest) for digest in dict.fromkeys(digests)],
        [version.plugin.owner],
        services.clock(),
        wheels=locked.stored(services, version),
        before_publish=before_publish,
        excluded=services.standing.excluded_reviewers(),
    )
