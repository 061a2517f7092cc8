"""PEP 740 attestations: what `pypi-attestations sign` writes and what PyPI serves.

An attestation has the same certificate, log entry, statement and signature as a Sigstore bundle,
in another order of members. It has no place for RFC 3161 timestamps, so only attestations whose
log signs the time (Rekor v1, such as the public instance) can be converted: without a signed time
a bundle proves nothing.
"""

from __future__ import annotations

from pypi_attestations import Attestation

from trust import strictjson
from trust.errors import problem
from trust.evidence.bundles import MAX_BUNDLE_BYTES, EvidenceRefused


def is_attestation(document: bytes) -> bool:
    """Tell whether `document` looks like a PEP 740 attestation rather than a bundle."""
    try:
        value = strictjson.loads(document, max_bytes=MAX_BUNDLE_BYTES)
    except strictjson.InvalidJSON:
        return False
    return isinstance(value, dict) and {"version", "verification_material", "envelope"} <= set(
        value
    )


def to_bundle(attestation: bytes) -> bytes:
    """Convert a PEP 740 attestation (JSON) into a Sigstore bundle (JSON), unverified.

    Raises:
        EvidenceRefused: it is no attestation, or has no signed time.
    """
    try:
        strictjson.loads(attestation, max_bytes=MAX_BUNDLE_BYTES)
        return Attestation.model_validate_json(attestation).to_bundle().to_json().encode()
    except Exception as error:
        raise EvidenceRefused(
            problem(
                "bundle.attestation",
                "the PEP 740 attestation cannot be read as a bundle",
                value=error,
                expected="an attestation, version 1, whose log signs the time",
                advice="hand over the Sigstore bundle (.sigstore.json) itself",
            )
        ) from error
