"""Verifying one Sigstore bundle, from untrusted bytes to a statement and who signed it.

What sigstore-python verifies: the leaf certificate's chain, its embedded SCT, the signed time
(RFC 3161 timestamp or the log's signed integrated time), the log entry's inclusion proof and
checkpoint, the DSSE signature, and that the entry is about this signature. What it leaves to its
caller is done here: the payload type, the statement's type and shape, one subject, one identity,
and one way only to write the bundle down.

The rules, in order:
 1. at most `MAX_BUNDLE_BYTES` bytes of strict JSON, media type v0.3, one DSSE envelope;
 2. canonical: what sigstore-python read and wrote again is the document that came in, and the
    members that nothing signs agree with those that are signed;
 3. one certificate with one subject alternative name and one v2 issuer, both plain text;
 4. sigstore-python verifies all, under the policy of exactly that identity and issuer;
 5. the payload is an in-toto Statement v1 with one subject that has a lowercase SHA-256.

Nothing here reads a file, a clock or the network (sigstore-python itself reads the system clock
for one thing: it ignores keys of the trusted root whose validity has not begun).
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from cryptography.hazmat import asn1
from cryptography.x509 import (
    Certificate,
    ObjectIdentifier,
    RFC822Name,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    UnrecognizedExtension,
)
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy
from sigstore_models.trustroot import v1 as trustroot

from trust import strictjson
from trust.errors import SealgateError, problem
from trust.evidence.predicates import STATEMENT_TYPE
from trust.identity import Identity

MAX_BUNDLE_BYTES = 256 * 1024
MAX_TRUSTED_ROOT_BYTES = 4 * 1024 * 1024
MAX_IDENTITY = 2000
"""Characters of an issuer or a subject."""
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

_ISSUER_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHECKPOINT = re.compile("(?:[^\n]+\n){3,}\n(?:\u2014 [^ \n]+ [A-Za-z0-9+/]+={0,2}\n){1,16}")
"""A signed note (C2SP signed-note) around a checkpoint: sigstore-python skips over other lines."""


class EvidenceRefused(SealgateError):
    """A bundle does not verify, or is not evidence as this project accepts it."""


class TrustedRootInvalid(SealgateError):
    """The Sigstore trusted root cannot be used."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about.

    Attributes:
        name: the wheel's file name, as the signer wrote it.
        sha256: the wheel's digest, lowercase hexadecimal.
    """

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class VerifiedStatement:
    """A statement whose bundle verified, and who signed it.

    Attributes:
        identity: the signer, as the leaf certificate names it.
        predicate_type: the statement's `predicateType`.
        statement: the whole statement, parsed from the exact bytes that were verified.
        subjects: always one.
        bundle_sha256: digest of the bundle's bytes, lowercase hexadecimal.
        signed_at: the verified signing time, UTC.
        certificate: the leaf certificate.
    """

    identity: Identity
    predicate_type: str
    statement: dict[str, Any]
    subjects: tuple[Subject, ...]
    bundle_sha256: str
    signed_at: datetime
    certificate: Certificate = field(repr=False, compare=False)

    @property
    def predicate(self) -> Any:
        """The statement's predicate, None where it has none."""
        return self.statement.get("predicate")

    def check_signer(self, identity: Identity) -> None:
        """Let sigstore-python compare the certificate with `identity`.

        Raises:
            EvidenceRefused: somebody else signed.
        """
        try:
            _policy(identity).verify(self.certificate)
        except Exception as error:  # anything but a yes is a no
            raise EvidenceRefused(
                problem(
                    "bundle.identity",
                    "the bundle is signed by somebody else",
                    value=self.identity,
                    expected=str(identity),
                    where=self.bundle_sha256,
                )
            ) from error


def _refuse(code: str, what: str, value: object, expected: str, advice: str = "") -> NoReturn:
    raise EvidenceRefused(
        problem(
            code,
            what,
            value=value,
            expected=expected,
            advice=advice or "sign the statement anew, and hand over the bundle as it was made",
        )
    )


def _policy(identity: Identity) -> policy.VerificationPolicy:
    # Both: policy.Identity alone looks at the old issuer extension only, and at none at all
    # where the issuer is empty.
    return policy.AllOf(
        [
            policy.OIDCIssuerV2(identity.issuer),
            policy.Identity(identity=identity.subject, issuer=identity.issuer),
        ]
    )


def is_plain(text: str) -> bool:
    """Tell whether `text` may be an issuer or a subject: printable, no spaces, bounded.

    The key id of an identity hashes issuer, newline, subject: a newline in either would let two
    identities share one key id.
    """
    return 0 < len(text) <= MAX_IDENTITY and text.isprintable() and " " not in text


