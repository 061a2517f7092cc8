"""A TUF repository in memory: real metadata, really signed, served without a network.

`publish()` signs what has changed in the order of the specification; `files` is what a client can
fetch, and a test may put anything there. The roles are those of the product: root, targets,
snapshot, timestamp, `published` and its bins.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
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

from runner.distribution.follower import Follower
from runner.http_get import Bounds, FetchFailed
from tests.runner.kit import HandClock
from trust.errors import problem
from trust.tuf import names

URL = "http://mirror.test/tuf"
TOP = ("root", "targets", "snapshot", "timestamp")


def soon(**delta: float) -> datetime:
    """Return a moment ahead, whole seconds, UTC."""
    return (datetime.now(UTC) + timedelta(**delta)).replace(microsecond=0)


def failed(what: str, status: int | None) -> FetchFailed:
    """Return what the bounded GET raises."""
    error = FetchFailed(problem("registry.unusable", what, value=status))
    error.status, error.reason = status, what
    return error


@dataclass
class Simulator:
    """One repository.

    Attributes:
        signers: role -> the signers who sign for it when it is signed.
        files: path -> bytes, as a client fetches them.
        requests: what was fetched, in order.
        endless: paths that never end; slow: paths that do not answer in time.
    """

    threshold: int = 2
    keys: int = 3
    signers: dict[str, list[CryptoSigner]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    endless: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    down: bool = False

    def __post_init__(self) -> None:
        self.root = Root(expires=soon(days=365))
        self.targets = Targets(expires=soon(days=365))
        self.snapshot = Snapshot(expires=soon(days=7))
        self.timestamp = Timestamp(expires=soon(days=1))
        self.delegated: dict[str, Targets] = {}
        for role in TOP:
            self.give_keys(role, self.keys if role in names.OFFLINE else 1)
            self.root.roles[role].threshold = self.threshold if role in names.OFFLINE else 1
        self.delegate("targets", names.PUBLISHED, list(names.PUBLISHED_PATHS))
        self.write_root()
        self.publish("targets", names.PUBLISHED)
        self.pinned = self.files["metadata/1.root.json"]

    # --- keys and delegations

    def give_keys(self, role: str, number: int = 1) -> list[CryptoSigner]:
        """Give a top-level role more keys; they sign from now on."""
        made = [CryptoSigner.generate_ed25519() for _ in range(number)]
        for signer in made:
            self.root.add_key(signer.public_key, role)
        self.signers.setdefault(role, []).extend(made)
        return made

    def rotate(self, role: str) -> list[CryptoSigner]:
        """Replace every key of a top-level role; return the old signers."""
        old = list(self.signers.get(role, []))
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        self.signers[role] = []
        self.give_keys(role, len(old))
        return old

    def delegate(
        self, delegator: str, role: str, paths: Sequence[str], *, terminating: bool = True
    ) -> Targets:
        """Delegate paths to a role with a key of its own."""
        signer = CryptoSigner.generate_ed25519()
        parent = self.role(delegator)
        if parent.delegations is None:
            parent.delegations = Delegations({}, {})
        made = DelegatedRole(role, [], 1, terminating, list(paths))
        assert parent.delegations.roles is not None
        parent.delegations.roles[role] = made
        parent.add_key(signer.public_key, role)
        self.signers[role] = [signer]
        self.delegated.setdefault(role, Targets(expires=soon(days=30)))
        return self.delegated[role]

    def role(self, name: str) -> Targets:
        """Return `targets` or a delegated role."""
        return self.targets if name == "targets" else self.delegated[name]

    # --- content

    def add(self, role: str, path: str, data: bytes) -> TargetFile:
        """Put a target into a role, and its file where a client looks for it."""
        file = TargetFile.from_data(path, data, ["sha256"])
        self.role(role).targets[path] = file
        self.files[self.place(file)] = data
        return file

    def place(self, file: TargetFile) -> str:
        """Return where a client fetches a target."""
        folder, _, name = file.path.rpartition("/")
        return f"targets/{folder}/{file.hashes['sha256']}.{name}"

    # --- signing

    def sign(self, role: str, signed: Any, signers: Sequence[CryptoSigner] | None = None) -> bytes:
        """Return signed metadata, by the role's signers or by others."""
        metadata: Metadata[Any] = Metadata(copy.deepcopy(signed))
        for signer in self.signers[role] if signers is None else signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def write_root(self, *, also: Sequence[CryptoSigner] = (), version: int | None = None) -> bytes:
        """Write the root as it stands, signed by its keys and by `also`."""
        data = self.sign("root", self.root, [*self.signers["root"], *also])
        self.files[f"metadata/{version or self.root.version}.root.json"] = data
        return data

    def next_root(self, *, also: Sequence[CryptoSigner] = ()) -> bytes:
        """Write the root with the next version."""
        self.root.version += 1
        return self.write_root(also=also)

    def write_targets(self, role: str, signers: Sequence[CryptoSigner] | None = None) -> bytes:
        """Write a targets role as it stands, and name it in the snapshot."""
        signed = self.role(role)
        data = self.sign(role, signed, signers)
        self.files[f"metadata/{signed.version}.{role}.json"] = data
        self.snapshot.meta[f"{role}.json"] = MetaFile.from_data(signed.version, data, ["sha256"])
        return data

    def write_snapshot(self, signers: Sequence[CryptoSigner] | None = None) -> bytes:
        """Write the snapshot as it stands, and name it in the timestamp."""
        data = self.sign("snapshot", self.snapshot, signers)
        version = self.snapshot.version
        self.files[f"metadata/{version}.snapshot.json"] = data
        self.timestamp.snapshot_meta = MetaFile.from_data(version, data, ["sha256"])
        return data

    def write_timestamp(self, signers: Sequence[CryptoSigner] | None = None) -> bytes:
        """Write the timestamp as it stands."""
        data = self.sign("timestamp", self.timestamp, signers)
        self.files["metadata/timestamp.json"] = data
        return data

    def publish(self, *roles: str) -> None:
        """Sign targets roles (new versions but for the first), snapshot and timestamp."""
        for role in roles:
            if f"metadata/{self.role(role).version}.{role}.json" in self.files:
                self.role(role).version += 1
            self.write_targets(role)
        if "metadata/1.snapshot.json" in self.files:
            self.snapshot.version += 1
            self.timestamp.version += 1
        self.write_snapshot()
        self.write_timestamp()

    def state(self) -> dict[str, bytes]:
        """Return a copy of what a client can fetch now: what a mirror may keep serving."""
        return dict(self.files)

    # --- the other side

    def fetch(self, url: str, bounds: Bounds) -> bytes:
        """Answer one bounded GET."""
        path = url.removeprefix(URL + "/")
        self.requests.append(path)
        if self.down:
            raise failed("the exchange failed", None)
        if path in self.slow:
            raise failed("too slow", None)
        if path in self.endless:
            raise failed("too large", 200)
        if path not in self.files:
            raise failed("not the status that was expected", 404)
        data = self.files[path]
        if len(data) > bounds.max_bytes:
            raise failed("too large", 200)
        return data


@dataclass
class Client:
    """The runner's follower on a simulator, with a clock by hand."""

    simulator: Simulator
    folder: Path
    clock: HandClock = field(default_factory=HandClock)
    max_age_seconds: float = 3600.0

    def __post_init__(self) -> None:
        self.follower = self.again()

    def again(self, **changes: Any) -> Follower:
        """Make the follower anew, as after a restart; its folder is the same."""
        arguments: Mapping[str, Any] = {
            "max_age_seconds": self.max_age_seconds,
            "fetch": self.simulator.fetch,
        } | changes
        self.follower = Follower(URL, self.simulator.pinned, self.folder, self.clock, **arguments)
        return self.follower

    def refresh(self) -> str | None:
        """Refresh; return the code of what is wrong, or None."""
        found = self.follower.refresh()
        return found.code if found else None

    def versions(self) -> Mapping[str, int]:
        """Return the versions in force."""
        return self.follower.standing.versions or {}
