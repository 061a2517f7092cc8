"""The layout's owners: Ed25519 keys kept offline, of which k must sign.

The file is `{"schema_version": 1, "threshold": k, "keys": {keyid: key}}` with securesystemslib's
key dictionaries. A key id is the hash of its key (securesystemslib's default), so that one key
cannot stand there twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined] # declares no exports

from trust import strictjson
from trust.layout.problems import refuse

MAX_OWNERS = 64
_SCHEMA_VERSION = 1
_HEX32 = re.compile(r"[0-9a-f]{64}")
_ADVICE = "restore keys/layout_owners.json from where it was pinned"


def public_owner_key(public_key: Ed25519PublicKey) -> tuple[str, dict[str, Any]]:
    """Return the key id and the key dictionary of an owner's public key."""
    key = SSlibKey.from_crypto(public_key)
    return key.keyid, key.to_dict()


def _check_key(keyid: str, key: Any) -> None:
    where = f"/keys/{keyid}"
    if not isinstance(key, dict) or set(key) != {"keytype", "scheme", "keyval"}:
        refuse(
            "owners.key",
            "an owner's key has other members",
            value=key,
            expected="keytype, scheme, keyval",
            advice=_ADVICE,
            where=where,
        )
    keyval = key["keyval"]
    public = keyval.get("public") if isinstance(keyval, dict) and len(keyval) == 1 else None
    if (key["keytype"], key["scheme"]) != ("ed25519", "ed25519") or not isinstance(public, str):
        refuse(
            "owners.key",
            "an owner's key is of another type",
            value=key,
            expected="ed25519",
            advice=_ADVICE,
            where=where,
        )
    if not _HEX32.fullmatch(public):
        refuse(
            "owners.key",
            "an owner's key is malformed",
            value=public,
            expected="64 lowercase hexadecimal digits",
            advice=_ADVICE,
            where=where,
        )
    expected, _ = public_owner_key(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    if keyid != expected:
        refuse(
            "owners.keyid",
            "an owner's key id is not the hash of the key",
            value=keyid,
            expected=expected,
            advice=_ADVICE,
            where=where,
        )


@dataclass(frozen=True, slots=True)
class Owners:
    """Who owns the layout.

    Attributes:
        threshold: how many of them must have signed.
        keys: key id -> securesystemslib key dictionary (Ed25519).

    Raises:
        LayoutRefused: a key id is not its key's, or the threshold does not fit the keys.
    """

    threshold: int
    keys: Mapping[str, dict[str, Any]]

    @classmethod
    def of(cls, threshold: int, keys: Iterable[Ed25519PublicKey]) -> Owners:
        """Make an owners file's content.

        Raises:
            LayoutRefused: the threshold does not fit the keys.
        """
        return cls(threshold, dict(public_owner_key(key) for key in keys))

    @classmethod
    def parse(cls, data: bytes) -> Owners:
        """Read an owners file.

        Raises:
            LayoutRefused: it is malformed, or a key id is not its key's.
        """
        try:
            document = strictjson.loads(data)
        except strictjson.InvalidJSON as error:
            refuse(
                "owners.format",
                "the file of the layout's owners is not JSON",
                value=error.problem.value,
                expected=error.problem.expected,
                advice=_ADVICE,
            )
        if (
            not isinstance(document, dict)
            or set(document) != {"schema_version", "threshold", "keys"}
            or document["schema_version"] != _SCHEMA_VERSION
            or not isinstance(document["keys"], dict)
        ):
            refuse(
                "owners.format",
                "the file of the layout's owners is malformed",
                value=document,
                expected="schema_version 1, threshold, keys",
                advice=_ADVICE,
            )
        return cls(document["threshold"], document["keys"])

    def __post_init__(self) -> None:
        """Check the keys and the threshold: there are no owners that were not checked."""
        for keyid, key in self.keys.items():
            _check_key(keyid, key)
        k, n = self.threshold, len(self.keys)
        if type(k) is not int or not 1 <= k <= n or n > MAX_OWNERS:
            refuse(
                "owners.threshold",
                "the owners' threshold does not fit their number",
                value=f"{k} of {n}",
                expected=f"1 <= k <= n <= {MAX_OWNERS}",
                advice=_ADVICE,
            )

    def dumps(self) -> bytes:
        """Return the file's bytes."""
        document = {
            "schema_version": _SCHEMA_VERSION,
            "threshold": self.threshold,
            "keys": dict(self.keys),
        }
        return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()
