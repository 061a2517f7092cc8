"""Where the time of one call goes: the parts of the runner's road, timed in its own process.

Each part is a method of the product, wrapped from outside; the product has no code for this. The
parts do not overlap, except that `total` (the WSGI application) holds all the others.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import runner.desk as desk_module
import runner.front as front_module
import runner.service as service_module
from runner.admission import Admissions
from runner.audit import Audit
from runner.front import Front
from runner.sandbox import Sandbox
from runner.sandbox.cell import CellSandbox
from runner.schemas import CompiledSchema
from runner.service import Runner
from trust.log import MerkleLog

NAMES = {
    "authenticate": "find the caller by the token's digest",
    "parse": "strict JSON and the request's schema",
    "policy": "may the caller call this, was it revoked",
    "admission": "is it admitted (gate's decision, cached)",
    "arguments": "the arguments' digest for the record",
    "schema": "arguments (and then the result) against the manifest's schemas",
    "audit decision": "the decision's record on disk, waiting included",
    "sandbox": "take a container, send the frame, run, read the frame, give it back",
    "audit outcome": "the outcome's record on disk, waiting included",
    "receipt": "inclusion proof and checkpoint",
    "answer": "the reply as JSON",
    "total": "the whole WSGI application",
    "append": "(within both audits) the log's transaction with its fsync, in the writer's thread",
}


class Phases:
    """Wraps the parts of the runner and keeps the seconds of every call."""

    def __init__(self) -> None:
        self.samples: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def _add(self, name: str, seconds: float) -> None:
        with self._lock:
            self.samples.setdefault(name, []).append(seconds)

    def timed(self, function: Callable[..., Any], name: str | Callable[..., str]) -> Any:
        """Return `function` with its time added to a part."""

        @functools.wraps(function)
        def wrapper(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                taken = time.perf_counter() - start
                self._add(name if isinstance(name, str) else name(*args, **options), taken)

        return wrapper

    def install(self) -> None:
        """Wrap everything, for the life of this process."""
        places: list[tuple[Any, str, Any]] = [
            (Runner, "authenticate", "authenticate"),
            (front_module, "parse_request", "parse"),
            (Admissions, "admit", "admission"),
            (CompiledSchema, "check", _schema),
            (Audit, "append", _audit),
            (Audit, "receipt", "receipt"),
            (Sandbox, "execute", "sandbox"),
            (CellSandbox, "execute", "sandbox"),
            (desk_module, "kept", "answer"),
            (Front, "__call__", "total"),
            (MerkleLog, "append_many", "append"),
            (service_module.Call, "take_arguments", "arguments"),
        ]
        for owner, attribute, name in places:
            setattr(owner, attribute, self.timed(getattr(owner, attribute), name))

    def write(self, path: Path) -> None:
        """Write the samples, in milliseconds."""
        with self._lock:
            parts = {
                name: [round(seconds * 1e3, 4) for seconds in samples]
                for name, samples in self.samples.items()
            }
        path.write_text(json.dumps(parts), encoding="utf-8")


def _schema(*_: Any, code: str, **__: Any) -> str:
    return "request schema" if code == "request.schema" else "schema"


def _audit(_audit: Any, record: Any, **_: Any) -> str:
    return "audit decision" if record.get("type") == "decision" else "audit outcome"
