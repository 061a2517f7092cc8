"""The worker's online keys: Ed25519 in PEM (PKCS8), one file each, mode 0600.

Which of them count is what the root and the top-level targets say; a key that neither names signs
nothing. So a new key may lie here before the ceremony that puts it in force.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib.signer import (  # type: ignore[attr-defined] # declares no exports
    CryptoSigner,
    SSlibKey,
)
from tuf.api.metadata import Root, Targets

from trust.tuf.checks import MetadataRefused, read_private, refused
from trust.tuf.names import ONLINE


@dataclass(frozen=True, slots=True)
class OnlineKeys:
    """The private keys in a folder; read anew at each use, so that a new one counts at once."""

    folder: Path

    def signers(self) -> dict[str, CryptoSigner]:
        """Return key id -> signer.

        Raises:
            MetadataRefused: a file is no key, or others may read it.
        """
        found = {}
        for path in sorted(self.folder.glob("*.pem")):
            mode = path.stat().st_mode & 0o777
            if mode & 0o077:
                raise refused(
                    "tuf.key-mode",
                    "others may read an online key",
                    f"{path.name}: {mode:o}",
                    "mode 600",
                    "chmod 600, and rotate the key if others could have read it",
                )
            signer = read_private(path.read_bytes())
            found[signer.public_key.keyid] = signer
        return found

    def of(self, delegator: Root | Targets, role: str) -> Sequence[CryptoSigner]:
        """Return enough signers of a role.

        Raises:
            MetadataRefused: the folder has too few of the role's keys.
        """
        wanted = delegator.get_delegated_role(role)
        held = self.signers()
        found = [held[keyid] for keyid in wanted.keyids if keyid in held]
        if len(found) < wanted.threshold:
            raise refused(
                "tuf.online-key",
                f"the worker does not hold enough keys of the role {role}",
                f"{len(found)} of {wanted.threshold}",
                ", ".join(wanted.keyids),
                "put the role's key into the worker's folder, or rotate it: `sealgate keys rotate`",
            )
        return found

    def make(self, role: str) -> bytes:
        """Make a key for a role and return its public half (PEM). Nothing is overwritten.

        Raises:
            MetadataRefused: this is no online role.
            FileExistsError: the file is there already.
        """
        if role not in ONLINE:
            raise refused("tuf.role", "this role has no online key", role, ", ".join(ONLINE), "")
        private = Ed25519PrivateKey.generate()
        public: SSlibKey = SSlibKey.from_crypto(private.public_key())
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{role}-{public.keyid[:12]}.pem"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            os.fsync(file.fileno())
        return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


__all__ = ["MetadataRefused", "OnlineKeys"]
