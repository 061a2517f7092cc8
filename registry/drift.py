"""What is suspicious about a version beside the last approved one: a pure comparison.

A flag stops nothing by itself and a version without flags gains nothing: every version needs its
reviews. Flags tell reviewers where to look, since the takeovers of known packages looked like
this: another signer, a person where a build system signed before, more rights than before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import manifests
from registry.models import Version
from trust.identity import Identity

FlagKind: TypeAlias = Literal[
    "new-signer", "weaker-provenance", "wider-permissions", "wider-limits"
]


@dataclass(frozen=True, slots=True)
class Release:
    """What is compared of a version.

    Attributes:
        number: the version.
        author: the verified signer of the submission.
        manifest: as `registry.manifests.to_row` wrote it.
    """

    number: str
    author: Identity
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Flag:
    """One difference that a reviewer should know of.

    Attributes:
        kind: a slug.
        what: one sentence for people.
        before: how it was in the last approved version.
        after: how it is in this one.
    """

    kind: FlagKind
    what: str
    before: str
    after: str


def flags_of(previous: Release | None, this: Release) -> tuple[Flag, ...]:
    """Compare a version with the last approved one.

    Args:
        previous: the last approved version; None for a first version, which has no flags.
        this: the version in question.
    """
    return () if previous is None else tuple(_flags(previous, this))


def _flags(previous: Release, this: Release) -> Iterator[Flag]:
    before, after = previous.author, this.author
    if before != after:
        yield Flag("new-signer", "somebody else signed this version", str(before), str(after))
    if _is_workload(before) and not _is_workload(after):
        yield Flag(
            "weaker-provenance",
            "a build system signed the last approved version, a person this one",
            str(before),
            str(after),
        )
    elif before.issuer != after.issuer:
        yield Flag(
            "weaker-provenance",
            "another issuer vouches for the signer",
            before.issuer,
            after.issuer,
        )
    old, new = (set(manifests.permissions(r.manifest)) for r in (previous, this))
    if new - old:
        yield Flag(
            "wider-permissions",
            "this version asks for more permissions",
            ", ".join(sorted(old)) or "none",
            ", ".join(sorted(new)),
        )
    was, now = previous.manifest["limits"], this.manifest["limits"]
    wider = [name for name in now if name in was and now[name] > was[name]]
    if wider:
        yield Flag(
            "wider-limits",
            "this version may use more than the last approved one",
            ", ".join(f"{name} {was[name]}" for name in wider),
            ", ".join(f"{name} {now[name]}" for name in wider),
        )


def _is_workload(who: Identity) -> bool:
    """Tell whether a certificate names a build or a service (a URI) and not a person (e-mail)."""
    return "://" in who.subject


def release_of(version: Version) -> Release:
    """Return what is compared of a row."""
    return Release(version.number, version.author, version.manifest)


def flags_for(session: Session, version: Version) -> tuple[Flag, ...]:
    """Compare a row with the version that its reviewers compare it with."""
    if version.previous_sha256 is None:
        return ()
    row = session.scalar(select(Version).where(Version.sha256 == version.previous_sha256))
    return flags_of(None if row is None else release_of(row), release_of(version))
