"""The confined process: import, rehearse, confine, read the wheel, analyse, reply.

The order is the control. Everything that has to be read from disk is read before `jail.enter`,
and the first byte of the wheel after it. The rehearsal is a whole analysis of a small wheel of our
own: what a library would load only when it is used is loaded by then.
"""

from __future__ import annotations

import gc
import io
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scanner import frames, jail
from scanner.model import Analysis
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.wheel import Dependency
from trust.wheel.record import digest_of

REQUEST_FIELDS = 4
"""The wheel's file name, the policy, what the lock says of a dependency (or nothing), the wheel."""

PRELOADED_ENCODINGS = ("ascii", "latin-1", "iso8859-15", "cp1252", "utf-8-sig")
_OWN_ENCODINGS = ("unicode_escape", "raw_unicode_escape")
"""Encodings of sources, beside UTF-8, that can be read; others make the scan incomplete."""

_COLLECTOR = (100_000, 2, 5)
"""Garbage is collected rarely: syntax trees are many objects that live and die together."""

_REHEARSED = "rehearsal"


def main(bounds: Mapping[str, Any]) -> int:
    """Run the process to its end; return its exit status."""
    analysis = _prepare(bounds)
    if analysis is None:
        analysis = _analyse()
    reply = strictjson.dumps(analysis.as_dict())
    _send(frames.REPLY, reply)
    sys.stdout.flush()
    os._exit(0)


def _send(kind: bytes, payload: bytes) -> None:
    data = memoryview(frames.pack_record(kind, payload))
    while data:
        data = data[os.write(1, data) :]


def _prepare(bounds: Mapping[str, Any]) -> Analysis | None:
    """Load, rehearse and confine; return an incomplete analysis where that cannot be done."""
    try:
        from scanner import analysis
        from scanner.bandit_run import Bandit

        for encoding in PRELOADED_ENCODINGS + _OWN_ENCODINGS:
            "".encode(encoding)
        _STATE["analyse"] = analysis.analyse
        _STATE["bandit"] = Bandit(bounds["bandit"])
        _rehearse()
        sys.meta_path.clear()
        gc.freeze()
        gc.set_threshold(*_COLLECTOR)
        jail.enter(
            Path(bounds["scratch"]),
            jail.Bounds(
                bounds["cpu_seconds"], bounds["memory_bytes"], bounds["require_network_isolation"]
            ),
        )
    except SealgateError as error:
        return Analysis(problems=error.problems)
    except ImportError as error:
        return _incomplete(
            "scan.dependency-missing",
            "a part of the scanner cannot be imported, so nothing was scanned",
            error,
            "every package of the lock file",
            "install Sealgate's locked dependencies again",
        )
    except jail.JailRefused as error:
        return _incomplete(
            "scan.confinement-refused",
            "the scanner cannot be confined here, so it did not open the wheel",
            error,
            "a host that grants network namespaces, to root or by user namespaces",
            "run the scanner where unshare(2) is permitted; docs/scanner.md says what it needs",
        )
    return None


_STATE: dict[str, Any] = {}


def _analyse() -> Analysis:
    name, policy, locked, wheel = frames.read_request(sys.stdin.buffer, REQUEST_FIELDS)
    result: Analysis = _STATE["analyse"](
        wheel,
        name.decode(),
        json.loads(policy),
        _STATE["bandit"],
        lambda path: _send(frames.PROGRESS, path.encode("utf-8", "backslashreplace")),
        Dependency(**json.loads(locked)) if locked else None,
    )
    return result


def _ignore(path: str) -> None:
    del path


def _incomplete(code: str, what: str, value: object, expected: str, advice: str) -> Analysis:
    return Analysis(problems=(problem(code, what, value=value, expected=expected, advice=advice),))


def _rehearse() -> None:
    """Analyse a wheel of our own, which must come out complete.

    Raises:
        RuntimeError: it did not: this installation does not work.
    """
    name, wheel = rehearsal_wheel()
    result: Analysis = _STATE["analyse"](wheel, name, {}, _STATE["bandit"], _ignore)
    if result.problems or not result.findings:
        raise RuntimeError(f"the rehearsal did not end well: {result.problems}")


def rehearsal_wheel() -> tuple[str, bytes]:
    """Return the file name and the bytes of a small valid wheel, for `_rehearse`."""
    info = f"{_REHEARSED}-1.0.dist-info"
    source = (
        "import subprocess\n\n\n"
        "def run(arguments):\n    assert arguments\n    return subprocess.run(['true'])\n"
    )
    manifest = {
        "schema_version": 1,
        "name": _REHEARSED,
        "summary": "A rehearsal.",
        "methods": {
            "run": {
                "callable": f"{_REHEARSED}:run",
                "summary": "Run.",
                "arguments": {"type": "object"},
                "result": {"type": "object"},
            }
        },
        "limits": {},
        "permissions": [],
    }
    members = {
        f"{_REHEARSED}/__init__.py": source,
        f"{_REHEARSED}/plugin.json": json.dumps(manifest),
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {_REHEARSED}\nVersion: 1.0\nSummary: A rehearsal.\n"
        ),
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: sealgate\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        f"{info}/entry_points.txt": f"[sealgate.plugins]\n{_REHEARSED} = {_REHEARSED}\n",
    }
    record = "".join(
        f"{path},{digest_of(body.encode())},{len(body.encode())}\n"
        for path, body in members.items()
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, body in {**members, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, body)
    return f"{_REHEARSED}-1.0-py3-none-any.whl", buffer.getvalue()
