"""The commands that pages tell people to type, each made in one place.

A name, version or file name here has passed the wheel's grammar (PEP 503, 440, 427), yet it is
quoted all the same: a command that somebody copies must not run anything else.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

from registry.readmodel import EvidenceView, MethodView, VersionView
from registry.reviewmodel import ToAcknowledge


def submit(filename: str = "dist/your_plugin-1.0.0-py3-none-any.whl") -> str:
    """Sign a wheel as its author and submit it."""
    return f"sealgate submit {shlex.quote(filename)}"


def sign_only(filename: str = "dist/your_plugin-1.0.0-py3-none-any.whl") -> str:
    """Make the publish attestation with PyPI's own tool."""
    return f"pypi-attestations sign {shlex.quote(filename)}"


def check(filename: str = "dist/your_plugin-1.0.0-py3-none-any.whl") -> str:
    """Check a wheel's structure and manifest locally."""
    return f"sealgate check {shlex.quote(filename)}"


def scan(filename: str = "dist/your_plugin-1.0.0-py3-none-any.whl") -> str:
    """Scan a wheel locally, to the same report."""
    return f"sealgate scan {shlex.quote(filename)}"


def _pin(name: str, version: str) -> str:
    return shlex.quote(f"{name}=={version}")


def status(view: VersionView) -> str:
    """Show where a version stands."""
    return f"sealgate status {_pin(view.name, view.version)}"


def fetch(view: VersionView) -> str:
    """Download the wheel and all its evidence into a folder."""
    return f"sealgate fetch {_pin(view.name, view.version)}"


def folder(view: VersionView) -> str:
    """Return the folder that `fetch` writes to."""
    return f"{view.name}-{view.version}"


def verify(view: VersionView) -> str:
    """Verify that folder offline, as published by the version's author."""
    publisher = shlex.quote(f"{view.author.issuer}={view.author.subject}")
    return f"sealgate verify {shlex.quote(folder(view))} --publisher {publisher}"


def approve(view: VersionView, findings: Sequence[ToAcknowledge] = ()) -> str:
    """Sign an approval and send it; each finding is acknowledged with a reason."""
    words = [f"sealgate review approve {_pin(view.name, view.version)}"]
    words += [f"--acknowledge {finding.fingerprint[:12]}='why'" for finding in findings]
    return " \\\n    ".join(words)


def reject(view: VersionView) -> str:
    """Sign a rejection and send it."""
    return f"sealgate review reject {_pin(view.name, view.version)} --comment 'why'"


def revoke(name: str, version: str = "") -> str:
    """Sign a revocation of a plugin or a version and send it."""
    what = _pin(name, version) if version else shlex.quote(name)
    kind = "version" if version else "plugin"
    return f"sealgate revoke {kind} {what} --reason 'why'"


def run(name: str, method: MethodView, version: str = "") -> str:
    """Call a method through the runner, with an argument for each that is required."""
    properties = method.arguments.get("properties")
    inner = properties if isinstance(properties, Mapping) else {}
    required = method.arguments.get("required")
    what = _pin(name, version) if version else shlex.quote(name)
    words = ["sealgate", "run", what, shlex.quote(method.name)]
    for argument in required if isinstance(required, list | tuple) else ():
        words += ["--arg", shlex.quote(f"{argument}{_example(inner.get(argument))}")]
    return " ".join(words)


def sigstore_verify(view: VersionView, bundle: EvidenceView) -> str:
    """Verify one bundle with the unmodified sigstore client."""
    return " \\\n    ".join(
        (
            "sigstore --trust-config keys/client_trust_config.json verify identity",
            f"--bundle {shlex.quote(bundle.filename)}",
            f"--cert-identity {shlex.quote(bundle.signer.subject)}",
            f"--cert-oidc-issuer {shlex.quote(bundle.signer.issuer)}",
            shlex.quote(view.filename),
        )
    )


def _example(schema: object) -> str:
    """Return a plausible value as `--arg` takes it: `=text`, or `:=` and JSON."""
    if not isinstance(schema, Mapping):
        return "=…"
    default = schema.get("default", schema.get("const"))
    if isinstance(default, str):
        return f"={default}"
    if isinstance(default, bool | int | float):
        return f":={json.dumps(default)}"
    examples = {"integer": "1", "number": "1.5", "boolean": "true", "array": "[]", "object": "{}"}
    example = examples.get(str(schema.get("type")))
    return f":={example}" if example else "=…"
