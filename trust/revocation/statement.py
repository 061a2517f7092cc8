"""The revocation statement: making it, and reading it back from a verified bundle.

An in-toto Statement v1 of its own predicate type, signed as any other evidence by a Sigstore
identity. What a bundle says is read here; whether its signer may say it, `trust.revocation.judge`
decides.
"""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NoReturn, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from trust import strictjson
from trust.errors import SealgateError, problem
from trust.evidence.bundles import BundleVerifier, Subject, VerifiedStatement
from trust.evidence.predicates import STATEMENT_TYPE
from trust.identity import Identity
from trust.revocation.target import Target

REVOCATION: Final = "https://sealgate.dev/attestation/revocation/v1"
MAX_BUNDLE_BYTES: Final = 60_000
"""The largest revocation bundle: an entry of the log has at most 65,535 bytes."""
CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far in the future a signature may lie: clocks differ."""

Action: TypeAlias = Literal["revoke", "quarantine", "lift"]

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def _schema() -> Draft202012Validator:
    place = importlib.resources.files("trust.evidence").joinpath("schemas/revocation.schema.json")
    schema = json.loads(place.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


_VALIDATOR: Final = _schema()


class RevocationRefused(SealgateError):
    """A bundle is not a revocation, or not one of somebody who may."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """What a verified bundle takes back, or lifts.

    Attributes:
        action: `revoke` is final, `quarantine` holds until it is lifted, `lift` ends one.
        target: what.
        reason: why, for people.
        effective: from when, UTC.
        signer: the verified identity; whether it may is for `Authority` to say.
        signed_at: the verified signing time, UTC.
        bundle_sha256: digest of the bundle, which is the revocation's name.
        lifts: of a lift, the digest of the quarantine's bundle.
    """

    action: Action
    target: Target
    reason: str
    effective: datetime
    signer: Identity
    signed_at: datetime
    bundle_sha256: str
    lifts: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the revocation as a JSON-serialisable object."""
        return {
            "action": self.action,
            "target": self.target.as_dict(),
            "reason": self.reason,
            "effective": self.effective.strftime(_FORMAT),
            "signer": self.signer.as_dict(),
            "signed_at": self.signed_at.strftime(_FORMAT),
            "bundle_sha256": self.bundle_sha256,
            "lifts": self.lifts,
        }


def revocation_statement(
    target: Target,
    *,
    action: Literal["revoke", "quarantine"],
    reason: str,
    effective: datetime,
) -> bytes:
    """Return the statement (in-toto Statement v1, JSON) that takes `target` back.

    Args:
        target: what.
        action: `revoke` cannot be undone; `quarantine` can be lifted.
        reason: why, 1 to 1000 characters.
        effective: from when, timezone-aware; whole seconds.

    Raises:
        RevocationRefused: the words or the target do not have the shape of the type.
    """
    return _statement(target, action, reason, effective, None)


def lift_statement(quarantine: Revocation, *, reason: str, effective: datetime) -> bytes:
    """Return the statement that ends `quarantine`; see `revocation_statement`.

    Raises:
        RevocationRefused: it is not a quarantine, or the reason is unusable.
    """
    if quarantine.action != "quarantine":
        _refuse(
            "revocation.final",
            "only a quarantine can be lifted",
            f"{quarantine.action} of {quarantine.target}",
            "a quarantine",
            "a revocation is final: publish a new version, or name another identity",
        )
    return _statement(quarantine.target, "lift", reason, effective, quarantine.bundle_sha256)


def _statement(
    target: Target, action: Action, reason: str, effective: datetime, lifts: str | None
) -> bytes:
    predicate: dict[str, Any] = {
        "action": action,
        "target": target.as_dict(),
        "reason": reason,
        "effective": effective.astimezone(UTC).strftime(_FORMAT),
    }
    if lifts is not None:
        predicate["lifts"] = lifts
    _check(predicate)
    subject = target.subject()
    return strictjson.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": subject.name, "digest": {"sha256": subject.sha256}}],
            "predicateType": REVOCATION,
            "predicate": predicate,
        }
    )


