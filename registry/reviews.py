"""Signed reviews: who may, on what, and once.

The rules, in order:
 1. the bundle verifies, is a review, and is about this very wheel;
 2. its signer is neither the version's author nor the owner of its name;
 3. its signer is a reviewer of the layout, which is signed by its owners and not expired;
 4. the signer has not decided on this version yet (the identical bundle again changes nothing);
 5. the version is in review, and the statement names the very report, policy and earlier version
    that the registry holds;
 6. a rejection says why, and an approval acknowledges each finding that the scan warned of: the
    gate would refuse it later, for everybody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry import evidence, forms
from registry.errors import Conflict, Forbidden, Unprocessable
from registry.lookup import find
from registry.models import Review, Version
from registry.review_tools import acknowledging
from registry.reviewmodel import Materials
from registry.services import Services
from registry.states import Event, State, advance
from trust.errors import problem
from trust.evidence.bundles import VerifiedStatement
from trust.evidence.predicates import sha256_of
from trust.gate.acknowledgements import review_problems

MAX_COMMENT = 4000
"""Characters of a reviewer's comment."""


def materials(version: Version) -> Materials | None:
    """Return the digests that a review of this version must name; None before its scan ended.

    The findings to acknowledge are in the report; see `registry.queries`.
    """
    if version.scan is None:
        return None
    return Materials(
        filename=version.filename,
        sha256=version.sha256,
        report_sha256=version.scan.report_sha256,
        previous_sha256=version.previous_sha256,
        policy_sha256=version.scan.policy_sha256,
    )


def post(services: Services, name: str, number: str, bundle: bytes) -> bool:
    """Take a signed review.

    Args:
        services: the registry's parts.
        name: the plugin's name.
        number: the version.
        bundle: the reviewer's Sigstore bundle (JSON).

    Returns:
        True where it was stored, False where the identical bundle was there before.

    Raises:
        NotFound: no such version.
        TooLarge: the bundle is too large.
        Unprocessable: it does not verify, is not a review of this wheel, or names other materials.
        Forbidden: its signer may not review this version.
        Conflict: the version is not in review, or its signer has decided already.
        OutOfSpace: the disk is full.
        Unavailable: the stores or the trust material cannot be used.
    """
    with services.database.read() as session:
        version = find(session, name, number)
        filename, sha256 = version.filename, version.sha256
    verified = evidence.verify(
        services.trust.verifier(), bundle, step="review", filename=filename, sha256=sha256
    )
    now = services.clock()
    reviewers = services.trust.reviewing(now).reviewers
    try:
        with services.recording() as (session, batch):
            version = find(session, name, number)
            if not _check(services, version, verified, reviewers):
                return False
            _record(session, version, verified, now)
            session.flush()
            batch.put(bundle)
    except IntegrityError as error:
        raise _decided(verified.identity, "a decision made in the same moment") from error
    return True


def _check(
    services: Services, version: Version, verified: VerifiedStatement, reviewers: tuple[Any, ...]
) -> bool:
    """Return whether the review is new; raise where it is refused."""
    signer = verified.identity
    if signer in (version.author, version.plugin.owner):
        raise Forbidden(
            problem(
                "registry.own-plugin",
                "an author never counts as a reviewer of their own plugin",
                value=str(signer),
                expected="a reviewer other than " + str(version.author),
                advice="ask another reviewer",
                where="bundle",
            )
        )
    if signer not in reviewers:
        raise Forbidden(
            problem(
                "registry.not-a-reviewer",
                "the signer is not a reviewer of this registry",
                value=str(signer),
                expected="one of " + ", ".join(str(r) for r in sorted(reviewers)),
                advice="sign with the account that the layout names, letter by letter",
                where="bundle",
            )
        )
    earlier = next((r for r in version.reviews if r.reviewer == signer), None)
    if earlier is not None:
        if earlier.evidence_sha256 == verified.bundle_sha256:
            return False
        raise _decided(signer, f"{earlier.decision}, bundle {earlier.evidence_sha256}")
    if version.state != State.IN_REVIEW:
        raise Conflict(
            problem(
                "registry.not-in-review",
                "this version is not in review",
                value=version.state,
                expected=State.IN_REVIEW,
                advice="look at the version's page for what it waits for",
            )
        )
    _check_materials(version, verified.predicate)
    if verified.predicate["decision"] == "approve":
        lacking = review_problems(acknowledging.signed(services, version), verified.predicate)
        if lacking:
            raise Unprocessable(lacking)
    return True


def _decided(signer: object, earlier: str) -> Conflict:
    return Conflict(
        problem(
            "registry.already-reviewed",
            "this reviewer has decided on this version; a reviewer counts once",
            value=str(signer),
            expected=earlier,
            advice="nothing: the first decision stands",
        )
    )


def _check_materials(version: Version, predicate: dict[str, Any]) -> None:
    held = materials(version)
    if held is None:
        raise Conflict(problem("registry.no-scan", "this version has no scan to review"))
    previous = predicate["previous"]
    named = {
        "report": (sha256_of(predicate["report"]), held.report_sha256),
        "policy": (sha256_of(predicate["policy"]), held.policy_sha256),
        "previous": (
            "none" if previous is None else previous["sha256"],
            held.previous_sha256 or "none",
        ),
    }
    problems = [
        problem(
            f"registry.review-{what}",
            f"the review was made on another {what}",
            value=found,
            expected=expected,
            advice="fetch the review materials again, read them, and sign anew",
            where=f"/predicate/{what}",
        )
        for what, (found, expected) in named.items()
        if found != expected
    ]
    comment = predicate["comment"]
    if len(comment) > MAX_COMMENT:
        problems.append(
            problem(
                "registry.review-comment",
                "the comment is too long",
                value=f"{len(comment)} characters",
                expected=f"at most {MAX_COMMENT} characters",
                advice="put the long text elsewhere and name where",
                where="/predicate/comment",
            )
        )
    if predicate["decision"] == "reject" and not comment.strip():
        problems.append(
            problem(
                "registry.review-reason",
                "a rejection without a reason helps nobody",
                value=comment,
                expected="a comment that says why",
                advice="sign the rejection again with --comment",
                where="/predicate/comment",
            )
        )
    if problems:
        raise Unprocessable(problems)


def _record(session: Session, version: Version, verified: VerifiedStatement, now: datetime) -> None:
    signer, predicate = verified.identity, verified.predicate
    approves = predicate["decision"] == "approve"
    session.add(evidence.row(verified, "review", version.id, now))
    session.add(
        Review(
            version_id=version.id,
            evidence_sha256=verified.bundle_sha256,
            issuer=signer.issuer,
            subject=signer.subject,
            decision=predicate["decision"],
            comment=predicate["comment"],
            at=now,
        )
    )
    if approves:
        acknowledging.record(session, version, verified, now)
    advance(
        session,
        version,
        Event.APPROVED if approves else Event.REJECTED,
        now,
        actor=signer,
        detail=f"{signer.subject} {'approved' if approves else 'rejected'} this version"
        + (f": {predicate['comment']}" if predicate["comment"].strip() else ""),
    )


def submit_form(services: Services, name: str, number: str, request: Request) -> bool:
    """Take a review from a form with the file `bundle`; see `post`.

    Raises:
        RegistryError: the form is malformed, or `post` refuses.
        RequestEntityTooLarge: the body exceeds the application's bound.
    """
    return post(services, name, number, forms.files(request, ("bundle",))["bundle"][1])
