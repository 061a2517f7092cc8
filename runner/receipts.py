"""Receipts: what a caller holds that proves, without the runner, that its call is in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.records import digest_of
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.log import Checkpoint, NoteVerifier, Receipt
from trust.outcomes import Failed, Passed

MAX_ENTRY_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Proved:
    """What a receipt proves: the record, and the signed checkpoint of a log that holds it."""

    index: int
    record: Mapping[str, Any]
    checkpoint: Checkpoint


def make_receipt(receipt: Receipt, entry: bytes) -> dict[str, Any]:
    """Return the JSON object that a reply carries: the log's receipt and the record's text."""
    return receipt.as_dict() | {"entry": entry.decode()}


def verify_receipt(receipt: Mapping[str, Any] | None, vkey: str) -> Passed[Proved] | Failed:
    """Verify a receipt by nothing but the log's pinned key: no network, no clock.

    Args:
        receipt: the `receipt` member of a reply, unchanged.
        vkey: the log's verifier key line (C2SP signed-note), from the deployment's keys/.
    """
    if not isinstance(receipt, Mapping):
        return Failed((_malformed(receipt),))
    entry = receipt.get("entry")
    if not isinstance(entry, str):
        return Failed((_malformed(entry),))
    try:
        data = entry.encode()
        verifier = NoteVerifier.from_vkey(vkey)
        parsed = Receipt.from_dict(receipt)
        checkpoint = parsed.verify(verifier, data)
        record = strictjson.loads(data, max_bytes=MAX_ENTRY_BYTES)
    except SealgateError as error:
        return Failed(error.problems)
    except (ValueError, TypeError, AttributeError) as error:
        return Failed((_malformed(error),))
    if not isinstance(record, dict):
        return Failed((_malformed(entry),))
    return Passed(Proved(parsed.index, record, checkpoint))


def verify_reply_receipt(reply: Mapping[str, Any], vkey: str) -> Passed[Proved] | Failed:
    """Verify the receipt in a whole reply, and that its record is about this very reply."""
    outcome = verify_receipt(reply.get("receipt"), vkey)
    if isinstance(outcome, Failed):
        return outcome
    record = outcome.value.record
    evidence = reply.get("evidence") or {}
    result = digest_of(reply.get("result")) if reply.get("status") == "ok" else None
    differences = tuple(
        problem(
            "receipt.other-call",
            f"the receipt's record is about another {what}",
            value=said,
            expected=str(recorded),
            advice="do not rely on this reply; ask the operator for the record of this request",
        )
        for what, said, recorded in (
            ("request", reply.get("request_id"), record.get("request_id")),
            ("status", reply.get("status"), record.get("status")),
            ("result", result, record.get("result_sha256")),
            ("wheel", evidence.get("wheel_sha256"), record.get("wheel_sha256")),
        )
        if said != recorded
    )
    return Failed(differences) if differences else outcome


def _malformed(value: object) -> Any:
    return problem(
        "receipt.malformed",
        "the receipt is malformed",
        value=value,
        expected="an object with index, leaf_hash, checkpoint, inclusion_proof and entry",
        advice="pass the `receipt` object of a reply unchanged",
    )
