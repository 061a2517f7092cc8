"""Drafts: what a ceremony puts before the holders of the keys to sign.

A new root must be signed by enough keys of the old root and by enough of its own (TUF
specification 5.3.4): so whoever is taken out of it usually signs once more, and a majority of the
old keys must still be there. The top-level targets are signed by the keys that the root names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tuf.api.metadata import Metadata, Root, Targets

from sealgate.ceremony.folder import Folder
from sealgate.ceremony.keyfiles import read, refuse
from trust.layout import Owners, read_unverified, verify_layout
from trust.tuf import checks, drafts, names
from trust.tuf.drafts import Holders

ROOT_DAYS: Final = 365
TARGETS_DAYS: Final = 365


def _expiry(now: datetime, days: int) -> datetime:
    return (now + timedelta(days=days)).replace(microsecond=0)


def init(
    folder: Folder,
    now: datetime,
    *,
    root_threshold: int,
    targets_threshold: int,
    files: Mapping[str, bytes],
    days: int = ROOT_DAYS,
) -> None:
    """Draft the first root and the first targets from the public keys in the folder.

    Args:
        folder: has keys of every role.
        now: timezone-aware.
        root_threshold: signatures that a root needs.
        targets_threshold: signatures that the top-level targets need.
        files: target path -> content; what the targets vouch for.
        days: how long both hold.

    Raises:
        SealgateError: a role has no key, a threshold does not fit, or the folder is in use.
    """
    if folder.old_root() or folder.new_root():
        raise refuse(
            "keys.begun",
            "this ceremony has begun already",
            folder.path,
            "a folder without old/ and new/",
            "see where it stands with `sealgate keys status`",
        )
    held = {role: list(folder.keys(role).values()) for role in (*names.OFFLINE, *names.ONLINE)}
    missing = [role for role, keys in held.items() if not keys]
    if missing:
        raise refuse(
            "keys.missing",
            "some roles have no key in the folder yet",
            ", ".join(missing),
            "keys/ROLE-NAME.pem for every role",
            "`sealgate keys new` on each holder's machine, `sealgate keys online` on the worker's",
        )
    thresholds = {"root": root_threshold, "targets": targets_threshold}
    holders = {
        role: Holders(thresholds.get(role, 1), keys)
        for role, keys in held.items()
        if role != names.PUBLISHED
    }
    expires = _expiry(now, days)
    root = drafts.root(None, holders, expires)
    targets = drafts.targets(
        None, expires, files=files, published=Holders(1, held[names.PUBLISHED])
    )
    check_files(files)
    folder.draft(root)
    folder.draft(targets)
    for path, data in files.items():
        folder.put_file(path, data)


def open_repository(folder: Folder, repository: Path) -> None:
    """Begin a ceremony on a repository that exists: fetch what is in force from its folder.

    Raises:
        SealgateError: the folder is in use, or the repository is not whole.
    """
    metadata = repository / "metadata"
    root, targets = newest(metadata, "root"), newest(metadata, "targets")
    if root is None or targets is None:
        raise refuse(
            "keys.no-repository",
            "this folder is no TUF repository",
            repository,
            "metadata/N.root.json and metadata/N.targets.json",
            "name the folder that the registry serves at /tuf/",
        )
    checks.check_signed(checks.read(Root, root).signed, "targets", checks.read(Targets, targets))
    folder.keep_old("root.json", root)
    folder.keep_old("targets.json", targets)


def newest(metadata: Path, role: str) -> bytes | None:
    """Return the newest version of a role's metadata in a repository, or None."""
    found = sorted(metadata.glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".")[0]))
    return read(found[-1]) if found else None


def rotate(
    folder: Folder,
    now: datetime,
    role: str,
    *,
    add: Sequence[str],
    remove: Sequence[str],
    days: int = ROOT_DAYS,
) -> None:
    """Draft metadata in which keys of a role are others.

    Args:
        folder: has the public halves of the new keys as keys/ROLE-NAME.pem.
        now: timezone-aware.
        role: whose keys.
        add: names of keys in the folder.
        remove: names of keys in the folder, or key ids (or their first characters, 8 or more).
        days: how long the new metadata holds.

    Raises:
        SealgateError: a key is not there, or too few would be left.
    """
    held = _holders(folder, role)
    known = folder.keys(role)
    gone = {_one_key(text, known, held).keyid for text in remove}
    unknown = [name for name in add if name not in known]
    if unknown:
        raise refuse(
            "keys.missing",
            f"the folder has no such key of the role {role}",
            ", ".join(unknown),
            ", ".join(known) or "keys/ROLE-NAME.pem",
            "bring the public key into the folder: `sealgate keys new`",
        )
    keys = [key for key in held.keys if key.keyid not in gone] + [known[name] for name in add]
    _change(folder, now, role, Holders(held.threshold, keys), days)


