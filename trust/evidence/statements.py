"""Making the four in-toto Statements v1 that Sealgate signs.

Each function returns the statement's bytes, deterministic for the same arguments. Digests are
lowercase hexadecimal SHA-256. The subject is always the one wheel, by its file name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from packaging.utils import parse_wheel_filename

from trust import strictjson
from trust.evidence.acknowledgements import MAX_REASON, MAX_WARNED, Acknowledgement, Warned
from trust.evidence.predicates import (
    BILL_OF_MATERIALS,
    POLICY,
    PUBLISH,
    REPORT,
    REVIEW,
    SBOM,
    SCAN,
    STATEMENT_TYPE,
    SUBMIT,
)

ScanResult = Literal["PASSED", "WARNED", "FAILED"]
Decision = Literal["approve", "reject"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def _digest(sha256: str) -> dict[str, str]:
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a lowercase hexadecimal SHA-256: {sha256!r}")
    return {"sha256": sha256}


def _descriptor(name: str, sha256: str) -> dict[str, Any]:
    return {"name": name, "digest": _digest(sha256)}


def _statement(filename: str, sha256: str, predicate_type: str, predicate: Any) -> bytes:
    return strictjson.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [_descriptor(filename, sha256)],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def resource_uri(name: str, version: str) -> str:
    """Return the package URL (purl) that a verification summary names for a plugin version.

    Args:
        name: the PEP 503 normalised name.
        version: the PEP 440 canonical version.
    """
    return f"pkg:pypi/{quote(name, safe='')}@{quote(version, safe='')}"


def submit_statement(filename: str, sha256: str) -> bytes:
    """Return the author's statement: "I publish this wheel" (PyPI publish attestation v1).

    It says the same as the statement that `pypi-attestations sign` makes.
    """
    return _statement(filename, sha256, SUBMIT, None)


def scan_statement(
    filename: str,
    sha256: str,
    *,
    result: ScanResult,
    policy_sha256: str,
    report_sha256: str,
    counts: Mapping[str, int] | None = None,
    warned: Sequence[Warned] = (),
    dependencies: Sequence[tuple[str, str]] = (),
    sbom_sha256: str | None = None,
) -> bytes:
    """Return the scanner's statement (in-toto test result v0.1).

    Args:
        filename: the wheel's file name.
        sha256: the wheel's digest.
        result: WARNED means that reviewers must acknowledge what the report says.
        policy_sha256: digest of the scan policy.
        report_sha256: digest of the SARIF report.
        counts: findings by severity, for people; no rule looks at them.
        dependencies: file name and SHA-256 of each locked wheel that was scanned too.
        sbom_sha256: digest of the CycloneDX bill of materials that was made of them.
        warned: the findings that reviewers must acknowledge; WARNED has some, another result none.

    Raises:
        ValueError: a digest is not lowercase hexadecimal SHA-256, or the findings named do not
            belong to the result, are more than `MAX_WARNED` or not in the form of `Warned`.
    """
    if bool(warned) != (result == "WARNED") or len(warned) > MAX_WARNED:
        raise ValueError(f"{result} with {len(warned)} findings to acknowledge")
    predicate: dict[str, Any] = {
        "result": result,
        "configuration": [_descriptor(POLICY, policy_sha256)],
        "sealgate_report": _descriptor(REPORT, report_sha256),
    }
    if counts is not None:
        predicate["sealgate_counts"] = dict(counts)
    if dependencies:
        predicate["sealgate_dependencies"] = [_descriptor(*item) for item in dependencies]
    if sbom_sha256 is not None:
        predicate["sealgate_sbom"] = _descriptor(SBOM, sbom_sha256)
    if warned:
        predicate["warnedTests"] = [Warned.parse(item.text).text for item in warned]
    return _statement(filename, sha256, SCAN, predicate)


def sbom_statement(filename: str, sha256: str, bill: bytes) -> bytes:
    """Return the scanner's statement of what the plugin is made of (CycloneDX predicate).

    Args:
        filename: the wheel's file name.
        sha256: the wheel's digest.
        bill: the CycloneDX document, JSON.

    Raises:
        ValueError: the digest is not lowercase hexadecimal SHA-256, or the bill is no JSON.
    """
    return _statement(filename, sha256, BILL_OF_MATERIALS, json.loads(bill))


def review_statement(
    filename: str,
    sha256: str,
    *,
    decision: Decision,
    report_sha256: str,
    previous_sha256: str | None,
    policy_sha256: str,
    comment: str = "",
    acknowledged: Sequence[Acknowledgement] = (),
) -> bytes:
    """Return a reviewer's statement (Sealgate review v1, `schemas/review.schema.json`).

    Args:
        filename: the wheel's file name.
        sha256: the wheel's digest.
        decision: what the reviewer decided.
        report_sha256: digest of the report that the reviewer read.
        previous_sha256: digest of the last approved version's wheel, None for a first version.
        policy_sha256: digest of the scan policy.
        comment: at most 10,000 characters.
        acknowledged: what the reviewer says to each finding that the scan names; an approval must
            answer all of them.

    Raises:
        ValueError: a digest is not lowercase hexadecimal SHA-256, or a reason is blank or longer
            than `MAX_REASON` characters.
    """
    predicate: dict[str, Any] = {
        "decision": decision,
        "report": _descriptor(REPORT, report_sha256),
        "policy": _descriptor(POLICY, policy_sha256),
        "previous": None if previous_sha256 is None else _digest(previous_sha256),
        "comment": comment,
    }
    for entry in acknowledged:
        if not entry.reason.strip() or len(entry.reason) > MAX_REASON:
            raise ValueError(f"not a reason of 1 to {MAX_REASON} characters: {entry.reason[:80]!r}")
    if acknowledged:
        predicate["acknowledged"] = [entry.as_dict() for entry in acknowledged]
    return _statement(filename, sha256, REVIEW, predicate)


def publish_statement(
    filename: str,
    sha256: str,
    *,
    inputs: Sequence[str],
    layout_sha256: str,
    time: datetime,
    verifier_id: str,
    resource_uri: str | None = None,
) -> bytes:
    """Return the registry's statement (SLSA verification summary v1).

    Args:
        filename: the wheel's file name.
        sha256: the wheel's digest.
        inputs: SHA-256 of every bundle that counted, as `Admitted.bundle_sha256s` has them.
        layout_sha256: the layout's digest, `trust.layout.layout_sha256`.
        time: when the gate said yes, timezone-aware.
        verifier_id: the signer's own subject: the specification lets a summary count only where
            signer and verifier belong together.
        resource_uri: the package URL of name and version; by default read from the file name.

    Raises:
        ValueError: a digest is not lowercase hexadecimal SHA-256, or the file name is no wheel's.
    """
    if resource_uri is None:
        name, version, _, _ = parse_wheel_filename(filename)
        resource_uri = _resource_uri(name, str(version))
    return _statement(
        filename,
        sha256,
        PUBLISH,
        {
            "verifier": {"id": verifier_id},
            "timeVerified": time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "resourceUri": resource_uri,
            "policy": {"digest": _digest(layout_sha256)},
            "inputAttestations": [{"digest": _digest(item)} for item in sorted(inputs)],
            "verificationResult": "PASSED",
            "verifiedLevels": [],
            "slsaVersion": "1.1",
        },
    )


_resource_uri = resource_uri
