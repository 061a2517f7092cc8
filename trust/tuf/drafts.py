"""Unsigned roots and top-level targets, for a ceremony to sign.

A draft never changes what it was made from; versions go up by one (TUF specification 6.1).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from securesystemslib.signer import Key  # type: ignore[attr-defined] # declares no exports
from tuf.api.metadata import (
    TOP_LEVEL_ROLE_NAMES,
    DelegatedRole,
    Delegations,
    Metadata,
    Role,
    Root,
    TargetFile,
    Targets,
)

from trust.tuf import names
from trust.tuf.checks import check_keys, refused


@dataclass(frozen=True, slots=True)
class Holders:
    """Who signs for a role: `threshold` of `keys`."""

    threshold: int
    keys: Sequence[Key]


def holders_of(root: Root | Targets, role: str) -> Holders:
    """Return who signs for a role today."""
    found = root.get_delegated_role(role)
    return Holders(found.threshold, [root.get_key(keyid) for keyid in found.keyids])


def root(
    before: Metadata[Root] | None, changes: Mapping[str, Holders], expires: datetime
) -> Metadata[Root]:
    """Return the next root, unsigned.

    Args:
        before: the root of today; None for the first.
        changes: role -> who signs for it from now on; the first root needs all four.
        expires: when it ends, timezone-aware, whole seconds.

    Raises:
        MetadataRefused: keys and thresholds contradict each other.
    """
    holders = {}
    if before is not None:
        holders = {role: holders_of(before.signed, role) for role in before.signed.roles}
    holders |= changes
    if set(holders) != TOP_LEVEL_ROLE_NAMES:
        raise refused(
            "tuf.roles",
            "a root names other roles than it must",
            ", ".join(sorted(holders)),
            ", ".join(sorted(TOP_LEVEL_ROLE_NAMES)),
            "name the keys of every role",
        )
    made = Root(
        version=before.signed.version + 1 if before else 1,
        expires=expires,
        keys={key.keyid: key for each in holders.values() for key in each.keys},
        roles={
            role: Role(list(dict.fromkeys(key.keyid for key in each.keys)), each.threshold)
            for role, each in holders.items()
        },
        consistent_snapshot=True,
    )
    check_keys(made)
    return Metadata(made)


def targets(
    before: Metadata[Targets] | None,
    expires: datetime,
    *,
    files: Mapping[str, bytes] | None = None,
    published: Holders | None = None,
) -> Metadata[Targets]:
    """Return the next top-level targets, unsigned.

    Args:
        before: the targets of today; None for the first.
        expires: when it ends, timezone-aware, whole seconds.
        files: path -> content of what is new or changed; what is not named stays.
        published: who signs for `published` from now on; the first targets need it.

    Raises:
        MetadataRefused: there is nobody who signs for `published`, or too few.
    """
    made = copy.deepcopy(before.signed) if before else Targets()
    made.version = made.version + 1 if before else 1
    made.expires = expires
    for path, data in (files or {}).items():
        made.targets[path] = TargetFile.from_data(path, data, ["sha256"])
    if published is not None:
        if not 1 <= published.threshold <= len({key.keyid for key in published.keys}):
            raise refused(
                "tuf.threshold",
                "the threshold of published does not fit the number of its keys",
                f"{published.threshold} of {len(published.keys)}",
                "1 <= threshold <= keys",
                "name more keys, or lower the threshold",
            )
        role = DelegatedRole(
            names.PUBLISHED,
            [key.keyid for key in published.keys],
            published.threshold,
            terminating=True,
            paths=list(names.PUBLISHED_PATHS),
        )
        keys = {key.keyid: key for key in published.keys}
        made.delegations = Delegations(keys, {role.name: role})
    if made.delegations is None:
        raise refused(
            "tuf.published", "nobody signs for published", "", "at least one online key", ""
        )
    return Metadata(made)
