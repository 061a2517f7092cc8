"""Where the authority's keys live: one directory, mode 0700, one PEM file each, mode 0600.

The directory appears whole or not at all: it is filled under a temporary name and renamed.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authority import files
from authority.keys import AuthorityKeys

_EC_KEYS = ("ca", "ct", "tsa", "oidc")
_CHAINS = ("ca_chain", "tsa_chain")


class KeyStore:
    """The keys in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def load_or_create(self, now: datetime) -> AuthorityKeys:
        """Return the stored keys; make and store new ones if there are none.

        Raises:
            StateRefused: what is stored is open to others, incomplete, or inconsistent.
        """
        if not self.directory.is_symlink() and not self.directory.exists():
            self._create(AuthorityKeys.generate(now))
        return self.load()

    def load(self) -> AuthorityKeys:
        """Return the stored keys.

        Raises:
            StateRefused: they are missing, open to others, incomplete, or inconsistent.
        """
        try:
            if self.directory.is_symlink() or not self.directory.is_dir():
                raise FileNotFoundError(f"{self.directory} is not a directory")
            files.private_directory(self.directory)
            keys = self._read()
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            files.refuse(
                "the authority's keys cannot be read",
                error,
                "the files that `sealgate init` made",
                "restore them from a backup; new keys mean a new trust root for every client",
                self.directory,
            )
        self._check(keys)
        return keys

    def _create(self, keys: AuthorityKeys) -> None:
        files.private_directory(self.directory.parent)
        temporary = Path(tempfile.mkdtemp(prefix=".keys.", dir=self.directory.parent))
        try:
            for name in (*_EC_KEYS, "log"):
                pem = getattr(keys, name).private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
                files.write_private(temporary / f"{name}.pem", pem)
            for name in _CHAINS:
                chain = getattr(keys, name)
                pem = b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain)
                files.write_private(temporary / f"{name}.pem", pem)
            # Fails if another process was faster: then its keys are the ones to load.
            if not self.directory.exists():
                temporary.rename(self.directory)
        except OSError:
            if not self.directory.exists():
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        files.sync_directory(self.directory.parent)

    def _read(self) -> AuthorityKeys:
        loaded: dict[str, ec.EllipticCurvePrivateKey] = {}
        for name in _EC_KEYS:
            key = self._private_key(name)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise TypeError(f"{name}.pem is not an ECDSA key")
            loaded[name] = key
        log = self._private_key("log")
        if not isinstance(log, Ed25519PrivateKey):
            raise TypeError("log.pem is not an Ed25519 key")
        return AuthorityKeys(
            **loaded, log=log, ca_chain=self._chain("ca_chain"), tsa_chain=self._chain("tsa_chain")
        )

    def _private_key(self, name: str) -> object:
        return serialization.load_pem_private_key(
            files.read_private(self.directory / f"{name}.pem"), password=None
        )

    def _chain(self, name: str) -> tuple[x509.Certificate, x509.Certificate]:
        pem = files.read_private(self.directory / f"{name}.pem")
        certificate, root = x509.load_pem_x509_certificates(pem)
        return certificate, root

    def _check(self, keys: AuthorityKeys) -> None:
        """Refuse certificates that do not belong to the keys or to each other."""
        for key, chain in ((keys.ca, keys.ca_chain), (keys.tsa, keys.tsa_chain)):
            belongs = chain[0].public_key() == key.public_key()
            try:
                chain[0].verify_directly_issued_by(chain[1])
                chain[1].verify_directly_issued_by(chain[1])
            except (ValueError, TypeError, InvalidSignature):
                belongs = False
            if not belongs:
                files.refuse(
                    "a certificate does not belong to its key",
                    chain[0].subject.rfc4514_string(),
                    "the certificate made together with the key",
                    "restore the whole directory from one backup",
                    self.directory,
                )
