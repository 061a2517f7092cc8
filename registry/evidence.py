"""Bundles that arrive: verified, of the right type, and about the right wheel."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from registry.errors import TooLarge, Unprocessable
from registry.models import Evidence
from registry.settings import MAX_BUNDLE
from trust.errors import problem
from trust.evidence.bundles import BundleVerifier, EvidenceRefused, VerifiedStatement
from trust.evidence.predicates import (
    BILL_OF_MATERIALS,
    PREDICATE_TYPES,
    Step,
    check_predicate,
)


def check_size(bundle: bytes) -> None:
    """Check the size of a bundle that was sent.

    Raises:
        TooLarge: it is larger than `MAX_BUNDLE` bytes.
        Unprocessable: it is empty.
    """
    if len(bundle) > MAX_BUNDLE:
        raise TooLarge(
            problem(
                "registry.bundle-too-large",
                "the bundle is too large",
                value=f"{len(bundle)} bytes",
                expected=f"at most {MAX_BUNDLE} bytes",
                advice="send the one Sigstore bundle that belongs to this wheel",
            )
        )
    if not bundle:
        raise Unprocessable(
            problem(
                "registry.bundle-empty",
                "the bundle is empty",
                value="0 bytes",
                expected="a Sigstore bundle (JSON)",
                advice="sign the wheel, and send the bundle that the signing wrote",
            )
        )


def verify_bill(
    verifier: BundleVerifier, bundle: bytes, *, filename: str, sha256: str
) -> VerifiedStatement:
    """Verify a bundle that is to be a bill of materials of this very wheel.

    Raises:
        TooLarge: the bundle is too large.
        Unprocessable: it does not verify, is of another type or about another file.
    """
    return _about(verifier, bundle, "sbom", BILL_OF_MATERIALS, filename, sha256)


def verify(
    verifier: BundleVerifier, bundle: bytes, *, step: Step, filename: str, sha256: str
) -> VerifiedStatement:
    """Verify `bundle` and that it is a statement of `step` about this very wheel.

    Args:
        verifier: bound to the pinned trusted root.
        bundle: the bundle's JSON as it was sent.
        step: the step that the statement must stand for.
        filename: the wheel's file name.
        sha256: the digest of the wheel's bytes.

    Raises:
        TooLarge: the bundle is too large.
        Unprocessable: it is empty, does not verify, is of another type or about another file.
    """
    verified = _about(verifier, bundle, step, PREDICATE_TYPES[step], filename, sha256)
    shape = check_predicate(step, verified.predicate)
    if shape is not None:
        raise Unprocessable(shape)
    return verified


def _about(
    verifier: BundleVerifier, bundle: bytes, step: str, kind: str, filename: str, sha256: str
) -> VerifiedStatement:
    check_size(bundle)
    try:
        verified = verifier.verify(bundle)
    except EvidenceRefused as error:
        raise Unprocessable(error.problems) from error
    if verified.predicate_type != kind:
        raise Unprocessable(
            problem(
                "registry.wrong-statement",
                f"the bundle is not a {step} statement",
                value=verified.predicate_type,
                expected=kind,
                advice=f"send the bundle that signs the {step} step",
                where="bundle",
            )
        )
    subject = verified.subjects[0]
    problems = [
        problem(
            "registry.wrong-subject",
            f"the bundle is about a file with another {what}",
            value=found,
            expected=expected,
            advice="sign this file, or send the bundle that was made for it",
            where="bundle",
        )
        for what, found, expected in (
            ("digest", subject.sha256, sha256),
            ("name", subject.name, filename),
        )
        if found != expected
    ]
    if problems:
        raise Unprocessable(problems)
    return verified


def row(
    verified: VerifiedStatement, step: Step | Literal["sbom"], version_id: int, at: datetime
) -> Evidence:
    """Return the row of a verified bundle."""
    return Evidence(
        version_id=version_id,
        step=step,
        sha256=verified.bundle_sha256,
        predicate_type=verified.predicate_type,
        issuer=verified.identity.issuer,
        subject=verified.identity.subject,
        signed_at=verified.signed_at,
        added_at=at,
    )
