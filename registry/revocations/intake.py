"""Taking in a signed revocation.

The rules, in order:
 1. the registry has a revocation log;
 2. the bundle verifies and is a revocation;
 3. its signer may revoke this: a revoker, an admin, or for a version its plugin's owner;
 4. an owner names a version that the registry has;
 5. the same has not been said by the same signer, or been lifted before; the identical bundle
    again changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry.errors import Conflict, Forbidden, NotFound, TooLarge, Unprocessable
from registry.lookup import find
from registry.revocations.models import RevocationRow
from registry.revocations.standing import authority
from registry.services import Services
from trust.errors import problem
from trust.evidence.bundles import EvidenceRefused
from trust.outcomes import Failed
from trust.revocation import (
    MAX_BUNDLE_BYTES,
    Revocation,
    RevocationRefused,
    Revocations,
    verify_revocation,
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a bundle: `created` is False where it was there before."""

    revocation: Revocation
    created: bool


def post(services: Services, bundle: bytes) -> Taken:
    """Take a signed revocation, quarantine or lift.

    Args:
        services: the registry's parts.
        bundle: the Sigstore bundle (JSON), untrusted.

    Raises:
        TooLarge: the bundle is too large.
        Unprocessable: it does not verify, or is not a revocation.
        Forbidden: its signer may not say this.
        NotFound: the registry keeps no revocation log, or does not have the version that an owner
            names.
        Conflict: it was said before.
        Unavailable: its stores cannot be used.
    """
    if services.settings.revocations.log is None:
        raise NotFound(
            problem(
                "registry.no-revocation-log",
                "this registry keeps no revocation log",
                expected="the setting REVOCATION_LOG",
                advice="tell the registry's operator; hand the bundle to the runners directly",
            )
        )
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise TooLarge(
            problem(
                "registry.bundle-too-large",
                "the bundle is too large",
                value=f"{len(bundle)} bytes",
                expected=f"at most {MAX_BUNDLE_BYTES} bytes",
                advice="give a shorter reason, and sign anew",
            )
        )
    now = services.clock()
    try:
        found = verify_revocation(services.trust.verifier(), bundle, now)
    except (EvidenceRefused, RevocationRefused) as error:
        raise Unprocessable(error.problems) from error
    try:
        with services.database.write() as session:
            if _is_known(session, found):
                return Taken(found, created=False)
            _check(services, session, found)
            session.add(RevocationRow.of(found, bundle, now))
    except IntegrityError:
        return Taken(found, created=False)
    return Taken(found, created=True)


def _is_known(session: Session, found: Revocation) -> bool:
    same = select(RevocationRow.id).where(RevocationRow.bundle_sha256 == found.bundle_sha256)
    return session.scalar(same) is not None


def _check(services: Services, session: Session, found: Revocation) -> None:
    lifted = None
    if found.lifts is not None:
        row = session.scalar(
            select(RevocationRow).where(RevocationRow.bundle_sha256 == found.lifts)
        )
        lifted = row.revocation if row else None
    plugin = found.target.plugin
    who = authority(services.settings, session, {plugin} if plugin else ())
    outcome = who.allows(found, lifted)
    if isinstance(outcome, Failed):
        raise Forbidden(outcome.problems)
    if found.signer not in who.revokers:
        find(session, plugin or "", found.target.version or "")
    known = [row.revocation for row in session.scalars(select(RevocationRow))]
    standing = Revocations(known, who)
    for other in known:
        same = (other.action, other.target, other.lifts, other.signer) == (
            found.action,
            found.target,
            found.lifts,
            found.signer,
        )
        if same and not standing.lifted(other, services.clock()):
            raise Conflict(
                problem(
                    "registry.already-revoked",
                    f"this signer has said so before ({found.action})",
                    value=str(found.target),
                    expected=f"bundle {other.bundle_sha256}",
                    advice="nothing: it is in the log",
                )
            )