def _refuse(
    code: str, what: str, value: object, expected: str, advice: str = "", where: str = ""
) -> NoReturn:
    raise RevocationRefused(
        problem(
            code,
            what,
            value=value,
            expected=expected,
            advice=advice or "sign it anew with `sealgate revoke`",
            where=where,
        )
    )


def _check(predicate: Any) -> None:
    error = best_match(_VALIDATOR.iter_errors(predicate))
    if error is not None:
        _refuse(
            "revocation.predicate",
            "the revocation does not have the shape of its type",
            error.message,
            "the JSON Schema revocation.schema.json",
            where="/predicate" + "".join(f"/{part}" for part in error.absolute_path),
        )


def check_parts(predicate: Any, subjects: tuple[Subject, ...]) -> Target:
    """Return the target of a revocation that is not signed yet.

    Args:
        predicate: the statement's predicate, parsed.
        subjects: the statement's subjects.

    Raises:
        RevocationRefused: it is malformed, or about another subject than its target.
    """
    _check(predicate)
    target = Target.from_dict(predicate["target"])
    if not target.is_canonical() or subjects != (target.subject(),):
        _refuse(
            "revocation.subject",
            "the statement's subject is not its target, written canonically",
            subjects,
            str(target.subject()),
        )
    return target


def read_revocation(verified: VerifiedStatement, now: datetime) -> Revocation:
    """Return what a verified bundle says.

    Args:
        verified: by `BundleVerifier`.
        now: the time, aware: a signature from the future is refused.

    Raises:
        RevocationRefused: it is no revocation, malformed, about another subject than its target,
            or signed in the future.
    """
    where = f"bundle {verified.bundle_sha256}"
    if verified.predicate_type != REVOCATION:
        _refuse(
            "revocation.type",
            "the bundle is not a revocation",
            verified.predicate_type,
            REVOCATION,
            where=where,
        )
    predicate = verified.predicate
    _check(predicate)
    target = Target.from_dict(predicate["target"])
    if not target.is_canonical():
        _refuse(
            "revocation.target",
            "the target is not written canonically",
            str(target),
            "a PEP 503 normalised name and a PEP 440 canonical version",
            where=where,
        )
    if verified.subjects != (target.subject(),):
        _refuse(
            "revocation.subject",
            "the statement's subject is not its target",
            verified.subjects,
            str(target.subject()),
            where=where,
        )
    if verified.signed_at > now + CLOCK_SKEW:
        _refuse(
            "revocation.future",
            "the revocation is signed in the future",
            verified.signed_at.isoformat(),
            f"at most {(now + CLOCK_SKEW).isoformat()}",
            "check the clock of this machine and that of the timestamp authority",
            where,
        )
    try:
        effective = datetime.strptime(predicate["effective"], _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        _refuse(
            "revocation.effective",
            "the time of effect is not a time",
            predicate["effective"],
            "such as 2030-01-31T12:00:00Z",
            where=where,
        )
    return Revocation(
        action=predicate["action"],
        target=target,
        reason=predicate["reason"],
        effective=effective,
        signer=verified.identity,
        signed_at=verified.signed_at,
        bundle_sha256=verified.bundle_sha256,
        lifts=predicate.get("lifts"),
    )


def verify_revocation(verifier: BundleVerifier, bundle: bytes, now: datetime) -> Revocation:
    """Verify a bundle and return what it says; its signer's right is not looked at.

    Args:
        verifier: bound to the pinned trusted root.
        bundle: the Sigstore bundle (JSON), untrusted.
        now: the time, aware.

    Raises:
        EvidenceRefused: the bundle does not verify.
        RevocationRefused: it is too large, or not a revocation.
    """
    if len(bundle) > MAX_BUNDLE_BYTES:
        _refuse(
            "revocation.size",
            "the revocation's bundle is too large",
            f"{len(bundle)} bytes",
            f"at most {MAX_BUNDLE_BYTES} bytes",
        )
    return read_revocation(verifier.verify(bundle), now)
