"""What a draft says, in plain words, for somebody who does this once a year."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tuf.api.metadata import Metadata, Root, Targets

from sealgate.ceremony.folder import Folder
from sealgate.ceremony.signing import Standing, standings
from trust.errors import shown
from trust.tuf import names

MEANING: Mapping[str, str] = {
    "root": "says whose keys count for every role; everything rests on it",
    "targets": "says which layout and trusted root hold, and whose online key may publish plugins",
    "snapshot": "says which files belong together (online, the worker's)",
    "timestamp": "says which snapshot is the newest (online, the worker's)",
    names.PUBLISHED: "names the published plugins (online, the worker's)",
}


def key_name(known: Mapping[str, str], keyid: str) -> str:
    """Return a key as people call it: its name, or the beginning of its id."""
    return f"{shown(known[keyid])}, {keyid[:12]}" if keyid in known else keyid[:12]


def describe(folder: Folder, draft: Metadata[Any], now: datetime) -> Iterator[str]:
    """Yield lines that say what a draft would change."""
    known = folder.names()
    if isinstance(draft.signed, Root):
        old = folder.old_root()
        yield from _root(draft.signed, old.signed if old else None, known)
    elif isinstance(draft.signed, Targets):
        before = folder.old_targets()
        yield from _targets(draft.signed, before.signed if before else None, known)
    days = (draft.signed.expires - now).days
    yield f"  it ends on {draft.signed.expires:%Y-%m-%d}, in {days} days"


def _root(new: Root, old: Root | None, known: Mapping[str, str]) -> Iterator[str]:
    yield f"ROOT version {new.version}: {MEANING['root']}"
    if old is None:
        yield "  the first root: there is none before it that could vouch for it"
    for name in ("root", "targets", "snapshot", "timestamp"):
        role = new.roles[name]
        yield f"  {name}: {role.threshold} of {len(role.keyids)} keys. It {MEANING[name]}"
        before = set(old.roles[name].keyids) if old else set()
        for keyid in role.keyids:
            mark = "" if not old else "  NEW" if keyid not in before else ""
            yield f"    {key_name(known, keyid)}{mark}"
        for keyid in sorted(before - set(role.keyids)):
            yield f"    {key_name(known, keyid)}  NO LONGER"
        if old and old.roles[name].threshold != role.threshold:
            yield f"    threshold: {old.roles[name].threshold} before, {role.threshold} from now on"


def _targets(new: Targets, old: Targets | None, known: Mapping[str, str]) -> Iterator[str]:
    yield f"TARGETS version {new.version}: {MEANING['targets']}"
    before = old.targets if old else {}
    for path in sorted(new.targets):
        digest = new.targets[path].hashes["sha256"]
        mark = ""
        if old:
            same = path in before and before[path].hashes["sha256"] == digest
            mark = "" if same else "  CHANGED"
        yield f"  {shown(path)}: sha256 {digest}{mark}"
    for path in sorted(set(before) - set(new.targets)):
        yield f"  {shown(path)}  NO LONGER"
    for role in _delegated(new):
        held = new.get_delegated_role(role)
        yield f"  {role}: {held.threshold} of {len(held.keyids)} keys"
        was = set(old.get_delegated_role(role).keyids) if old and role in _delegated(old) else None
        for keyid in held.keyids:
            mark = "  NEW" if was is not None and keyid not in was else ""
            yield f"    {key_name(known, keyid)}{mark}"


def _delegated(targets: Targets) -> list[str]:
    return sorted((targets.delegations.roles or {}) if targets.delegations else {})


def progress(folder: Folder) -> Iterator[str]:
    """Yield lines that say who has signed, who could, and what to do next."""
    known = folder.names()
    found = standings(folder)
    for standing in found:
        yield f"draft of {standing.name}:"
        for whose, count in standing.counts.items():
            state = "enough" if count.complete else f"{count.need - len(count.signed)} missing"
            yield f"  {whose}: {len(count.signed)} of {count.need} signatures ({state})"
            for keyid in count.signed:
                yield f"    signed   {key_name(known, keyid)}"
            for keyid in () if count.complete else count.missing:
                yield f"    could    {key_name(known, keyid)}"
    yield from advice(found)


def advice(found: tuple[Standing, ...]) -> Iterator[str]:
    """Yield what to do next."""
    if not found:
        yield "next: nothing is drafted; see `sealgate keys --help` for what can be done"
    elif all(standing.complete for standing in found):
        yield "next: carry the folder to the registry's machine and run `sealgate keys publish`"
    else:
        yield "next: carry the folder to a holder who could sign; there, run `sealgate keys sign`"


def repository(root: Root, targets: Targets, now: datetime) -> Iterator[str]:
    """Yield lines that say what is in force in a repository, and when it must be renewed."""
    for signed in (root, targets):
        days = (signed.expires - now).days
        warn = "  RENEW NOW: `sealgate keys renew`" if days < 60 else ""
        ends = f"ends on {signed.expires:%Y-%m-%d}, in {days} days"
        yield f"{signed.type} version {signed.version} {ends}{warn}"
    for name in ("root", "targets", "snapshot", "timestamp"):
        role = root.roles[name]
        keys = ", ".join(keyid[:12] for keyid in role.keyids)
        yield f"  {name}: {role.threshold} of {len(role.keyids)} keys ({keys})"
    for name in _delegated(targets):
        held = targets.get_delegated_role(name)
        keys = ", ".join(keyid[:12] for keyid in held.keyids)
        yield f"  {name}: {held.threshold} of {len(held.keyids)} keys ({keys})"
    for path in sorted(targets.targets):
        yield f"  {shown(path)}: sha256 {targets.targets[path].hashes['sha256']}"