def _read_identity(certificate: Certificate) -> Identity:
    names = list(certificate.extensions.get_extension_for_class(SubjectAlternativeName).value)
    if len(names) != 1:
        _refuse("bundle.identity", "the certificate names several signers", names, "one name")
    name = names[0]
    if isinstance(name, RFC822Name):
        as_it_should = "@" in name.value and "://" not in name.value
    elif isinstance(name, UniformResourceIdentifier):
        as_it_should = "://" in name.value
    else:
        as_it_should = False
    subject = name.value
    if not as_it_should or not is_plain(subject):
        _refuse("bundle.identity", "the certificate's signer is unusable", name, "e-mail or URI")
    extension = certificate.extensions.get_extension_for_oid(_ISSUER_V2).value
    if not isinstance(extension, UnrecognizedExtension):
        _refuse("bundle.identity", "the certificate's issuer is unusable", extension, "DER text")
    issuer = asn1.decode_der(str, extension.value)
    if not is_plain(issuer):
        _refuse("bundle.identity", "the certificate's issuer is unusable", issuer, "a URL")
    return Identity(issuer, subject)


def _statement(payload: bytes) -> tuple[dict[str, Any], Subject]:
    statement = strictjson.loads(payload, max_bytes=MAX_BUNDLE_BYTES)
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        found = statement.get("_type") if isinstance(statement, dict) else statement
        _refuse("bundle.statement", "the payload is no in-toto statement", found, STATEMENT_TYPE)
    if not isinstance(statement.get("predicateType"), str):
        found = statement.get("predicateType")
        _refuse("bundle.statement", "the statement has no predicate type", found, "a URI")
    subjects = statement.get("subject")
    if not isinstance(subjects, list) or len(subjects) != 1 or not isinstance(subjects[0], dict):
        _refuse("bundle.subject", "the statement has not one subject", subjects, "one wheel")
    name, digest = subjects[0].get("name"), subjects[0].get("digest")
    if not isinstance(name, str) or not name:
        _refuse("bundle.subject", "the statement's subject has no name", name, "a file name")
    sha256 = digest.get("sha256") if isinstance(digest, dict) else None
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        expected = "a sha256 of 64 lowercase hexadecimal digits"
        _refuse("bundle.subject", "the statement's subject has no usable digest", digest, expected)
    return statement, Subject(name, sha256)


