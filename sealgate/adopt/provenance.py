"""The provenance of an adopted wheel: its PEP 740 attestations, verified.

Attestations say who published a file, from where. Where a wheel has them they must verify, all of
them, be about these very bytes, and be by the publisher that the provenance names; where it has
none, the plugin says so.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from typing import Any, Final

from registry.dependencies.simple import NoAnswer, SimpleApi
from registry.pypi import attestations
from sealgate.adopt.resolve import NotAdopted
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.evidence.bundles import BundleVerifier
from trust.evidence.predicates import SUBMIT
from trust.identity import Identity
from trust.wheel import Dependency

MAX_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Attested:
    """Who published the wheel, as its attestations prove."""

    signer: Identity
    predicate_type: str


def public_root() -> bytes:
    """Return the trusted root of the public Sigstore instance that sigstore-python carries."""
    folder = importlib.resources.files("sigstore._store")
    place = folder / "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev" / "trusted_root.json"
    return place.read_bytes()


def fetch(index: str, wheel: Dependency) -> bytes | None:
    """Ask an index for a file's provenance (PEP 740); None where it has none.

    Args:
        index: the base of a Simple API.
        wheel: the file.

    Raises:
        NotAdopted: the index gives no usable answer, or lists the file with another digest.
    """
    api = SimpleApi(index)
    try:
        files = api.files(wheel.name, wheel.filename)
        if files is None or len(files) != 1:
            value = "no such project" if files is None else f"{len(files)} such files"
            raise _bad("the index's list of files cannot be used", value, wheel.filename)
        (line,) = files
        if line.sha256 != wheel.sha256:
            expected = f"sha256:{wheel.sha256}, as downloaded"
            raise _bad("the index lists another file", f"sha256:{line.sha256}", expected)
        if line.provenance is None:
            return None
        data = api.get(line.provenance, MAX_BYTES)
    except NoAnswer as error:
        found = error.problem
        raise _bad(found.what, f"{found.value} from {found.where}", found.expected) from error
    if data is None:
        raise _bad("the index gives no provenance", f"status 404 from {line.provenance}", "one")
    return data


def verify(provenance: bytes, wheel: Dependency, trusted_root: bytes) -> tuple[Attested, ...]:
    """Verify every attestation of a provenance document (PEP 740).

    Args:
        provenance: the document, JSON.
        wheel: the file that it must be about.
        trusted_root: the Sigstore `TrustedRoot` (JSON) to verify against.

    Raises:
        NotAdopted: the document is malformed or has no attestation, one does not verify, is about
            another file, or is by another publisher than it names.
    """
    try:
        document = strictjson.loads(provenance, max_bytes=MAX_BYTES)
        bundles = [
            (entry["publisher"], attestation)
            for entry in document["attestation_bundles"]
            for attestation in entry["attestations"]
        ]
    except (SealgateError, KeyError, TypeError) as error:
        raise _bad("the provenance cannot be read", error, "PEP 740, version 1") from error
    if not bundles:
        raise _bad("the provenance has no attestation", "none", "at least one")
    verifier = BundleVerifier(trusted_root)
    return tuple(_verify(verifier, *item, wheel) for item in bundles)


def _verify(
    verifier: BundleVerifier, publisher: Any, attestation: Any, wheel: Dependency
) -> Attested:
    try:
        statement = verifier.verify(attestations.to_bundle(attestation))
    except SealgateError as error:
        raise NotAdopted(error.problems) from error
    subject = statement.subjects[0]
    if (subject.name, subject.sha256) != (wheel.filename, wheel.sha256):
        value = f"{subject.name} sha256:{subject.sha256}"
        expected = f"{wheel.filename} sha256:{wheel.sha256}"
        raise _bad("an attestation is about another file", value, expected)
    said = attestations.publisher(statement.identity)
    names = ("kind", "repository", "workflow", "workflow_filepath", "email")
    known = {key: said[key] for key in names if said.get(key) is not None}
    claimed = dict(publisher) if isinstance(publisher, dict) else {}
    if known["kind"] != attestations.KIND and {key: claimed.get(key) for key in known} != known:
        value = f"{claimed} for a signature by {statement.identity}"
        raise _bad("an attestation is by another publisher than it names", value, str(known))
    if known["kind"] == attestations.KIND and claimed.get("kind") != attestations.KIND:
        value = f"{claimed} for a signature by {statement.identity}"
        raise _bad("an attestation is by another publisher than it names", value, "its signer")
    if statement.predicate_type not in (SUBMIT, "https://slsa.dev/provenance/v1"):
        raise _bad("an attestation says something unknown", statement.predicate_type, SUBMIT)
    return Attested(statement.identity, statement.predicate_type)


def _bad(what: str, value: object, expected: str) -> NotAdopted:
    return NotAdopted(
        problem(
            "adopt.provenance",
            what,
            value=value,
            expected=expected,
            advice="do not use this file before its project has explained that",
        )
    )
