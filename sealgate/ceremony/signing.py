"""Signing drafts, and bringing what is finished into the repository."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # declares no exports
from tuf.api.metadata import Metadata, Root, Targets

from registry.tuf.store import Store
from sealgate.ceremony.drafting import newest
from sealgate.ceremony.folder import Folder
from sealgate.ceremony.keyfiles import create, refuse
from trust.errors import SealgateError
from trust.tuf import checks


@dataclass(frozen=True, slots=True)
class Standing:
    """Who has signed a draft.

    Attributes:
        name: `root` or `targets`.
        counts: in whose name -> how far: a root needs the old root's keys and its own.
    """

    name: str
    counts: Mapping[str, checks.Count]

    @property
    def complete(self) -> bool:
        """Whether it can be published."""
        return all(count.complete for count in self.counts.values())

    @property
    def wanted(self) -> frozenset[str]:
        """Key ids that could still sign where signatures are missing."""
        return frozenset(
            keyid for count in self.counts.values() if not count.complete for keyid in count.missing
        )


def standings(folder: Folder) -> tuple[Standing, ...]:
    """Return how every draft stands."""
    found = []
    root, old = folder.new_root(), folder.old_root()
    if root is not None:
        counts = {"the new root's own keys": checks.count(root.signed, "root", root)}
        if old is not None:
            counts["the old root's keys"] = checks.count(old.signed, "root", root)
        found.append(Standing("root", counts))
    targets = folder.new_targets()
    if targets is not None:
        count = checks.count(folder.root().signed, "targets", targets)
        found.append(Standing("targets", {"the keys of the role targets": count}))
    return tuple(found)


def drafts_for(folder: Folder, keyid: str) -> tuple[Metadata[Any], ...]:
    """Return the drafts that this key may sign and has not signed."""
    found: list[Metadata[Any]] = []
    for standing in standings(folder):
        draft = folder.new_root() if standing.name == "root" else folder.new_targets()
        counts = standing.counts.values()
        if draft is not None and any(keyid in count.missing for count in counts):
            found.append(draft)
    return tuple(found)


def sign(folder: Folder, signer: CryptoSigner) -> tuple[str, ...]:
    """Sign every draft that this key may sign; return their names.

    Raises:
        SealgateError: there is none, or a draft is not what it must be.
    """
    waiting = drafts_for(folder, signer.public_key.keyid)
    if not waiting:
        raise refuse(
            "keys.nothing-to-sign",
            "no draft in this folder waits for this key",
            signer.public_key.keyid,
            ", ".join(sorted(k[:12] for s in standings(folder) for k in s.wanted)) or "no key",
            "see who is waited for: `sealgate keys status`",
        )
    for draft in waiting:
        check_draft(folder, draft)
        draft.sign(signer, append=True)
        folder.sign(draft)
    return tuple(draft.signed.type for draft in waiting)


def check_draft(folder: Folder, draft: Metadata[Any]) -> None:
    """Refuse a draft that nobody should sign, whoever changed the folder on the way.

    Raises:
        SealgateError: another version than the next, contradictory keys, other files.
    """
    if isinstance(draft.signed, Root):
        checks.check_keys(draft.signed)
        before: Metadata[Any] | None = folder.old_root()
    else:
        before = folder.old_targets()
        for path, data in folder.files().items():
            file = draft.signed.targets.get(path)
            if file is None or file.hashes.get("sha256") != hashlib.sha256(data).hexdigest():
                raise refuse(
                    "keys.other-file",
                    "a file in the folder is not the one that the draft vouches for",
                    path,
                    file.hashes.get("sha256", "") if file else "a file of the draft",
                    "make the draft again: `sealgate keys files`",
                )
    expected = before.signed.version + 1 if before else 1
    if draft.signed.version != expected:
        raise refuse(
            "keys.version",
            f"the draft of {draft.signed.type} has another version than the next",
            draft.signed.version,
            str(expected),
            "begin the ceremony again from the newest metadata",
        )


def finished(folder: Folder, now: datetime) -> tuple[tuple[str, bytes], ...]:
    """Return (file name, bytes) of every draft, verified as a client would verify it.

    Raises:
        SealgateError: there is no draft, or one is not finished.
    """
    root, targets = folder.new_root(), folder.new_targets()
    if root is None and targets is None:
        raise refuse(
            "keys.no-draft", "there is nothing to publish", folder.path, "a draft in new/", ""
        )
    found = []
    if root is not None:
        check_draft(folder, root)
        checks.check_fresh(root, now)
        checks.check_root(root, folder.old_root())
        found.append((f"{root.signed.version}.root.json", root.to_bytes()))
    if targets is not None:
        check_draft(folder, targets)
        checks.check_fresh(targets, now)
        checks.check_signed(folder.root().signed, "targets", targets)
        found.append((f"{targets.signed.version}.targets.json", targets.to_bytes()))
    elif (old := folder.old_targets()) is not None:
        _check_survives(folder, old)
    return tuple(found)


def publish(folder: Folder, repository: Path, now: datetime) -> tuple[str, ...]:
    """Bring what is finished into the registry's repository; return the new files' names.

    Everything is verified first. What is there is never overwritten; the worker verifies it again
    before it takes it up, and clients see it with its next timestamp.

    Args:
        folder: the ceremony.
        repository: the folder that the registry serves at `/tuf/`.
        now: timezone-aware.

    Raises:
        SealgateError: a draft is not finished, or the repository has moved on meanwhile.
    """
    ready = finished(folder, now)
    for role, old in (("root", folder.old_root()), ("targets", folder.old_targets())):
        there = newest(repository / "metadata", role)
        if (there is None) != (old is None) or (
            there is not None and old is not None and there != old.to_bytes()
        ):
            raise refuse(
                "keys.moved-on",
                f"the repository's {role} is not the one that this ceremony began with",
                repository,
                f"old/{role}.json",
                "begin again: `sealgate keys open`; or this ceremony is published already",
            )
    if folder.dry_run:
        return tuple(name for name, _ in ready)
    store = Store(repository)
    with store.writing():
        targets = folder.new_targets()
        for path, data in folder.files().items() if targets is not None else ():
            store.put(path, hashlib.sha256(data).hexdigest(), data)
        for name, data in ready:
            create(store.metadata / name, data)
        store.ceremony.touch()
    return tuple(name for name, _ in ready)


def _check_survives(folder: Folder, targets: Metadata[Targets]) -> None:
    try:
        checks.check_signed(folder.root().signed, "targets", targets)
    except SealgateError as error:
        raise refuse(
            "keys.targets-lost",
            "the new root no longer vouches for the targets in force",
            error.problem.value,
            "targets that the new root's keys have signed",
            "draft them in the same ceremony: `sealgate keys renew FOLDER targets`, and sign them",
        ) from error
