"""The online half of the repository: bins, `published`, snapshot and timestamp.

Every change goes down the chain in one order - target files, bins, `published`, snapshot, and the
timestamp last - so that a reader sees the repository before the change or after it, also when the
worker is killed in between. What is read back counts only where the signature of its role's key
of today verifies: the rest is made anew, so that a changed file is never signed again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from registry.tuf.keys import OnlineKeys
from registry.tuf.store import Store
from trust.errors import SealgateError
from trust.tuf import names, records
from trust.tuf.checks import (
    MetadataRefused,
    S,
    check_chain,
    check_fresh,
    check_signed,
    count,
    read,
    refused,
)

LIFETIMES: Final = {
    "timestamp": timedelta(days=1),
    "snapshot": timedelta(days=7),
    names.PUBLISHED: timedelta(days=30),
}
"""How long the worker's signatures hold; each is renewed after half of it."""

log = logging.getLogger("registry.tuf")


@dataclass(frozen=True, slots=True)
class Release:
    """One published version."""

    name: str
    version: str
    filename: str
    wheel: bytes = field(repr=False)
    bundles: Sequence[bytes] = field(repr=False)
    locked: Sequence[bytes] = field(repr=False, default=())


@dataclass(slots=True)
class _State:
    """What stands at one time.

    `targets` is the newest that verifies, and may be newer than what the snapshot names.
    """

    root: Metadata[Root]
    targets: Metadata[Targets]
    snapshot: Snapshot | None
    timestamp: Timestamp | None


