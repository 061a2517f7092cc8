"""Audit records: what stands in the log about each call. Valid against `audit.schema.json`.

A record is canonical JSON, so that its bytes (and its leaf hash) follow from its content. It has
digests of the arguments, never their values unless the policy says so; and no tokens, ever.
"""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.clock import iso
from runner.schemas import CompiledSchema
from trust import strictjson
from trust.errors import Problem, shown
from trust.identity import Identity

if TYPE_CHECKING:  # it costs sigstore, which a client of the runner does not need
    from trust.revocation import Revocation

SCHEMA_PATH = Path(__file__).with_name("audit.schema.json")
MAX_RECORDED_ARGUMENTS = 16 << 10
"""Bytes of arguments that a record holds where the policy asks for them; larger: only a digest."""
MAX_PROBLEMS = 40


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form, in hexadecimal."""
    return hashlib.sha256(strictjson.dumps(value)).hexdigest()


@dataclass(frozen=True, slots=True)
class Origin:
    """What is the same in every record of one runner process."""

    layout_sha256: str
    policy_sha256: str
    trust_epoch: str
    image: str
    runner_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    hostname: str = field(default_factory=lambda: socket.gethostname()[:255])
    pid: int = field(default_factory=os.getpid)


@dataclass(slots=True)
class Call:
    """What is known of one call so far; its road fills it in."""

    request_id: str
    caller: str | None = None
    plugin: str | None = None
    version: str | None = None
    method: str | None = None
    wheel_sha256: str | None = None
    arguments_sha256: str | None = None
    arguments: Any = None
    arguments_recorded: bool = False
    sandbox: Mapping[str, Any] | None = None
    evidence: tuple[str, ...] = ()
    author: Identity | None = None
    reviewers: tuple[Identity, ...] = ()
    cool_down_waiver: Mapping[str, str] | None = None

    def take_arguments(self, arguments: Any, data: bytes, *, recorded: bool) -> None:
        """Enter the digest of the arguments and, if `recorded` and small, their values.

        Args:
            arguments: the arguments.
            data: the same in canonical form.
            recorded: whether the policy has values recorded.
        """
        self.arguments_sha256 = hashlib.sha256(data).hexdigest()
        self.arguments_recorded = recorded and len(data) <= MAX_RECORDED_ARGUMENTS
        self.arguments = arguments if self.arguments_recorded else None


def _cut(text: str | None) -> str | None:
    return None if text is None else shown(text)


def _problems(problems: Iterable[Problem], *, values: bool) -> list[dict[str, str]]:
    """Return problems as a record has them; where no values may stand, no places may either: a
    place in arguments is made of the names of their members, which are the caller's words too.
    """
    return [
        {
            "code": p.code,
            "what": p.what,
            "value": p.value if values else "",
            "where": p.where if values else "",
        }
        for p in list(problems)[:MAX_PROBLEMS]
    ]


def _base(origin: Origin, call: Call, kind: str, now: datetime) -> dict[str, Any]:
    record: dict[str, Any] = {
        "schema_version": 1,
        "type": kind,
        "time": iso(now),
        "hostname": origin.hostname,
        "pid": origin.pid,
        "runner_id": origin.runner_id,
        "request_id": call.request_id,
        "caller": call.caller,
        "plugin": _cut(call.plugin),
        "version": _cut(call.version),
        "wheel_sha256": call.wheel_sha256,
        "method": _cut(call.method),
        "arguments_sha256": call.arguments_sha256,
        "layout_sha256": origin.layout_sha256,
        "policy_sha256": origin.policy_sha256,
        "trust_epoch": origin.trust_epoch,
        "image": origin.image,
        "sandbox": dict(call.sandbox) if call.sandbox is not None else None,
        "decision": None,
        "status": None,
        "problems": [],
        "evidence": list(call.evidence),
        "author": call.author.as_dict() if call.author else None,
        "reviewers": [identity.as_dict() for identity in call.reviewers],
        "usage": None,
        "result_sha256": None,
        "decision_index": None,
    }
    if call.arguments_recorded:
        record["arguments"] = call.arguments
    if call.cool_down_waiver is not None:
        record["cool_down_waiver"] = dict(call.cool_down_waiver)
    return record


def admitted(origin: Origin, call: Call, now: datetime) -> dict[str, Any]:
    """Return the record that must be durable before the call is executed."""
    return _base(origin, call, "decision", now) | {"decision": "admitted"}


def refused(
    origin: Origin, call: Call, now: datetime, status: str, problems: Sequence[Problem]
) -> dict[str, Any]:
    """Return the one record of a call that is not executed.

    Problems with the arguments are recorded without the offending values, unless the policy
    has arguments recorded.
    """
    values = status != "invalid_arguments" or call.arguments_recorded
    return _base(origin, call, "decision", now) | {
        "decision": "refused",
        "status": status,
        "problems": _problems(problems, values=values),
    }


def outcome(
    origin: Origin,
    call: Call,
    now: datetime,
    status: str,
    *,
    decision_index: int,
    problems: Sequence[Problem] = (),
    usage: Mapping[str, Any] | None = None,
    result_sha256: str | None = None,
    record_values: bool = False,
) -> dict[str, Any]:
    """Return how an admitted call ended, with the digest of the result and not the result.

    The problems' values may be the plugin's words or the arguments', and are left out unless the
    policy has arguments recorded, or `record_values` says that they are the runner's own.
    """
    return _base(origin, call, "outcome", now) | {
        "status": status,
        "problems": _problems(problems, values=record_values or call.arguments_recorded),
        "usage": dict(usage) if usage is not None else None,
        "result_sha256": result_sha256,
        "decision_index": decision_index,
    }


def interrupted(
    origin: Origin, decision: Mapping[str, Any], decision_index: int, now: datetime
) -> dict[str, Any]:
    """Return the outcome of a call whose runner died before it could record one.

    Args:
        origin: of the runner that found it.
        decision: the admitted record of the dead runner.
        decision_index: its index in the log.
        now: when it was found.
    """
    record = {name: value for name, value in decision.items() if name != "arguments"}
    return record | {
        "type": "outcome",
        "time": iso(now),
        "hostname": origin.hostname,
        "pid": origin.pid,
        "runner_id": origin.runner_id,
        "decision": None,
        "status": "interrupted",
        "decision_index": decision_index,
        "problems": [
            {
                "code": "call.interrupted",
                "what": "the runner ended before it recorded the call's outcome",
                "value": f"runner {decision.get('runner_id')} pid {decision.get('pid')}",
                "where": "",
            }
        ],
    }


def turned_away(
    origin: Origin,
    call: Call,
    now: datetime,
    status: str,
    problems: Sequence[Problem],
    *,
    kind: str,
    attempts: int,
) -> dict[str, Any]:
    """Return the record of requests that were no call yet; shows the last one.

    Args:
        origin: of this runner.
        call: the last request's id and, where it is known, its caller.
        now: the time.
        status: what they were answered.
        problems: why.
        kind: `unauthenticated` (no valid token) or `turned_away` (over a quota).
        attempts: how many there were since the last such record.
    """
    return _base(origin, call, kind, now) | {
        "status": status,
        "problems": _problems(problems, values=False),
        "attempts": attempts,
    }


def handed(origin: Origin, found: Revocation, now: datetime) -> dict[str, Any]:
    """Return the record of a revocation that somebody handed to the runner.

    Args:
        origin: of this runner.
        found: what the verified bundle says; its signer may say it.
        now: the time.
    """
    call = Call(
        str(uuid.uuid4()),
        plugin=found.target.plugin,
        version=found.target.version,
        evidence=(found.bundle_sha256,),
    )
    return _base(origin, call, "revocation", now) | {"revocation": found.as_dict()}


@cache
def _schema() -> CompiledSchema:
    return CompiledSchema(strictjson.loads(SCHEMA_PATH.read_bytes()))


def check(record: Any) -> tuple[Problem, ...]:
    """Return what breaks `audit.schema.json` in a record, or ()."""
    return _schema().check(record, code="audit.schema", subject="the record")