class BundleVerifier:
    """Verifies bundles against one pinned Sigstore trusted root."""

    def __init__(self, trusted_root: bytes) -> None:
        """Read the trusted root.

        Args:
            trusted_root: a Sigstore `TrustedRoot` (JSON). It is given, never fetched and never
                taken from a cache.

        Raises:
            TrustedRootInvalid: it cannot be used.
        """
        try:
            strictjson.loads(trusted_root, max_bytes=MAX_TRUSTED_ROOT_BYTES)
            root = trustroot.TrustedRoot.from_json(trusted_root)
            self._log_ids = {
                base64.b64encode(log_id.key_id).decode()
                for log in root.tlogs
                for log_id in (log.log_id, log.checkpoint_key_id)
                if log_id is not None
            }
            self._verifier = Verifier(trusted_root=TrustedRoot(root))
        except Exception as error:
            raise TrustedRootInvalid(
                problem(
                    "trusted-root.invalid",
                    "the Sigstore trusted root cannot be used",
                    value=error,
                    expected="a Sigstore TrustedRoot, media type version 0.1",
                    advice="restore keys/trusted_root.json from where it was pinned",
                )
            ) from error

    def verify(self, bundle: bytes) -> VerifiedStatement:
        """Verify one bundle.

        Args:
            bundle: the bundle's JSON, untrusted.

        Raises:
            EvidenceRefused: the bundle is not evidence; nothing else is ever raised.
        """
        sha256 = ""
        try:
            if len(bundle) > MAX_BUNDLE_BYTES:
                expected = f"at most {MAX_BUNDLE_BYTES} bytes"
                _refuse("bundle.size", "the bundle is too large", f"{len(bundle)} bytes", expected)
            sha256 = hashlib.sha256(bundle).hexdigest()
            return self._verify(bundle, sha256)
        except SealgateError as error:
            raise EvidenceRefused(
                problem(
                    p.code,
                    p.what,
                    value=p.value,
                    expected=p.expected,
                    advice=p.advice,
                    where=f"bundle {sha256}",
                )
                for p in error.problems
            ) from error
        except Exception as error:
            # A hostile bundle gets VerificationError, ValueError, AttributeError and more out of
            # the libraries beneath: whatever it is, it is not a yes.
            raise EvidenceRefused(
                problem(
                    "bundle.unverified",
                    "the bundle does not verify",
                    value=f"{type(error).__name__}: {error}",
                    expected="a signature that the pinned Sigstore trusted root can vouch for",
                    advice="fetch the bundle again; if it stays so, the signer must sign anew",
                    where=f"bundle {sha256}",
                )
            ) from error

    def _verify(self, raw: bytes, sha256: str) -> VerifiedStatement:
        document = strictjson.loads(raw, max_bytes=MAX_BUNDLE_BYTES)
        media_type = document.get("mediaType") if isinstance(document, dict) else None
        if media_type != MEDIA_TYPE:
            _refuse("bundle.format", "the bundle's format is not accepted", media_type, MEDIA_TYPE)
        if "dsseEnvelope" not in document:
            _refuse("bundle.format", "the bundle has no DSSE envelope", sorted(document), "one")
        bundle = Bundle.from_json(raw)
        if strictjson.loads(bundle.to_json().encode()) != document:
            expected = "the canonical ProtoJSON form, nothing more"
            _refuse("bundle.format", "the bundle is not written canonically", sha256, expected)
        self._check_unsigned_members(document)
        identity = _read_identity(bundle.signing_certificate)
        payload_type, payload = self._verifier.verify_dsse(bundle, _policy(identity))
        if payload_type != PAYLOAD_TYPE:
            _refuse(
                "bundle.payload-type",
                "the payload type is not accepted",
                payload_type,
                PAYLOAD_TYPE,
            )
        statement, subject = _statement(payload)
        return VerifiedStatement(
            identity,
            statement["predicateType"],
            statement,
            (subject,),
            sha256,
            _signed_at(bundle, document),
            bundle.signing_certificate,
        )

    def _check_unsigned_members(self, document: dict[str, Any]) -> None:
        """Refuse members that no signature covers and that disagree with those it covers."""
        entry = document["verificationMaterial"]["tlogEntries"][0]
        proof = entry["inclusionProof"]
        expected = "the value that the signed members give"
        note = proof["checkpoint"]["envelope"]
        if not _CHECKPOINT.fullmatch(note) or not _signed_by_origin(note):
            _refuse("bundle.format", "the checkpoint is no signed note of its log", note, "C2SP")
        checkpoint_size = note.split("\n")[1]
        if proof["treeSize"] != checkpoint_size:
            _refuse(
                "bundle.format",
                "tree size and checkpoint disagree",
                proof["treeSize"],
                checkpoint_size,
            )
        if entry["logId"]["keyId"] not in self._log_ids:
            _refuse("bundle.format", "the log is not in the trusted root", entry["logId"], expected)
        time = int(entry.get("integratedTime", "0"))
        promised = "inclusionPromise" in entry
        if promised != (time != 0):
            _refuse("bundle.format", "the log's time is not signed", time, "both or neither")
        if not promised and entry["logIndex"] != proof["logIndex"]:
            _refuse(
                "bundle.format",
                "the two log indices disagree",
                entry["logIndex"],
                proof["logIndex"],
            )
        signatures = document["dsseEnvelope"]["signatures"]
        if any(signature.get("keyid") for signature in signatures):
            _refuse("bundle.format", "the envelope names a key", signatures[0]["keyid"], "none")
        times = document["verificationMaterial"].get("timestampVerificationData", {})
        if len(times.get("rfc3161Timestamps", [])) > 1:
            _refuse("bundle.format", "the bundle has several timestamps", len(times), "one")


def _signed_by_origin(note: str) -> bool:
    """Tell whether the note has exactly one signature in its log's own name, written canonically.

    The name is the origin line, or its beginning where the log adds a tree number (Rekor v1). Only
    that signature is verified; other lines are cosignatures of witnesses, which count for nothing.
    """
    text, _, signatures = note.partition("\n\n")
    origin = text.split("\n")[0]
    lines = [line.split(" ") for line in signatures.splitlines()]
    own = [value for _, name, value in lines if origin == name or origin.startswith(f"{name} - ")]
    return len(own) == 1 and base64.b64encode(base64.b64decode(own[0])).decode() == own[0]


def _signed_at(bundle: Bundle, document: dict[str, Any]) -> datetime:
    """Return the signing time of a bundle that verified: it has exactly one that counted."""
    entry = document["verificationMaterial"]["tlogEntries"][0]
    if "inclusionPromise" in entry:
        return datetime.fromtimestamp(int(entry["integratedTime"]), UTC)
    times = bundle.verification_material.timestamp_verification_data
    if times is None:
        _refuse("bundle.unverified", "the bundle has no signed time", "", "a timestamp")
    return times.rfc3161_timestamps[0].tst_info.gen_time.astimezone(UTC)
