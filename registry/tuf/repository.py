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
    """What stands at one time; `versions` are the newest files of each role, whoever made them."""

    root: Metadata[Root]
    targets: Metadata[Targets]
    published: Targets
    snapshot: Snapshot | None
    timestamp: Timestamp | None
    versions: dict[str, int]


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
        versions = self.store.versions()
        targets = self._targets(root, versions.get("targets", 0))
        versions["targets"] = targets.signed.version
        published = self._own(Targets, names.PUBLISHED, targets.signed, versions)
        role = targets.signed.get_delegated_role(names.PUBLISHED)
        if published is None or any(
            set(each.keyids) != set(role.keyids) for each in _roles(published).values()
        ):
            published = Targets(delegations=Delegations({}, {}))
        return _State(
            root,
            targets,
            published,
            self._own(Snapshot, "snapshot", root.signed, versions),
            self._own(Timestamp, "timestamp", root.signed, versions),
            versions,
        )

    def _newer_roots(self) -> Iterator[bytes]:
        return self.store.roots_after(read(Root, self._pinned).signed.version)

    def _targets(self, root: Metadata[Root], newest: int) -> Metadata[Targets]:
        """Return the newest targets that enough offline keys have signed."""
        last: SealgateError | None = None
        for version in range(newest, 0, -1):
            data = self.store.read(f"{version}.targets.json")
            if data is None:
                continue
            try:
                found = read(Targets, data)
                check_signed(root.signed, "targets", found)
                if found.signed.version == version:
                    return found
            except SealgateError as error:
                last = error
                log.error("targets %d are not taken: %s", version, error.diagnostics())
        if last is not None:
            raise last
        raise refused(
            "tuf.no-targets",
            "the repository has no targets metadata that its root allows",
            newest,
            "N.targets.json, signed offline",
            "hold the ceremony: `sealgate keys init`, `sign`, `publish`",
        )

    def _own(
        self, kind: type[S], role: str, delegator: Root | Targets, versions: Mapping[str, int]
    ) -> S | None:
        """Read what this worker signed last; None where it is not there or another key's."""
        version = versions.get(role, 0)
        data = self.store.read(_file(role, version)) if version else None
        if data is None:
            return None
        try:
            found = read(kind, data)
            check_signed(delegator, role, found)
            if found.signed.version != version and role != "timestamp":
                raise refused("tuf.version", "a file has another version", role, str(version), "")
        except MetadataRefused as error:
            log.warning("%s is made anew: %s", _file(role, version), error)
            return None
        return found.signed

    def _bin(self, state: _State, role: str) -> Targets:
        """Return a bin as it stands, an empty one where there is none to rely on."""
        if role in _roles(state.published):
            found = self._own(Targets, role, state.published, state.versions)
            if found is not None:
                return found
        return Targets()

    def known(self) -> set[tuple[str, str]]:
        """Return the name and version of every release that is published here.

        Raises:
            SealgateError: the repository cannot be read, or no ceremony was held yet.
        """
        with self.store.writing():
            state = self._state()
            return {
                found
                for role in _roles(state.published)
                for path in self._bin(state, role).targets
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
            bins: dict[str, Targets] = {}
            plugins: set[str] = set()
            number = 0
            for release in releases:
                role = names.bin_role(names.bin_of(release.name))
                if role not in bins:
                    bins[role] = self._bin(state, role)
                self._add(bins[role], release)
                plugins.add(release.name)
                number += 1
            for name in plugins:
                self._index(bins[names.bin_role(names.bin_of(name))], name)
            self._commit(state, bins)
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
            bins = {role: self._bin(state, role) for role in _roles(state.published)}
            due = {role: each for role, each in bins.items() if self._ends_soon(each, role)}
            if not due and not self._stale(state):
                return False
            self._commit(state, due)
            return True

    def next_renewal(self) -> datetime:
        """Return when `renew` must be called at the latest."""
        timestamp = self._clock()
        data = self.store.read("timestamp.json")
        if data is not None:
            timestamp = read(Timestamp, data).signed.expires - LIFETIMES["timestamp"] / 2
        return timestamp

    def _ends_soon(self, signed: Any, role: str) -> bool:
        return bool(signed.expires - self._clock() < _lifetime(role) / 2)

    def _stale(self, state: _State) -> bool:
        """Tell whether snapshot and timestamp do not say what the other files say."""
        snapshot, timestamp = state.snapshot, state.timestamp
        if snapshot is None or timestamp is None:
            return True
        named = {role: snapshot.meta.get(f"{role}.json") for role in _named(state)}
        return (
            any(m is None or m.version != state.versions.get(r) for r, m in named.items())
            or timestamp.snapshot_meta.version != snapshot.version
            or self._ends_soon(state.published, names.PUBLISHED)
            or self._ends_soon(snapshot, "snapshot")
            or self._ends_soon(timestamp, "timestamp")
        )

    def _commit(self, state: _State, bins: Mapping[str, Targets]) -> None:
        """Sign and write the chain, from the leaves to the timestamp."""
        root, targets, now = state.root.signed, state.targets.signed, self._clock()
        for offline in (state.root, state.targets):
            check_fresh(offline, now)
        snapshot = state.snapshot or Snapshot()
        meta = dict(snapshot.meta) if state.snapshot else {}
        if self._delegate(state, bins) or self._ends_soon(state.published, names.PUBLISHED):
            self._sign(state, state.published, names.PUBLISHED, targets)
        for role, each in {**self._unusable(state, meta), **bins}.items():
            self._sign(state, each, role, state.published)
        for role in _named(state):
            version = state.versions[role]
            known = meta.get(f"{role}.json")
            if known is None or known.version != version:
                data = self.store.read(_file(role, version)) or b""
                meta[f"{role}.json"] = MetaFile.from_data(version, data, ["sha256"])
        if snapshot.meta != meta or not state.snapshot or self._ends_soon(snapshot, "snapshot"):
            snapshot.meta = meta
            self._sign(state, snapshot, "snapshot", root)
        timestamp = state.timestamp or Timestamp()
        data = self.store.read(_file("snapshot", snapshot.version)) or b""
        timestamp.snapshot_meta = MetaFile.from_data(snapshot.version, data, ["sha256"])
        self._sign(state, timestamp, "timestamp", root)
        current = {f"{each.version}.{name}" for name, each in meta.items()}
        current |= {"timestamp.json", _file("snapshot", snapshot.version)}
        self.store.prune(current, now.timestamp())

    def _unusable(self, state: _State, meta: Mapping[str, MetaFile]) -> dict[str, Targets]:
        """Return empty bins for those whose newest file is not ours; they are filled again."""
        moved = {
            role
            for role in _roles(state.published)
            if role in state.versions
            and (f"{role}.json" not in meta or meta[f"{role}.json"].version != state.versions[role])
        }
        return {
            role: Targets()
            for role in moved
            if self._own(Targets, role, state.published, state.versions) is None
        }

    def _delegate(self, state: _State, bins: Iterable[str]) -> bool:
        """Make `published` name every bin; tell whether it is another one than before."""
        role = state.targets.signed.get_delegated_role(names.PUBLISHED)
        keys = {keyid: state.targets.signed.get_key(keyid) for keyid in role.keyids}
        delegations = state.published.delegations or Delegations({}, {})
        roles = dict(delegations.roles or {})
        before = set(roles), set(delegations.keys)
        for each in bins:
            roles.setdefault(
                each,
                DelegatedRole(
                    each,
                    list(role.keyids),
                    role.threshold,
                    terminating=True,
                    paths=names.bin_paths(each.rpartition("-")[2]),
                ),
            )
        state.published.delegations = Delegations(keys, roles)
        return before != (set(roles), set(keys)) or names.PUBLISHED not in state.versions

    def _sign(self, state: _State, signed: Any, role: str, delegator: Root | Targets) -> None:
        """Sign the next version of a role and write it."""
        before = state.versions.get(role, 0)
        if before and role != "timestamp":
            self.store.supersede(self.store.metadata / _file(role, before))
        signed.version = before + 1
        signed.expires = (self._clock() + _lifetime(role)).replace(microsecond=0)
        metadata: Metadata[Any] = Metadata(signed)
        for signer in self._keys.of(delegator, role):
            metadata.sign(signer, append=True)
        if not count(delegator, role, metadata).complete:
            raise RuntimeError(f"{role} was signed and does not verify")
        self.store.write(_file(role, signed.version), metadata.to_bytes())
        state.versions[role] = signed.version


def _file(role: str, version: int) -> str:
    return "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"


def _lifetime(role: str) -> timedelta:
    return LIFETIMES.get(role, LIFETIMES[names.PUBLISHED])


def _named(state: _State) -> tuple[str, ...]:
    """Return the roles that a snapshot must name now."""
    return ("targets", names.PUBLISHED, *_roles(state.published))


def _roles(targets: Targets) -> Mapping[str, DelegatedRole]:
    return (targets.delegations.roles or {}) if targets.delegations else {}


def _release_of(path: str) -> tuple[str, str] | None:
    parts = path.split("/")
    return (parts[2], parts[3]) if len(parts) == 5 and path.endswith(".whl") else None
