"""The worker's side: what it signs, when, and what it never signs again."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Targets

from registry.tuf.keys import OnlineKeys
from registry.tuf.repository import LIFETIMES, Release, Repository
from registry.tuf.store import KEEP, Store
from runner.distribution.follower import DistributionRefused, Follower
from runner.http_get import Bounds
from sealgate.ceremony import local
from tests.runner.kit import HandClock
from tests.support.evidence import TrustFixture
from tests.tuf.simulator import failed
from tests.tuf.town import trust_files
from trust.errors import SealgateError
from trust.tuf import names, records

pytestmark = pytest.mark.disable_socket


@dataclass
class Yard:
    """A repository, and a runner that reads its folder; both have one clock."""

    path: Path
    clock: HandClock = field(default_factory=HandClock)

    @property
    def folder(self) -> Path:
        """The public files."""
        return self.path / "tuf"

    def repository(self, store: Store | None = None) -> Repository:
        """Return the worker's view, as after a restart."""
        root = (self.path / "root.json").read_bytes()
        keys = OnlineKeys(self.path / "online")
        return Repository(store or Store(self.folder), root, keys, self.clock.now)

    def follower(self) -> Follower:
        """Return a runner's view that keeps what it has seen."""

        def fetch(url: str, bounds: Bounds) -> bytes:
            path = self.folder / url.removeprefix("http://x/")
            if not path.is_file():
                raise failed("not the status that was expected", 404)
            return path.read_bytes()

        root = (self.path / "root.json").read_bytes()
        return Follower(
            "http://x", root, self.path / "runner", self.clock, max_age_seconds=10**9, fetch=fetch
        )

    def refreshed(self) -> Follower:
        """Return a runner's view that has just refreshed."""
        follower = self.follower()
        problem = follower.refresh()
        assert problem is None, problem
        return follower


def release(
    name: str = "example-plugin", version: str = "1.0.0", data: bytes = b"wheel"
) -> Release:
    return Release(
        name, version, f"{name.replace('-', '_')}-{version}-py3-none-any.whl", data,
        [b'{"bundle": 1}', b'{\n "bundle": 2\n}'],
    )  # fmt: skip


def wheel_of(one: Release) -> str:
    return names.wheel_path(one.name, one.version, one.filename)


@pytest.fixture(scope="module")
def trust() -> TrustFixture:
    """What the targets vouch for."""
    return TrustFixture()


@pytest.fixture
def yard(tmp_path: Path, trust: TrustFixture) -> Yard:
    """After the first ceremony, before the worker has looked."""
    local.initialise(
        tmp_path / "tuf", tmp_path / "offline", tmp_path / "online", tmp_path / "root.json",
        trust_files(trust),
    )  # fmt: skip
    return Yard(tmp_path)


def test_a_release_is_found_with_its_evidence_and_its_index(yard: Yard) -> None:
    one, two = release(), release(version="1.10.0", data=b"another")
    assert yard.repository().publish([one, two]) == 2
    follower = yard.refreshed()
    assert follower.download(follower.find(wheel_of(two))) == b"another"
    index = follower.download(follower.find(names.index_path(one.name)))
    assert list(records.read_index(index, one.name)) == ["1.0.0", "1.10.0"]
    evidence = follower.download(follower.find(names.evidence_path(one.name, "1.0.0")))
    assert records.read_evidence(evidence) == tuple(one.bundles)
    assert yard.repository().known() == {(one.name, "1.0.0"), (one.name, "1.10.0")}


def test_a_publication_touches_its_own_bin_only(yard: Yard) -> None:
    plugins = [f"plugin-{number}" for number in range(12)]
    yard.repository().publish([release(name) for name in plugins])
    before = {path.name for path in (yard.folder / "metadata").iterdir()}
    yard.repository().publish([release(plugins[0], "2.0.0")])
    role = names.bin_role(names.bin_of(plugins[0]))
    fresh = {path.name for path in (yard.folder / "metadata").iterdir()} - before
    assert fresh == {f"2.{role}.json", "2.snapshot.json"}


class Killed(Exception):
    """The worker is gone."""


class DyingStore(Store):
    """A store whose process is killed before the write of this number."""

    def __init__(self, folder: Path, writes: int) -> None:
        super().__init__(folder)
        self.left = writes

    def write(self, name: str, data: bytes) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        super().write(name, data)


@pytest.mark.parametrize("writes", range(4))
def test_a_worker_killed_at_any_write_leaves_the_old_state_or_the_new(
    yard: Yard, writes: int
) -> None:
    """Writes: bin, published, snapshot, timestamp. A reader never sees half of it."""
    first, second = release("first-plugin"), release("second-plugin")
    yard.repository().publish([first])
    yard.refreshed()
    with pytest.raises(Killed):
        yard.repository(DyingStore(yard.folder, writes)).publish([second])
    follower = yard.refreshed()
    assert follower.find(wheel_of(first))
    assert not follower.has(wheel_of(second))
    repository = yard.repository()
    if (second.name, second.version) not in repository.known():
        repository.publish([second])
    else:
        repository.renew()
    assert yard.refreshed().find(wheel_of(second))


def test_everything_is_renewed_in_time(yard: Yard) -> None:
    yard.repository().publish([release()])
    assert not yard.repository().renew()
    step = LIFETIMES["timestamp"].total_seconds() * 0.6
    for number in range(60):  # thirty-six days
        yard.clock.pass_time(step)
        yard.repository().renew()
        if number % 20 == 0:
            assert yard.refreshed().find(wheel_of(release()))
    assert yard.refreshed().find(wheel_of(release()))


