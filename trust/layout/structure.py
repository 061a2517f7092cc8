"""What a layout may say: from a payload's bytes to `VerifiedLayout`, or `LayoutRefused`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from in_toto.models.layout import Layout

from trust import strictjson
from trust.evidence.bundles import is_plain
from trust.evidence.links import functionary_key
from trust.evidence.predicates import STEPS, Step
from trust.identity import Identity
from trust.layout.problems import refuse
from trust.layout.rules import RULES

_LAYOUT_MEMBERS = {"_type", "steps", "inspect", "keys", "expires", "readme"}
_STEP_MEMBERS = {
    "_type",
    "name",
    "threshold",
    "pubkeys",
    "expected_materials",
    "expected_products",
    "expected_command",
}
_EXPIRES = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


@dataclass(frozen=True, slots=True)
class VerifiedLayout:
    """A layout that enough owners signed and that this gate understands.

    Attributes:
        layout: in-toto's object. Treat it as read-only.
        sha256: the layout's digest, see `layout_sha256`.
        expires: when it ends, UTC.
        functionaries: who may do each step; none for `submit`.
        thresholds: how many of them must.
        signed_by: key ids of the owners whose signatures verified.
    """

    layout: Layout = field(repr=False)
    sha256: str
    expires: datetime
    functionaries: Mapping[Step, tuple[Identity, ...]]
    thresholds: Mapping[Step, int]
    signed_by: tuple[str, ...]

    def check_fresh(self, now: datetime) -> None:
        """Check the expiry.

        Args:
            now: timezone-aware.

        Raises:
            LayoutRefused: the layout has expired at `now`.
        """
        if now >= self.expires:
            refuse(
                "layout.expired",
                "the layout has expired",
                value=self.expires.isoformat(),
                expected=f"an expiry after {now.isoformat()}",
                advice="its owners must sign a layout with a later expiry",
            )


def _identity(keyid: str, key: Any) -> Identity:
    where = f"/keys/{keyid}"
    try:
        value = key["keyval"]
        identity = Identity(value["issuer"], value["identity"])
        plain = is_plain(identity.issuer) and is_plain(identity.subject)
    except (KeyError, TypeError, AttributeError) as error:
        refuse(
            "layout.key",
            "a functionary is no Sigstore identity",
            value=error,
            expected="keyval with identity and issuer",
            where=where,
        )
    if not plain:
        refuse(
            "layout.key",
            "a functionary's identity is unusable",
            value=identity,
            expected="printable, without spaces",
            where=where,
        )
    if key != functionary_key(identity) or keyid != identity.keyid:
        refuse(
            "layout.keyid",
            "a functionary's key entry is not that of its identity",
            value=key,
            expected=str(functionary_key(identity)),
            where=where,
        )
    return identity


def _step(data: Any, name: Step, known: Mapping[str, Identity]) -> tuple[tuple[Identity, ...], int]:
    where = f"/steps/{name}"
    if not isinstance(data, dict) or set(data) != _STEP_MEMBERS or data["_type"] != "step":
        refuse(
            "layout.step",
            "a step has other members than it must have",
            value=data,
            expected=", ".join(sorted(_STEP_MEMBERS)),
            where=where,
        )
    if data["expected_command"] != []:
        refuse(
            "layout.command",
            "a step expects a command",
            value=data["expected_command"],
            expected="none",
            where=where,
        )
    for member, rules in zip(("expected_materials", "expected_products"), RULES[name], strict=True):
        if data[member] != rules:
            refuse(
                "layout.rules",
                "a step has other artifact rules",
                value=data[member],
                expected=str(rules),
                where=f"{where}/{member}",
            )
    pubkeys = data["pubkeys"]
    if (
        not isinstance(pubkeys, list)
        or not all(isinstance(keyid, str) for keyid in pubkeys)
        or len(set(pubkeys)) != len(pubkeys)
    ):
        refuse(
            "layout.functionaries",
            "a step's functionaries are malformed",
            value=pubkeys,
            expected="distinct key ids",
            where=where,
        )
    unknown = [keyid for keyid in pubkeys if keyid not in known]
    if unknown:
        refuse(
            "layout.functionaries",
            "a step names a functionary without a key",
            value=unknown,
            expected="key ids of /keys",
            where=where,
        )
    threshold = data["threshold"]
    if name == "submit" and pubkeys:
        refuse(
            "layout.submit",
            "the step submit has functionaries",
            value=pubkeys,
            expected="none: who may publish a plugin is said per plugin, not in the layout",
            where=where,
        )
    most = 1 if name == "submit" else len(pubkeys)
    if type(threshold) is not int or not 1 <= threshold <= most:
        refuse(
            "layout.threshold",
            "a step's threshold does not fit its functionaries",
            value=f"{threshold} of {len(pubkeys)}",
            expected=f"1 to {most}",
            where=where,
        )
    return tuple(known[keyid] for keyid in pubkeys), threshold


def _expires(value: Any) -> datetime:
    if not isinstance(value, str) or not _EXPIRES.fullmatch(value):
        refuse(
            "layout.expires",
            "the layout's expiry is malformed",
            value=value,
            expected="YYYY-MM-DDTHH:MM:SSZ",
            where="/expires",
        )
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def read_payload(payload: bytes, signed_by: tuple[str, ...]) -> VerifiedLayout:
    """Read a layout's payload, by the rules 3 to 7 of `trust.layout.load`.

    Args:
        payload: the payload's bytes, strict JSON.
        signed_by: key ids of the owners whose signatures verified over exactly these bytes.

    Raises:
        LayoutRefused: the layout is not one that the gate understands.
        InvalidJSON: it is no strict JSON.
    """
    data = strictjson.loads(payload)
    if not isinstance(data, dict) or data.get("_type") != "layout" or set(data) != _LAYOUT_MEMBERS:
        refuse(
            "layout.format",
            "the payload is no in-toto layout as this gate knows it",
            value=sorted(data) if isinstance(data, dict) else data,
            expected=", ".join(sorted(_LAYOUT_MEMBERS)),
        )
    if data["inspect"] != []:
        refuse(
            "layout.inspections",
            "the layout has inspections: commands to be run by whoever verifies",
            value=data["inspect"],
            expected="none",
            where="/inspect",
        )
    steps = data["steps"]
    names = [step.get("name") if isinstance(step, dict) else step for step in steps]
    if names != list(STEPS):
        refuse(
            "layout.steps",
            "the layout has other steps",
            value=names,
            expected=", ".join(STEPS),
            where="/steps",
        )
    if not isinstance(data["keys"], dict):
        refuse(
            "layout.key",
            "the layout's keys are malformed",
            value=data["keys"],
            expected="an object",
            where="/keys",
        )
    known = {keyid: _identity(keyid, key) for keyid, key in data["keys"].items()}
    functionaries: dict[Step, tuple[Identity, ...]] = {}
    thresholds: dict[Step, int] = {}
    for name, step in zip(STEPS, steps, strict=True):
        functionaries[name], thresholds[name] = _step(step, name, known)
    both = set(functionaries["review"]) & {*functionaries["scan"], *functionaries["publish"]}
    if both:
        refuse(
            "layout.roles",
            "a reviewer is also the scanner or the registry",
            value=", ".join(map(str, sorted(both))),
            expected="reviewers with no other role",
            where="/steps/review",
        )
    expires = _expires(data["expires"])
    return VerifiedLayout(
        Layout.read(data),
        hashlib.sha256(payload).hexdigest(),
        expires,
        functionaries,
        thresholds,
        signed_by,
    )