class Repository:
    """One repository, for the worker."""

    def __init__(
        self, store: Store, pinned_root: bytes, keys: OnlineKeys, clock: Callable[[], datetime]
    ) -> None:
        """Take the files, the root that the deployment pins, the online keys, and the time."""
        self.store = store
        self._pinned = pinned_root
        self._keys = keys
        self._clock = clock

    def _state(self) -> _State:
        root = check_chain(self._pinned, self._newer_roots())
        timestamp = self._own(Timestamp, "timestamp.json", root.signed, "timestamp")
        snapshot = None
        if timestamp is not None:
            name = f"{timestamp.snapshot_meta.version}.snapshot.json"
            snapshot = self._own(Snapshot, name, root.signed, "snapshot")
        return _State(root, self._targets(root, snapshot), snapshot, timestamp)

    def _newer_roots(self) -> Iterator[bytes]:
        return self.store.roots_after(read(Root, self._pinned).signed.version)

    def _targets(self, root: Metadata[Root], snapshot: Snapshot | None) -> Metadata[Targets]:
        """Return the newest targets that enough offline keys have signed."""
        floor = snapshot.meta["targets.json"].version if snapshot else 1
        error: SealgateError | None = None
        for version in range(self.store.newest("targets"), floor - 1, -1):
            data = self.store.read(f"{version}.targets.json")
            if data is None:
                continue
            try:
                found = read(Targets, data)
                check_signed(root.signed, "targets", found)
                if found.signed.version == version:
                    return found
            except SealgateError as problem:
                error = problem
                log.error("targets %d are not taken: %s", version, problem.diagnostics())
        if error is not None:
            raise error
        raise refused(
            "tuf.no-targets",
            "the repository has no targets metadata that its root allows",
            floor,
            "N.targets.json, signed offline",
            "hold the ceremony: `sealgate keys init`, `sign`, `publish`",
        )

    def _own(self, kind: type[S], name: str, delegator: Root | Targets, role: str) -> S | None:
        """Read what this worker signed; None where it is not there or another key's."""
        data = self.store.read(name)
        if data is None:
            return None
        try:
            found = read(kind, data)
            check_signed(delegator, role, found)
        except MetadataRefused as error:
            log.warning("%s is made anew: %s", name, error)
            return None
        return found.signed

    # --- what the bins hold

    def _published(self, state: _State) -> Targets:
        meta = state.snapshot.meta.get("published.json") if state.snapshot else None
        found = meta and self._own(
            Targets, f"{meta.version}.published.json", state.targets.signed, names.PUBLISHED
        )
        role = state.targets.signed.get_delegated_role(names.PUBLISHED)
        if found and found.delegations is not None:
            bins = (found.delegations.roles or {}).values()
            if all(set(each.keyids) == set(role.keyids) for each in bins):
                return found
        return Targets(version=meta.version if meta else 0, delegations=Delegations({}, {}))

    def _bin(self, state: _State, published: Targets, which: str) -> Targets:
        role = names.bin_role(which)
        meta = state.snapshot.meta.get(f"{role}.json") if state.snapshot else None
        version = meta.version if meta else 0
        if meta is not None and role in _roles(published):
            found = self._own(Targets, f"{version}.{role}.json", published, role)
            if found is not None:
                return found
        return Targets(version=version)

    def known(self) -> set[tuple[str, str]]:
        """Return the name and version of every release that is published here.

        Raises:
            SealgateError: the repository cannot be read, or no ceremony was held yet.
        """
        with self.store.writing():
            state = self._state()
            published = self._published(state)
            return {
                found
                for role in _roles(published)
                for path in self._bin(state, published, role.rpartition("-")[2]).targets
                if (found := _release_of(path)) is not None
            }

    # --- changes

    def publish(self, releases: Iterable[Release]) -> int:
        """Add releases and sign everything that follows from it; return how many.

        Raises:
            SealgateError: nothing that a client sees has changed.
        """
        with self.store.writing():
            state = self._state()
            published = self._published(state)
            bins: dict[str, Targets] = {}
            plugins: dict[str, set[str]] = {}
            number = 0
            for release in releases:
                which = names.bin_of(release.name)
                if which not in bins:
                    bins[which] = self._bin(state, published, which)
                self._add(bins[which], release)
                plugins.setdefault(which, set()).add(release.name)
                number += 1
            for which, changed in bins.items():
                for name in plugins[which]:
                    self._index(changed, name)
            self._commit(state, published, bins)
            return number

    def _add(self, target: Targets, release: Release) -> None:
        wheel = names.wheel_path(release.name, release.version, release.filename)
        evidence = names.evidence_path(release.name, release.version)
        for data in release.locked:
            digest = hashlib.sha256(data).hexdigest()
            self._target(target, names.dependency_path(release.name, release.version, digest), data)
        for path, data in (
            (wheel, release.wheel),
            (evidence, records.write_evidence(release.bundles)),
        ):
            self._target(target, path, data)

    def _target(self, target: Targets, path: str, data: bytes) -> None:
        file = TargetFile.from_data(path, data, ["sha256"])
        self.store.put(path, file.hashes["sha256"], data)
        target.targets[path] = file

    def _index(self, target: Targets, name: str) -> None:
        prefix = names.plugin_path(name) + "/"
        filenames = {}
        for path in target.targets:
            if path.startswith(prefix) and path.endswith(".whl"):
                version, _, filename = path.removeprefix(prefix).partition("/")
                filenames[version] = filename
        path = names.index_path(name)
        old = target.targets.get(path)
        if old is not None:
            self.store.supersede(self.store.target(path, old.hashes["sha256"]))
        self._target(target, path, records.write_index(name, filenames))
        new = self.store.target(path, target.targets[path].hashes["sha256"])
        self.store.prune_beside(new, self._clock().timestamp())

    def renew(self) -> bool:
        """Take over what a ceremony brought and sign again what ends soon; tell if anything was.

        Raises:
            SealgateError: the repository cannot be used.
        """
        with self.store.writing():
            state = self._state()
            published = self._published(state)
            due = {
                role.rpartition("-")[2]: self._bin(state, published, role.rpartition("-")[2])
                for role in _roles(published)
            }
            due = {which: each for which, each in due.items() if self._ends_soon(each, "published")}
            if not due and not self._stale(state, published):
                return False
            self._commit(state, published, due)
            return True

    def next_renewal(self) -> datetime:
        """Return when `renew` must be called at the latest."""
        timestamp = self._clock()
        data = self.store.read("timestamp.json")
        if data is not None:
            timestamp = read(Timestamp, data).signed.expires - LIFETIMES["timestamp"] / 2
        return timestamp

    def _ends_soon(self, signed: Any, kind: str) -> bool:
        return bool(signed.expires - self._clock() < LIFETIMES[kind] / 2)

    def _stale(self, state: _State, published: Targets) -> bool:
        snapshot, timestamp = state.snapshot, state.timestamp
        return (
            snapshot is None
            or timestamp is None
            or snapshot.meta["targets.json"].version != state.targets.signed.version
            or f"{names.PUBLISHED}.json" not in snapshot.meta
            or snapshot.meta[f"{names.PUBLISHED}.json"].version != published.version
            or self._ends_soon(published, "published")
            or self._ends_soon(snapshot, "snapshot")
            or self._ends_soon(timestamp, "timestamp")
        )

    def _commit(self, state: _State, published: Targets, bins: Mapping[str, Targets]) -> None:
        """Sign and write the chain, from the leaves to the timestamp."""
        root, targets, now = state.root, state.targets, self._clock()
        for offline in (root, targets):
            check_fresh(offline, now)
        meta = dict(state.snapshot.meta) if state.snapshot else {}
        before = set(meta.items())
        if self._delegate(state, published, bins) or self._ends_soon(published, "published"):
            meta["published.json"] = self._sign(published, names.PUBLISHED, targets.signed)
        for which, each in bins.items():
            role = names.bin_role(which)
            meta[f"{role}.json"] = self._sign(each, role, published)
        data = self.store.read(f"{targets.signed.version}.targets.json") or b""
        meta["targets.json"] = _meta(targets.signed.version, data)
        snapshot = state.snapshot or Snapshot(version=self._last("snapshot"))
        if (
            set(meta.items()) != before
            or not state.snapshot
            or self._ends_soon(snapshot, "snapshot")
        ):
            snapshot.meta = meta
            named = self._sign(snapshot, "snapshot", root.signed)
        else:
            kept = self.store.read(f"{snapshot.version}.snapshot.json") or b""
            named = _meta(snapshot.version, kept)
        timestamp = state.timestamp or Timestamp(version=self._last("timestamp"))
        timestamp.snapshot_meta = named
        self._sign(timestamp, "timestamp", root.signed)
        current = {f"{each.version}.{name}" for name, each in meta.items()}
        self.store.prune(
            current | {"timestamp.json", f"{snapshot.version}.snapshot.json"}, now.timestamp()
        )

    def _last(self, role: str) -> int:
        """Return the version of an unusable timestamp or snapshot: the next one is higher."""
        if role == "snapshot":
            return self.store.newest("snapshot")
        data = self.store.read("timestamp.json")
        try:
            return int(read(Timestamp, data).signed.version) if data else 0
        except MetadataRefused:
            return 0

    def _delegate(self, state: _State, published: Targets, bins: Mapping[str, Targets]) -> bool:
        """Make `published` name every bin; tell whether it is another one than before."""
        role = state.targets.signed.get_delegated_role(names.PUBLISHED)
        keys = {keyid: state.targets.signed.get_key(keyid) for keyid in role.keyids}
        if published.delegations is None or published.delegations.roles is None:
            published.delegations = Delegations({}, {})
        delegations = published.delegations
        fresh = [which for which in bins if names.bin_role(which) not in _roles(published)]
        for which in fresh:
            made = DelegatedRole(
                names.bin_role(which),
                list(role.keyids),
                role.threshold,
                terminating=True,
                paths=names.bin_paths(which),
            )
            delegations.roles = {**(delegations.roles or {}), made.name: made}
        first = state.snapshot is None or "published.json" not in state.snapshot.meta
        if first or fresh or set(delegations.keys) != set(keys):
            delegations.keys = keys
            return True
        return False

    def _sign(self, signed: Any, role: str, delegator: Root | Targets) -> MetaFile:
        kind = role if role in LIFETIMES else names.PUBLISHED
        name = "timestamp.json" if role == "timestamp" else f"{signed.version + 1}.{role}.json"
        if role != "timestamp":
            self.store.supersede(self.store.metadata / f"{signed.version}.{role}.json")
        signed.version += 1
        signed.expires = (self._clock() + LIFETIMES[kind]).replace(microsecond=0)
        metadata: Metadata[Any] = Metadata(signed)
        for number, signer in enumerate(self._keys.of(delegator, role)):
            metadata.sign(signer, append=number > 0)
        if not count(delegator, role, metadata).complete:
            raise RuntimeError(f"{role} was signed and does not verify")
        data = metadata.to_bytes()
        self.store.write(name, data)
        return _meta(signed.version, data)


def _meta(version: int, data: bytes) -> MetaFile:
    return MetaFile.from_data(version, data, ["sha256"])


def _roles(targets: Targets) -> Mapping[str, DelegatedRole]:
    return (targets.delegations.roles or {}) if targets.delegations else {}


def _release_of(path: str) -> tuple[str, str] | None:
    parts = path.split("/")
    return (parts[2], parts[3]) if len(parts) == 5 and path.endswith(".whl") else None
