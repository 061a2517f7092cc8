"""Setting a runner up: its audit key, callers' tokens, a first policy."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trust.errors import SealgateError, problem
from trust.identity import Identity
from trust.log import NoteSigner, NoteVerifier

AUDIT_ORIGIN = "sealgate.local/audit"
"""The name under which a local deployment's audit log signs; each deployment may take its own."""
KEY_NAME = "audit_signing.key"
VKEY_NAME = "audit_log.vkey"


class SetupRefused(SealgateError):
    """The runner's keys are missing, unreadable, or do not belong together."""


@dataclass(frozen=True, slots=True)
class CallerToken:
    """A new bearer token (secret) and its digest for the policy."""

    token: str
    sha256: str


def make_caller_token() -> CallerToken:
    """Return a new random token of 256 bits."""
    token = "sealgate_" + secrets.token_urlsafe(32)
    return CallerToken(token, hashlib.sha256(token.encode()).hexdigest())


def initialise(state_dir: Path, keys_dir: Path, *, origin: str = AUDIT_ORIGIN) -> NoteVerifier:
    """Make the audit log's signing key, if there is none, and publish its verifier key.

    Args:
        state_dir: the runner's private state (made with mode 0700); gets the key (0600).
        keys_dir: the deployment's public keys; gets `audit_log.vkey`.
        origin: the log's origin (C2SP tlog-checkpoint).

    Returns:
        The verifier of the log's checkpoints.

    Raises:
        SetupRefused: there is a key already and `audit_log.vkey` is another key's.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys_dir.mkdir(parents=True, exist_ok=True)
    key, vkey = state_dir / KEY_NAME, keys_dir / VKEY_NAME
    if not key.exists():
        if vkey.exists():
            raise _refused("the audit log's verifier key is pinned but its signing key is gone",
                           vkey, f"the signing key at {key}")  # fmt: skip
        signer = NoteSigner.generate(origin)
        _create(key, f"{origin}\n{signer.seed.hex()}\n")
    signer = load_signer(state_dir)
    if not vkey.exists():
        vkey.write_text(signer.verifier_key + "\n", encoding="utf-8")
    elif NoteVerifier.from_vkey(vkey.read_text(encoding="utf-8")) != signer.verifier:
        raise _refused("the pinned verifier key is not the signing key's", vkey,
                       signer.verifier_key)  # fmt: skip
    return signer.verifier


def load_signer(state_dir: Path) -> NoteSigner:
    """Read the audit log's signing key.

    Raises:
        SetupRefused: it is missing, malformed, or others may read it.
    """
    path = state_dir / KEY_NAME
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise _refused("others may read the audit log's signing key",
                           f"{path}: {mode & 0o777:o}", "mode 600")  # fmt: skip
        origin, seed = path.read_text(encoding="ascii").split()
        return NoteSigner.from_seed(origin, bytes.fromhex(seed))
    except (OSError, ValueError) as error:
        raise _refused("the audit log's signing key cannot be used", f"{path}: {error}",
                       "the key that `sealgate init` made") from error  # fmt: skip


def default_policy(
    *,
    image: str,
    registry: str,
    callers: Mapping[str, str],
    plugins: Mapping[str, Sequence[Identity]],
    runtime: str = "runc",
    driver: str = "engine",
) -> dict[str, Any]:
    """Return a first policy, which allows every caller every method of every named plugin.

    Args:
        image: the runtime image's id.
        registry: the registry's base URL.
        callers: name -> token digest (hexadecimal SHA-256).
        plugins: name -> who may publish it.
        runtime: the OCI runtime.
        driver: what makes the containers, `engine` or `oci`.
    """
    allow = [{"plugin": name, "versions": "*", "methods": ["*"]} for name in plugins]
    return {
        "schema_version": 1,
        "image": image,
        "sandbox": {"runtime": runtime, "driver": driver},
        "registry": registry,
        "admission_max_age_seconds": 300,
        "callers": [
            {"name": name, "token_sha256": digest, "audit": True, "allow": allow}
            for name, digest in callers.items()
        ],
        "plugins": [
            {
                "name": name,
                "publishers": [identity.as_dict() for identity in publishers],
                "versions": "*",
            }
            for name, publishers in plugins.items()
        ],
        "revoked": [],
        "audit": {"record_arguments": False},
    }


def _create(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _refused(what: str, value: object, expected: str) -> SetupRefused:
    return SetupRefused(
        problem(
            "runner.setup",
            what,
            value=value,
            expected=expected,
            advice="put the file back from a backup, or begin anew with `sealgate init`",
        )
    )