def test_when_the_next_renewal_is_due_is_known(yard: Yard) -> None:
    repository = yard.repository()
    assert repository.next_renewal() <= yard.clock.now()
    repository.renew()
    ahead = repository.next_renewal() - yard.clock.now()
    assert timedelta(hours=11) < ahead <= timedelta(hours=12)


def test_expired_offline_metadata_is_never_put_under_a_fresh_timestamp(yard: Yard) -> None:
    yard.repository().publish([release()])
    yard.clock.pass_time(timedelta(days=366).total_seconds())
    with pytest.raises(SealgateError) as caught:
        yard.repository().renew()
    assert caught.value.problem.code == "tuf.expired"


def forge(yard: Yard, pattern: str) -> Path:
    """Put another wheel into a signed file, without a key: what a stolen web process could do."""
    path = next((yard.folder / "metadata").glob(pattern))
    metadata: Metadata[Targets] = Metadata.from_bytes(path.read_bytes())
    for file in getattr(metadata.signed, "targets", {}).values():
        file.hashes["sha256"] = "ab" * 32
    metadata.signed.unrecognized_fields["forged"] = True
    path.write_bytes(metadata.to_bytes())
    return path


@pytest.mark.parametrize("pattern", ["*.published-*.json", "*.published.json"])
def test_a_changed_file_is_never_signed_again(yard: Yard, pattern: str) -> None:
    one = release()
    yard.repository().publish([one])
    forge(yard, pattern)
    repository = yard.repository()
    assert repository.known() == set()
    repository.publish([one])
    follower = yard.refreshed()
    assert follower.download(follower.find(wheel_of(one))) == one.wheel
    assert b"forged" not in b"".join(
        (yard.folder / "metadata" / name).read_bytes()
        for name in ("2.published.json", f"2.{names.bin_role(names.bin_of(one.name))}.json")
        if (yard.folder / "metadata" / name).exists()
    )


@pytest.mark.parametrize("pattern", ["*.snapshot.json", "timestamp.json"])
def test_a_changed_snapshot_or_timestamp_is_made_anew(yard: Yard, pattern: str) -> None:
    one = release()
    yard.repository().publish([one])
    yard.refreshed()
    forge(yard, pattern)
    assert yard.repository().renew()
    assert yard.refreshed().find(wheel_of(one))


@pytest.mark.parametrize("role", ["root", "targets"])
def test_offline_metadata_that_nobody_signed_is_not_taken(yard: Yard, role: str) -> None:
    yard.repository().publish([release()])
    metadata = yard.folder / "metadata"
    forged = metadata / f"2.{role}.json"
    made: Metadata[Targets] = Metadata.from_bytes((metadata / f"1.{role}.json").read_bytes())
    made.signed.version = 2
    made.signatures.clear()
    forged.write_bytes(made.to_bytes())
    if role == "root":
        with pytest.raises(SealgateError) as caught:
            yard.repository().renew()
        assert caught.value.problem.code == "tuf.signatures"
    else:
        yard.repository().renew()
        assert (yard.refreshed().standing.versions or {})["targets"] == 1


def test_a_key_that_others_may_read_signs_nothing(yard: Yard) -> None:
    next((yard.path / "online").glob("timestamp-*")).chmod(0o644)
    with pytest.raises(SealgateError) as caught:
        yard.repository().renew()
    assert caught.value.problem.code == "tuf.key-mode"


def test_what_was_replaced_stays_for_a_day_and_goes_then(yard: Yard) -> None:
    metadata = yard.folder / "metadata"
    for number in range(3):
        yard.repository().publish([release(version=f"1.{number}.0")])
    assert len(list(metadata.glob("*.snapshot.json"))) == 3
    yard.clock.pass_time(KEEP.total_seconds() + 60)
    yard.repository().publish([release(version="1.9.0")])
    assert sorted(path.name for path in metadata.glob("*.snapshot.json")) == ["4.snapshot.json"]
    assert len(list(metadata.glob("*.published-*.json"))) == 1
    assert (metadata / "1.root.json").exists()
    plugin = yard.folder / "targets" / names.plugin_path("example-plugin")
    assert len(list(plugin.glob("*.index.json"))) == 1
    follower = yard.refreshed()
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.9.0"):
        assert follower.find(wheel_of(release(version=version)))


def test_two_workers_do_not_lose_each_others_releases(yard: Yard) -> None:
    one, other = yard.repository(), yard.repository()
    for number, worker in zip(range(6), itertools.cycle((one, other)), strict=False):
        worker.publish([release(version=f"1.{number}.0")])
    assert len(one.known()) == 6


def test_names_that_no_target_can_have(yard: Yard) -> None:
    for name in ("../escape", "UPPER", "a/b", "", "a--b"):
        with pytest.raises(names.NameRefused):
            yard.repository().publish([release(name)])
    for filename in ("../x.whl", "x", "a/b.whl", ".hidden.sh"):
        with pytest.raises(names.NameRefused):
            names.wheel_path("example-plugin", "1.0.0", filename)
    for version in ("../1", "1.0/..", "latest"):
        with pytest.raises(names.NameRefused):
            names.wheel_path("example-plugin", version, "x-1.0-py3-none-any.whl")


def test_an_unknown_version_is_refused_by_name(yard: Yard) -> None:
    yard.repository().publish([release()])
    with pytest.raises(DistributionRefused) as caught:
        yard.refreshed().find(wheel_of(release(version="2.0.0")))
    assert caught.value.problem.code == "tuf.no-target"


def test_the_time_of_a_repository_is_its_workers(yard: Yard) -> None:
    yard.repository().renew()
    data = (yard.folder / "metadata" / "timestamp.json").read_bytes()
    expires = Metadata.from_bytes(data).signed.expires
    assert abs(expires - datetime.now(UTC) - LIFETIMES["timestamp"]) < timedelta(minutes=1)
