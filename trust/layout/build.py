"""Making and signing a layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from in_toto.models.layout import Layout, Step
from in_toto.models.metadata import Envelope
from securesystemslib.signer import Signer  # type: ignore[attr-defined] # declares no exports

from trust import strictjson
from trust.evidence.links import functionary_key
from trust.evidence.predicates import STEPS
from trust.evidence.predicates import Step as StepName
from trust.identity import Identity
from trust.layout.problems import refuse
from trust.layout.rules import RULES


def _identities(issuer: str, who: Sequence[str | Identity]) -> list[Identity]:
    return [item if isinstance(item, Identity) else Identity(issuer, item) for item in who]


def build_layout(
    *,
    issuer: str,
    reviewers: Sequence[str | Identity],
    scanner: str | Identity | Sequence[str | Identity],
    registry: str | Identity | Sequence[str | Identity],
    review_threshold: int,
    expires: datetime,
    readme: str = "",
) -> Layout:
    """Make a layout with the four steps and the artifact rules that the gate accepts.

    Args:
        issuer: the OIDC issuer of every identity that is given as a bare subject.
        reviewers: who may review.
        scanner: who may scan, one or several; one scan is enough.
        registry: who may publish, one or several; one is enough.
        review_threshold: how many reviewers must approve.
        expires: when the layout ends, timezone-aware; whole seconds are kept.
        readme: words for people.
    """
    functionaries: dict[StepName, list[Identity]] = {
        "submit": [],
        "scan": _identities(issuer, [scanner] if isinstance(scanner, str | Identity) else scanner),
        "review": _identities(issuer, reviewers),
        "publish": _identities(
            issuer, [registry] if isinstance(registry, str | Identity) else registry
        ),
    }
    return Layout(
        steps=[
            Step(
                name=name,
                pubkeys=sorted({who.keyid for who in functionaries[name]}),
                threshold=review_threshold if name == "review" else 1,
                expected_materials=[list(rule) for rule in RULES[name][0]],
                expected_products=[list(rule) for rule in RULES[name][1]],
            )
            for name in STEPS
        ],
        keys={who.keyid: functionary_key(who) for all_ in functionaries.values() for who in all_},
        expires=expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        readme=readme,
    )


def sign_layout(layout: Layout | bytes, signers: Sequence[Signer]) -> bytes:
    """Sign a layout, or add signatures to a signed one.

    Args:
        layout: a layout, or the DSSE envelope (JSON) of one that others have signed.
        signers: securesystemslib signers of the owners' Ed25519 keys; none is allowed, which
            gives an envelope for owners to sign in turn.

    Returns:
        The DSSE envelope (JSON). The order of signatures and their number do not change the
        layout's digest, `layout_sha256`.

    Raises:
        LayoutRefused: the bytes are no DSSE envelope.
    """
    if isinstance(layout, bytes):
        try:
            envelope = Envelope.from_dict(strictjson.loads(layout))
        except Exception as error:  # noqa: BLE001 - whatever it is, it cannot be signed
            refuse(
                "layout.format",
                "this is no DSSE envelope",
                value=error,
                expected="the JSON that `sealgate layout make` writes",
            )
    else:
        envelope = Envelope.from_signable(layout)
    for signer in signers:
        envelope.create_signature(signer)
    return (json.dumps(envelope.to_dict(), indent=2, sort_keys=True) + "\n").encode()
