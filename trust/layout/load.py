"""Verifying a layout: untrusted bytes become `VerifiedLayout`, or `LayoutRefused` is raised.

The rules, in order:
 1. a DSSE envelope in strict JSON, of bounded size;
 2. at least `threshold` distinct owners' keys verify over the exact payload bytes;
 3. the payload is an in-toto layout with the members it must have and no other;
 4. no inspections: they are commands that the layout would have us run;
 5. steps exactly submit, scan, review, publish, with the artifact rules of `trust.layout.rules`,
    no expected command and no sublayouts;
 6. `submit` has no functionaries (the gate fills them in) and threshold 1; every other step has
    at least as many distinct functionaries as its threshold, which is at least 1;
 7. every functionary is a Sigstore identity whose key id is the hash of that identity, and no
    reviewer is also a scanner or the registry;
 8. not expired.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from in_toto.models.metadata import Envelope

from trust import strictjson
from trust.errors import SealgateError
from trust.evidence.bundles import PAYLOAD_TYPE
from trust.layout.owners import Owners
from trust.layout.problems import LayoutRefused, refuse
from trust.layout.structure import VerifiedLayout, read_payload

T = TypeVar("T")

MAX_LAYOUT_BYTES = 1 << 20
MAX_SIGNATURES = 64


def _envelope(data: bytes) -> Envelope:
    if len(data) > MAX_LAYOUT_BYTES:
        refuse(
            "layout.size",
            "the layout is too large",
            value=f"{len(data)} bytes",
            expected=f"at most {MAX_LAYOUT_BYTES} bytes",
        )
    document = strictjson.loads(data)
    if not isinstance(document, dict) or set(document) != {"payload", "payloadType", "signatures"}:
        refuse(
            "layout.format",
            "the layout is no DSSE envelope",
            value=sorted(document) if isinstance(document, dict) else document,
            expected="payload, payloadType, signatures",
        )
    if document["payloadType"] != PAYLOAD_TYPE:
        refuse(
            "layout.format",
            "the layout's payload type is not accepted",
            value=document["payloadType"],
            expected=PAYLOAD_TYPE,
        )
    signatures = document["signatures"]
    if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
        refuse(
            "layout.format",
            "the layout's signatures are malformed",
            value=signatures,
            expected=f"a list of at most {MAX_SIGNATURES}",
        )
    return Envelope.from_dict(document)


def _verified_owners(envelope: Envelope, owners: Owners) -> tuple[str, ...]:
    """Return the key ids of the owners whose signature verifies; each key is asked once."""
    signed = []
    for keyid, key in owners.keys.items():
        try:
            envelope.verify_signature({"keyid": keyid, **key})
        except Exception:  # noqa: BLE001, S112 - anything but a yes does not count
            continue
        signed.append(keyid)
    return tuple(signed)


def layout_sha256(envelope: bytes) -> str:
    """Return a layout's digest: SHA-256 of the signed payload, lowercase hexadecimal.

    It is the payload's and not the envelope's, so that another owner's signature, or the order
    of signatures, does not make it another layout.

    Raises:
        LayoutRefused: this is no DSSE envelope.
    """
    return _guarded(lambda: hashlib.sha256(_envelope(envelope).payload).hexdigest())


def read_unverified(envelope: bytes) -> VerifiedLayout:
    """Read a layout whose signatures are not looked at: `signed_by` is empty.

    It is for owners, who must see what a layout says before they sign it. No decision may rest
    on it.

    Raises:
        LayoutRefused: it is refused; nothing else is ever raised.
    """
    return _guarded(lambda: read_payload(_envelope(envelope).payload, ()))


def verify_layout(envelope: bytes, owners: Owners) -> VerifiedLayout:
    """Verify a layout, all but its expiry.

    Args:
        envelope: the DSSE envelope (JSON), untrusted.
        owners: who must have signed.

    Raises:
        LayoutRefused: it is refused; nothing else is ever raised.
    """
    return _guarded(lambda: _verify(envelope, owners))


def _verify(envelope: bytes, owners: Owners) -> VerifiedLayout:
    parsed = _envelope(envelope)
    signed_by = _verified_owners(parsed, owners)
    if len(signed_by) < owners.threshold:
        refuse(
            "layout.signatures",
            "the layout is not signed by enough of its owners",
            value=f"{len(signed_by)} of {owners.threshold}",
            expected=f"{owners.threshold} of " + ", ".join(k[:16] for k in owners.keys),
            advice="collect the missing signatures with `sealgate layout sign`",
        )
    return read_payload(parsed.payload, signed_by)


def _guarded(read: Callable[[], T]) -> T:
    """Let nothing but `LayoutRefused` out: hostile bytes get all sorts out of the libraries."""
    try:
        return read()
    except LayoutRefused:
        raise
    except SealgateError as error:
        raise LayoutRefused(error.problems) from error
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not a yes
        refuse(
            "layout.format",
            "the layout cannot be read",
            value=error,
            expected="an in-toto layout in a DSSE envelope (JSON)",
        )


def load_layout(envelope: bytes, owners: Owners, now: datetime) -> VerifiedLayout:
    """Verify a layout with its expiry.

    Args:
        envelope: the DSSE envelope (JSON), untrusted.
        owners: who must have signed.
        now: timezone-aware.

    Raises:
        LayoutRefused: it is refused; nothing else is ever raised.
    """
    layout = verify_layout(envelope, owners)
    layout.check_fresh(now)
    return layout