def threshold(
    folder: Folder, now: datetime, role: str, value: int, *, days: int = ROOT_DAYS
) -> None:
    """Draft metadata in which a role needs another number of signatures.

    Raises:
        SealgateError: it does not fit the number of keys.
    """
    _change(folder, now, role, Holders(value, _holders(folder, role).keys), days)


def renew(folder: Folder, now: datetime, roles: Sequence[str], *, days: int) -> None:
    """Draft the same root, or targets, with a later end.

    Raises:
        SealgateError: the folder has none.
    """
    if "root" in roles:
        folder.draft(drafts.root(folder.old_root() or folder.root(), {}, _expiry(now, days)))
    if "targets" in roles:
        folder.draft(drafts.targets(_targets(folder), _expiry(now, days)))


def change_files(
    folder: Folder, now: datetime, files: Mapping[str, bytes], *, days: int = TARGETS_DAYS
) -> None:
    """Draft targets that vouch for other files: a new layout, a new trusted root.

    Raises:
        SealgateError: a file is not what it must be.
    """
    check_files(files)
    folder.draft(drafts.targets(_targets(folder), _expiry(now, days), files=files))
    for path, data in files.items():
        folder.put_file(path, data)


def check_files(files: Mapping[str, bytes]) -> None:
    """Refuse files that a runner would refuse.

    Raises:
        SealgateError: says which and why.
    """
    strange = set(files) - set(names.TRUST_TARGETS)
    if strange:
        raise refuse(
            "keys.file", "the targets vouch for no such file", strange, str(names.TRUST_TARGETS), ""
        )
    owners = files.get(names.LAYOUT_OWNERS)
    layout = files.get(names.LAYOUT)
    if layout is not None:
        read_unverified(layout)
        if owners is not None:
            verify_layout(layout, Owners.parse(owners))
    if names.TRUSTED_ROOT in files:
        from trust.evidence.bundles import BundleVerifier

        BundleVerifier(files[names.TRUSTED_ROOT])


def _targets(folder: Folder) -> Metadata[Targets]:
    found = folder.old_targets()
    if found is None:
        raise refuse(
            "keys.no-targets",
            "the folder has no targets that are in force",
            folder.path,
            "old/targets.json",
            "`sealgate keys open FOLDER --repository DIRECTORY` fetches them",
        )
    return found


def _base(folder: Folder, role: str) -> Root | Targets:
    if role == names.PUBLISHED:
        return (folder.new_targets() or _targets(folder)).signed
    return folder.root().signed


def _holders(folder: Folder, role: str) -> Holders:
    try:
        return drafts.holders_of(_base(folder, role), role)
    except ValueError as error:
        raise refuse("keys.role", "there is no such role", role, "a role", "") from error


def _one_key(text: str, known: Mapping[str, Any], held: Holders) -> Any:
    found = [key for key in held.keys if len(text) >= 8 and key.keyid.startswith(text)]
    if text in known:
        found = [key for key in held.keys if key.keyid == known[text].keyid]
    if len(found) != 1:
        raise refuse(
            "keys.unknown",
            "the role has no such key",
            text,
            ", ".join(key.keyid[:12] for key in held.keys),
            "name it as `sealgate keys status` does",
        )
    return found[0]


def _change(folder: Folder, now: datetime, role: str, holders: Holders, days: int) -> None:
    """Draft a change of one role, on top of a draft that nobody has signed yet."""
    expires = _expiry(now, days)
    if role == names.PUBLISHED:
        folder.draft(drafts.targets(_targets(folder), expires, published=holders))
        return
    before, draft = folder.old_root(), folder.new_root()
    changes = {role: holders}
    if draft is not None:
        others = (each for each in draft.signed.roles if each != role)
        changes |= {each: drafts.holders_of(draft.signed, each) for each in others}
    folder.draft(drafts.root(before, changes, expires))
