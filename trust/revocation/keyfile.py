"""The revocation log's signing key in a private file: origin and seed, one a line, mode 0600."""

from __future__ import annotations

import os
from pathlib import Path

from trust.errors import SealgateError, problem
from trust.log import NoteSigner


class KeyUnusable(SealgateError):
    """The revocation log's signing key is missing, malformed, or others may read it."""


def create_signer(path: Path, origin: str) -> NoteSigner:
    """Make a key in a new file; one that is there already is read instead.

    Args:
        path: the file; its folder is made with mode 0700.
        origin: the log's name (C2SP tlog-checkpoint).

    Raises:
        KeyUnusable: there is a file that cannot be used.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        signer = NoteSigner.generate(origin)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{origin}\n{signer.seed.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
    return load_signer(path)


def load_signer(path: Path) -> NoteSigner:
    """Read the key.

    Raises:
        KeyUnusable: it is missing, malformed, or others may read it.
    """
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise ValueError(f"mode {mode:o}, expected 600")
        origin, seed = path.read_text(encoding="ascii").split()
        return NoteSigner.from_seed(origin, bytes.fromhex(seed))
    except (OSError, ValueError) as error:
        raise KeyUnusable(
            problem(
                "revocation-log.key",
                "the revocation log's signing key cannot be used",
                value=f"{path}: {error}",
                expected="the key that `sealgate init` made, with mode 600",
                advice="put the file back from a backup",
            )
        ) from error
