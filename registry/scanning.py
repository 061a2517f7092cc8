"""The worker's first task: scan what was received, and sign what the scan says.

The scan's row, its report, its signed statement and the new state are stored in one transaction.
A worker that is killed leaves a lease that runs out; the version is then scanned again, at most
`max_attempts` times. A signature that cannot be had now (the authority is away) costs no attempt.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import evidence, leases
from registry.dependencies import store as locked
from registry.errors import Unavailable
from registry.leases import Claim
from registry.lookup import find
from registry.models import Version
from registry.review_tools.beside import last_published
from registry.scan_results import blocking, replace_scan, summary, warned
from registry.services import Services
from registry.states import Event, State, advance
from registry.workload import Workload
from scanner import ScanResult, scan
from trust.errors import Problem, SealgateError, problem
from trust.evidence.bundles import VerifiedStatement
from trust.evidence.statements import sbom_statement, scan_statement
from trust.identity import Identity
from trust.signing import SigningFailed

MAX_PAUSE_SECONDS = 600.0

log = logging.getLogger("registry.worker")


@dataclass(frozen=True, slots=True)
class Scanning:
    """Claims received versions, scans and signs.

    Attributes:
        services: the registry's parts.
        workload: the scanner's identity.
        lease_seconds: how long a claim holds without a sign of life, in seconds.
        max_attempts: how many scans may be begun.
        run: the scan itself.
    """

    services: Services
    workload: Workload
    lease_seconds: float
    max_attempts: int
    run: Callable[..., ScanResult] = scan

    def once(self) -> bool:
        """Do one scan if one waits; return whether there was anything to do."""
        recovered = self._recover()
        claim = self._claim()
        if claim is None:
            return recovered
        with leases.kept(self.services, claim, self.lease_seconds):
            self._work(claim)
        return True

    def _recover(self) -> bool:
        """Take up what a dead worker left in `scanning`."""
        now = self.services.clock()
        stale = select(Version).where(Version.state == State.SCANNING, Version.lease_until < now)
        with self.services.database.read() as session:
            if session.scalar(stale.limit(1)) is None:
                return False
        with self.services.database.write() as session:
            for version in session.scalars(stale).all():
                leases.release(version)
                self._retry_or_give_up(session, version, "the worker that scanned it has died", ())
        return True

    def _retry_or_give_up(
        self, session: Session, version: Version, why: str, problems: tuple[Problem, ...]
    ) -> None:
        now = self.services.clock()
        tried = f"{version.attempts} of {self.max_attempts} attempts"
        if version.attempts < self.max_attempts:
            detail = f"{why}; it will be scanned again ({tried})"
            advance(
                session,
                version,
                Event.SCAN_RETRIED,
                now,
                actor=None,
                detail=detail,
                problems=problems,
            )
            return
        gave_up = problem(
            "registry.scan-given-up",
            f"the scan did not end: {why}",
            value=tried,
            expected="a scan that ends",
            advice="the registry's operator must look at the worker's log and have it scanned "
            "again",
        )
        advance(
            session,
            version,
            Event.SCAN_INCOMPLETE,
            now,
            actor=None,
            detail=f"the scan was given up: {why} ({tried})",
            problems=(gave_up, *problems),
        )

    def _claim(self) -> Claim | None:
        waiting = (
            select(Version)
            .where(Version.state == State.RECEIVED, leases.free(self.services))
            .order_by(Version.id)
            .limit(1)
        )

        def begin(session: Session, version: Version) -> None:
            version.attempts += 1
            version.not_before = None
            advance(
                session,
                version,
                Event.SCAN_STARTED,
                self.services.clock(),
                actor=None,
                detail=f"scan {version.attempts} of at most {self.max_attempts} began",
            )

        return leases.claim(
            self.services, lambda session: session.scalar(waiting), self.lease_seconds, begin
        )

    def _work(self, claim: Claim) -> None:
        try:
            with self.services.database.read() as session:
                version = leases.held(session, claim)
                filename, sha256 = version.filename, version.sha256
            result = self._scan(self.services.blobs.read(sha256), filename, claim)
            if result.verdict == "incomplete":
                self._store_incomplete(claim, result)
                return
            bundle = self.workload.sign(
                scan_statement(
                    filename,
                    sha256,
                    result=result.result,
                    policy_sha256=result.policy_sha256,
                    report_sha256=result.report_sha256,
                    counts=result.counts,
                    warned=warned(result),
                    dependencies=[(item.filename, item.sha256) for item in result.dependencies],
                    sbom_sha256=None if result.sbom is None else _sha256(result.sbom),
                )
            )
            verified = evidence.verify(
                self.services.trust.verifier(),
                bundle,
                step="scan",
                filename=filename,
                sha256=sha256,
            )
            bill = None
            if result.sbom is not None and result.verdict == "passed":
                bill = self._sign_bill(filename, sha256, result.sbom)
            self._store(claim, result, bundle, verified, bill)
        except leases.LeaseLost:
            raise
        except (SigningFailed, Unavailable) as error:
            log.warning("a scan could not be signed or stored now: %s", error.diagnostics())
            self._pause(claim, error)
        except Exception as error:
            log.exception("a scan did not end")
            self._fail(claim, error)

    def again(self, claim: Claim, filename: str, sha256: str) -> ScanResult:
        """Scan what is stored once more, with the present rules; nothing is recorded."""
        return self._scan(self.services.blobs.read(sha256), filename, claim)

    def _scan(self, data: bytes, filename: str, claim: Claim) -> ScanResult:
        """Scan a wheel, with the wheels that it locks where it locks any."""
        wheels = locked.gather(self.services, claim.version_id)
        if not wheels:
            return self.run(data, filename)
        return self.run(
            data,
            filename,
            dependencies=wheels,
            vulnerabilities=self.services.settings.vulnerabilities,
        )

    def _sign_bill(
        self, filename: str, sha256: str, bill: bytes
    ) -> tuple[bytes, VerifiedStatement]:
        """Sign the bill of materials, and verify what was signed."""
        bundle = self.workload.sign(sbom_statement(filename, sha256, bill))
        verified = evidence.verify_bill(
            self.services.trust.verifier(), bundle, filename=filename, sha256=sha256
        )
        return bundle, verified

    def _store(
        self,
        claim: Claim,
        result: ScanResult,
        bundle: bytes,
        verified: VerifiedStatement,
        bill: tuple[bytes, VerifiedStatement] | None,
    ) -> None:
        now = self.services.clock()
        passed = result.verdict == "passed"
        with self.services.recording() as (session, batch):
            version = leases.held(session, claim)
            leases.release(version)
            replace_scan(session, version, result, self.services)
            session.add(evidence.row(verified, "scan", version.id, now))
            if bill is not None:
                session.add(evidence.row(bill[1], "sbom", version.id, now))
                batch.put(bill[0])
            advance(
                session,
                version,
                Event.SCAN_PASSED if passed else Event.SCAN_FAILED,
                now,
                actor=verified.identity,
                detail=summary(result),
                problems=() if passed else blocking(result),
            )
            if passed:
                version.in_review_at = now
                previous = last_published(session, version.plugin_id)
                version.previous_sha256 = previous.sha256 if previous else None
            session.flush()
            batch.put(result.report)
            batch.put(bundle)

    def _store_incomplete(self, claim: Claim, result: ScanResult) -> None:
        """Store the report; nothing is signed, since there is nothing to vouch for."""
        now = self.services.clock()
        with self.services.recording() as (session, batch):
            version = leases.held(session, claim)
            leases.release(version)
            replace_scan(session, version, result, self.services)
            advance(
                session,
                version,
                Event.SCAN_INCOMPLETE,
                now,
                actor=None,
                detail="the scan did not look at everything, which blocks as a failure does",
                problems=result.problems,
            )
            session.flush()
            batch.put(result.report)

    def _pause(self, claim: Claim, error: SealgateError) -> None:
        """Give the version back, to be taken up after a pause; this costs no attempt."""
        with self.services.database.write() as session:
            version = leases.held(session, claim)
            leases.release(version)
            version.attempts = max(0, version.attempts - 1)
            retried = sum(row.event == Event.SCAN_RETRIED for row in version.timeline)
            seconds = min(MAX_PAUSE_SECONDS, 2.0 ** min(retried, 10))
            now = self.services.clock()
            version.not_before = now + timedelta(seconds=seconds)
            advance(
                session,
                version,
                Event.SCAN_RETRIED,
                now,
                actor=None,
                detail=f"the scan could not be signed or stored; next try in {seconds:.0f} s",
                problems=error.problems,
            )

    def _fail(self, claim: Claim, error: Exception) -> None:
        problems = error.problems if isinstance(error, SealgateError) else ()
        with self.services.database.write() as session:
            version = leases.held(session, claim)
            leases.release(version)
            self._retry_or_give_up(session, version, type(error).__name__, problems)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def rescan(services: Services, name: str, number: str, actor: Identity | None) -> None:
    """Have an incomplete version scanned again; the operator's decision.

    Args:
        services: the registry's parts.
        name: the plugin's name.
        number: the version.
        actor: the operator, if known.

    Raises:
        NotFound: no such version.
        IllegalTransition: its scan is not incomplete.
    """
    with services.database.write() as session:
        version = find(session, name, number)
        version.attempts = 0
        version.not_before = None
        advance(
            session,
            version,
            Event.RESCAN_REQUESTED,
            services.clock(),
            actor=actor,
            detail="the operator had it scanned again",
        )
