"""Reading and verifying TUF metadata where no client does it: before it is published, and after.

The runner verifies with `tuf.ngclient`; this is for who makes metadata (the registry's worker, the
ceremony), so that nothing is published that a client would refuse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.signer import (  # type: ignore[attr-defined] # declares no exports
    CryptoSigner,
    Key,
    SSlibKey,
)
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from trust import strictjson
from trust.errors import SealgateError, problem

S = TypeVar("S", Root, Snapshot, Targets, Timestamp)

MAX_BYTES: Final = 32 << 20
MAX_ROOTS: Final = 1024


class MetadataRefused(SealgateError):
    """Metadata, a key, or a chain of roots cannot be used."""


def refused(code: str, what: str, value: object, expected: str, advice: str) -> MetadataRefused:
    """Return a refusal; the arguments are those of `problem`."""
    return MetadataRefused(problem(code, what, value=value, expected=expected, advice=advice))


@dataclass(frozen=True, slots=True)
class Count:
    """How far signing has come: `have` of `need`, by the key ids in `signed`; `missing` could."""

    need: int
    signed: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether enough have signed."""
        return len(self.signed) >= self.need


def read(kind: type[S], data: bytes) -> Metadata[S]:
    """Read metadata of one type; no signature is looked at.

    Raises:
        MetadataRefused: it is no such metadata in strict JSON.
    """
    try:
        document = strictjson.loads(data, max_bytes=MAX_BYTES)
        found: Metadata[Any] = Metadata.from_dict(document)
    except Exception as error:
        value = error.problem.value if isinstance(error, SealgateError) else error
        raise refused(
            "tuf.malformed",
            "this is no TUF metadata",
            value,
            f"{kind.type} metadata (JSON)",
            "fetch or make the file again",
        ) from error
    if not isinstance(found.signed, kind):
        raise refused(
            "tuf.malformed",
            "this is the metadata of another role",
            found.signed.type,
            kind.type,
            "name the right file",
        )
    return found


def count(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> Count:
    """Return how many of a role's keys, each counted once, have signed.

    Raises:
        MetadataRefused: the delegator knows no such role.
    """
    try:
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except ValueError as error:
        raise refused(
            "tuf.unknown-role", "nobody delegates to this role", role, "a delegated role", ""
        ) from error
    return Count(result.threshold, tuple(result.signed), tuple(result.unsigned))


def check_signed(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> None:
    """Refuse metadata that not enough of its role's keys have signed.

    Raises:
        MetadataRefused: says how many are missing.
    """
    found = count(delegator, role, metadata)
    if not found.complete:
        raise refused(
            "tuf.signatures",
            f"the {role} metadata is not signed by enough of its keys",
            f"{len(found.signed)} of {found.need}",
            f"{found.need} of " + ", ".join(k[:12] for k in (*found.signed, *found.missing)),
            "collect the missing signatures with `sealgate keys sign`",
        )


def check_root(new: Metadata[Root], before: Metadata[Root] | None) -> None:
    """Check that a root follows another one: TUF specification 5.3.4 and 5.3.5.

    Args:
        new: the root in question.
        before: the root that clients trust; None for a first root, which vouches for itself.

    Raises:
        MetadataRefused: not signed by enough of the old keys and of its own, or not the next
            version, or its keys and thresholds contradict each other.
    """
    check_keys(new.signed)
    if before is not None:
        if new.signed.version != before.signed.version + 1:
            raise refused(
                "tuf.root-version",
                "the new root does not follow the old one",
                new.signed.version,
                f"version {before.signed.version + 1}",
                "begin the ceremony again from the newest root",
            )
        check_signed(before.signed, "root", new)
    check_signed(new.signed, "root", new)


def check_keys(root: Root) -> None:
    """Refuse a root that would count one key twice, or that nobody could ever fulfil.

    Raises:
        MetadataRefused: a key id is not its key's, a threshold does not fit, or snapshots are not
            consistent.
    """
    for keyid, key in root.keys.items():
        if _keyid(key) != keyid:
            raise refused(
                "tuf.keyid", "a key id is not its key's", keyid, "the hash of the key", ""
            )
    for name, role in root.roles.items():
        if not 1 <= role.threshold <= len(set(role.keyids)):
            raise refused(
                "tuf.threshold",
                f"the threshold of {name} does not fit the number of its keys",
                f"{role.threshold} of {len(set(role.keyids))}",
                "1 <= threshold <= keys",
                "name more keys, or lower the threshold",
            )
    if not root.consistent_snapshot:
        raise refused(
            "tuf.consistent", "the root does without consistent snapshots", "", "true", ""
        )


def _keyid(key: Key) -> str:
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
        return str(SSlibKey.from_crypto(public).keyid)
    except Exception:  # noqa: BLE001 - a key that cannot be read has no id
        return ""


def check_chain(pinned: bytes, newer: Iterable[bytes]) -> Metadata[Root]:
    """Follow roots from the pinned one to the newest.

    Raises:
        MetadataRefused: a root does not follow the one before it.
    """
    root = read(Root, pinned)
    check_root(root, None)
    for number, data in enumerate(newer):
        if number >= MAX_ROOTS:
            raise refused("tuf.roots", "too many roots", number, f"at most {MAX_ROOTS}", "")
        following = read(Root, data)
        check_root(following, root)
        root = following
    return root


def check_fresh(metadata: Metadata[Any], now: datetime) -> None:
    """Refuse metadata that has expired.

    Args:
        metadata: any role's.
        now: timezone-aware.

    Raises:
        MetadataRefused: it has.
    """
    if now >= metadata.signed.expires:
        raise refused(
            "tuf.expired",
            f"the {metadata.signed.type} metadata has expired",
            metadata.signed.expires.isoformat(),
            f"a time after {now.isoformat()}",
            "renew it: `sealgate keys status` says how",
        )


def read_private(pem: bytes, password: bytes | None = None) -> CryptoSigner:
    """Read a private key: Ed25519, PKCS8 in PEM, encrypted or not.

    Raises:
        MetadataRefused: it is none, or the passphrase is not the right one.
    """
    try:
        signer = CryptoSigner(load_pem_private_key(pem, password))
    except Exception as error:
        raise refused(
            "tuf.private-key",
            "the private key cannot be used",
            type(error).__name__ if password is not None else error,
            "Ed25519 in PEM (PKCS8), and its passphrase where it is encrypted",
            "name the right file and passphrase; `sealgate keys new` makes a key",
        ) from error
    _check_type(signer.public_key)
    return signer


def read_public(pem: bytes) -> SSlibKey:
    """Read a public key: Ed25519 in PEM.

    Raises:
        MetadataRefused: it is none.
    """
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(pem))
    except Exception as error:
        raise refused(
            "tuf.public-key", "the public key cannot be used", error, "Ed25519 in PEM", ""
        ) from error
    _check_type(key)
    return key


def _check_type(key: SSlibKey) -> None:
    if key.keytype != "ed25519":
        raise refused("tuf.key-type", "the key is of another type", key.keytype, "ed25519", "")
