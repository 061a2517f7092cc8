"""Private keys in files: Ed25519, PKCS8 in PEM, mode 0600, with a passphrase where one is given."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # declares no exports

from trust.errors import SealgateError, problem
from trust.tuf.checks import read_private

MAX_BYTES = 64 * 1024


class CeremonyRefused(SealgateError):
    """A step of a ceremony cannot be done; nothing was written."""


def refuse(code: str, what: str, value: object, expected: str, advice: str) -> CeremonyRefused:
    """Return a refusal; the arguments are those of `problem`."""
    return CeremonyRefused(problem(code, what, value=value, expected=expected, advice=advice))


def create(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a new file, whole and durable.

    Raises:
        CeremonyRefused: there is such a file already, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if mode == 0o600 else 0o755)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise refuse(
            "keys.exists",
            "the file is there already, and nothing is overwritten",
            path,
            "a new file",
            "name another file, or move the old one away yourself",
        ) from error
    except OSError as error:
        raise refuse(
            "keys.unwritable", "a file cannot be written", error, "a writable folder", ""
        ) from error


def read(path: Path, max_bytes: int = 32 << 20) -> bytes:
    """Read a file.

    Raises:
        CeremonyRefused: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise refuse(
            "keys.unreadable", "a file cannot be read", error, "a readable file", "check the path"
        ) from error
    if len(data) > max_bytes:
        raise refuse("keys.too-large", "a file is too large", path, f"{max_bytes} bytes", "")
    return data


def generate(path: Path, passphrase: bytes | None) -> bytes:
    """Make a private key and return its public half (PEM).

    Raises:
        CeremonyRefused: there is such a file already.
    """
    private = Ed25519PrivateKey.generate()
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    create(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how), 0o600)
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def is_encrypted(path: Path) -> bool:
    """Tell whether a private key has a passphrase."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in read(path, MAX_BYTES)


def open_private(path: Path, passphrase: bytes | None) -> CryptoSigner:
    """Read a private key that nobody else may read.

    Raises:
        SealgateError: it is none, its mode is too open, or the passphrase is wrong.
    """
    data = read(path, MAX_BYTES)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise refuse(
            "keys.mode",
            "others may read this private key",
            f"{path}: {mode:o}",
            "mode 600",
            "chmod 600; if others could have read it, rotate it: `sealgate keys rotate`",
        )
    return read_private(data, passphrase)
