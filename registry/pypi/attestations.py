"""Attestations of PEP 740 and Sigstore bundles: the same evidence in two forms.

A PEP 740 attestation has the certificate, the log entry and the signed statement of a bundle, but
no RFC 3161 timestamps, without which an entry of Rekor v2 cannot be verified: such a log signs no
time. So this module writes and reads one member more, `verification_material.timestamps`: a list
of base64 timestamp responses, in the form that is proposed for the specification
(https://github.com/pypa/packaging.python.org/pull/1936). Tools that do not know it pass it on, or
leave it out.

No conversion verifies anything: that is the intake's.
"""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any

import pypi_attestations
from pydantic import Field
from pypi_attestations import Envelope, GitHubPublisher, GitLabPublisher, GooglePublisher
from sigstore.models import Bundle

from trust import strictjson
from trust.errors import SealgateError, problem
from trust.evidence.bundles import MAX_BUNDLE_BYTES, MEDIA_TYPE, PAYLOAD_TYPE
from trust.identity import Identity

MAX_TIMESTAMPS = 16
MAX_TIMESTAMP = 64 * 1024
"""Characters of one timestamp in base64."""

GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"
GOOGLE = "https://accounts.google.com"
KIND = "Sigstore"
"""The publisher's kind for identities that are no trusted publisher of PyPI's."""


class AttestationRefused(SealgateError):
    """An attestation, or a bundle to make one of, is malformed."""


class VerificationMaterial(pypi_attestations.VerificationMaterial):
    """PEP 740's verification material with the proposed timestamps."""

    timestamps: (
        Annotated[
            list[Annotated[str, Field(max_length=MAX_TIMESTAMP)]], Field(max_length=MAX_TIMESTAMPS)
        ]
        | None
    ) = None


class Attestation(pypi_attestations.Attestation):
    """PEP 740's attestation with the proposed timestamps."""

    verification_material: VerificationMaterial
    envelope: Envelope


def to_bundle(attestation: Any) -> bytes:
    """Return the Sigstore bundle (JSON) that a PEP 740 attestation stands for.

    Args:
        attestation: the attestation, parsed from JSON.

    Raises:
        AttestationRefused: it is malformed.
    """
    try:
        read = Attestation.model_validate(attestation)
        entries = len(read.verification_material.transparency_entries)
        if entries != 1:
            raise ValueError(f"{entries} transparency log entries")
        return Bundle.from_json(json.dumps(_document(read))).to_json().encode()
    except Exception as error:
        # Like a bundle, an attestation gets many sorts of exceptions out of the libraries.
        raise AttestationRefused(
            problem(
                "bundle.format",
                "the attestation is malformed",
                value=f"{type(error).__name__}: {error}",
                expected="a PEP 740 attestation, version 1, with one transparency log entry",
                advice="make it anew, with `sealgate attest` or `pypi-attestations sign`",
                where="attestations",
            )
        ) from error


def bundle_of(signed: bytes) -> bytes:
    """Return the bundle that a PEP 740 attestation (JSON) stands for, and all else unchanged.

    What is returned is as untrusted as what was given: only a verified bundle counts.
    """
    if len(signed) > MAX_BUNDLE_BYTES:
        return signed
    try:
        document = strictjson.loads(signed)
        if isinstance(document, dict) and "verification_material" in document:
            return to_bundle(document)
    except SealgateError:
        return signed  # no bundle either: refused in the words for bundles
    return signed


def _document(attestation: Attestation) -> dict[str, Any]:
    """Return the bundle's JSON. `Attestation.to_bundle` has no place for timestamps."""
    material, envelope = attestation.verification_material, attestation.envelope
    found: dict[str, Any] = {
        "certificate": {"rawBytes": _base64(material.certificate)},
        "tlogEntries": material.transparency_entries,
    }
    if material.timestamps:
        found["timestampVerificationData"] = {
            "rfc3161Timestamps": [
                {"signedTimestamp": _base64(base64.b64decode(text, validate=True))}
                for text in material.timestamps
            ]
        }
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": found,
        "dsseEnvelope": {
            "payload": _base64(envelope.statement),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": _base64(envelope.signature)}],
        },
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_bundle(bundle: bytes) -> dict[str, Any]:
    """Return the PEP 740 attestation (JSON-serialisable) of a Sigstore bundle (JSON).

    Raises:
        AttestationRefused: the bundle is malformed.
    """
    try:
        document = strictjson.loads(bundle)
        made = pypi_attestations.Attestation.from_bundle(Bundle.from_json(bundle))
        attestation: dict[str, Any] = made.model_dump(mode="json", exclude_none=True)
        times = document["verificationMaterial"].get("timestampVerificationData", {})
        stamps = [stamp["signedTimestamp"] for stamp in times.get("rfc3161Timestamps", [])]
        if stamps:
            attestation["verification_material"]["timestamps"] = stamps
        return attestation
    except Exception as error:
        raise AttestationRefused(
            problem(
                "bundle.format",
                "the bundle cannot be written as an attestation",
                value=f"{type(error).__name__}: {error}",
                expected="a Sigstore bundle with one DSSE envelope",
                advice="tell the registry's operator",
            )
        ) from error


def publisher(signer: Identity) -> dict[str, Any]:
    """Return what a provenance document says of a verified signer.

    Workloads of GitHub, GitLab and Google are the kinds that `pypi_attestations` knows. Every
    other identity has a kind of its own, `Sigstore`: PEP 740 leaves kinds to the index. Each has
    `issuer` and `subject`, which are the verified truth that the rest is read from.
    """
    said = {"claims": None, "issuer": signer.issuer, "subject": signer.subject}
    known = _known(signer)
    return said | (known.model_dump(mode="json") if known else {"kind": KIND})


def _known(signer: Identity) -> GitHubPublisher | GitLabPublisher | GooglePublisher | None:
    issuer, subject = signer.issuer, signer.subject
    place, _, ref = subject.partition("@")
    if issuer == GITHUB and place.startswith("https://github.com/") and ref:
        parts = place.removeprefix("https://github.com/").split("/")
        if len(parts) == 5 and parts[2:4] == [".github", "workflows"] and all(parts):
            return GitHubPublisher(repository="/".join(parts[:2]), workflow=parts[4])
    if issuer == GITLAB and place.startswith("https://gitlab.com/") and ref:
        repository, _, path = place.removeprefix("https://gitlab.com/").partition("//")
        if "/" in repository and path:
            return GitLabPublisher(repository=repository, workflow_filepath=path)
    if issuer == GOOGLE and "@" in subject:
        return GooglePublisher(email=subject)
    return None


def provenance(signer: Identity, bundle: bytes) -> dict[str, Any]:
    """Return the provenance object of PEP 740 for one file.

    Args:
        signer: who signed the bundle.
        bundle: the author's Sigstore bundle (JSON).

    Raises:
        AttestationRefused: the bundle is malformed.
    """
    return {
        "version": 1,
        "attestation_bundles": [
            {"publisher": publisher(signer), "attestations": [from_bundle(bundle)]}
        ],
    }


__all__ = ["AttestationRefused", "bundle_of", "from_bundle", "provenance", "to_bundle"]
