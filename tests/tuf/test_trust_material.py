"""Layout and trusted root from the repository: both the offline keys and the owners must agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.distribution.follower import Follower
from runner.distribution.trust_material import Pinned, TrustFollower
from tests.runner.kit import HandClock, Site, assert_refused
from tests.support import servers
from tests.support.evidence import TrustFixture
from tests.tuf.simulator import Client, Simulator
from tests.tuf.town import Town, site_of, trust_files
from trust.gate import Gate
from trust.layout import sign_layout
from trust.tuf import names


@pytest.fixture(scope="module")
def trust() -> TrustFixture:
    """Layout, owners and trusted root; one of two owners must sign."""
    return TrustFixture()


class Desk:
    """What takes gates, and remembers them."""

    def __init__(self, trust: TrustFixture, folder: Path) -> None:
        self.trust = trust
        self.simulator = Simulator()
        self.client = Client(self.simulator, folder)
        pinned = Pinned(trust.sigstore.trusted_root, trust.layout, trust.owners)
        self.gate = Gate(pinned.trusted_root, pinned.layout, pinned.layout_owners)
        self.trusted = TrustFollower(self.client.follower, pinned, self.gate, self.client.clock)
        self.adopted: list[Gate] = []

    def publish(self, path: str, data: bytes) -> None:
        """Let the offline keys vouch for a file."""
        self.simulator.add("targets", path, data)
        self.simulator.publish("targets")

    def look(self) -> list[str]:
        """Refresh and look; return the codes of what is wrong."""
        assert self.client.refresh() is None
        self.trusted.look(self.adopted.append)
        return [problem.code for problem in self.trusted.problems]

    def layout(self, **changes: object) -> bytes:
        """Return another layout, signed by its owners."""
        return sign_layout(self.trust.make_layout(**changes), self.trust.owner_signers)


@pytest.fixture
def desk(trust: TrustFixture, tmp_path: Path) -> Desk:
    """A repository whose targets vouch for nothing yet."""
    return Desk(trust, tmp_path)


def test_without_any_file_the_pinned_ones_hold(desk: Desk) -> None:
    assert desk.look() == []
    assert desk.adopted == []


def test_the_same_files_as_are_pinned_change_nothing(desk: Desk) -> None:
    for path, data in trust_files(desk.trust).items():
        desk.publish(path, data)
    assert desk.look() == []
    assert desk.adopted == []


def test_a_newer_layout_takes_force_once(desk: Desk) -> None:
    layout = desk.layout(review_threshold=3)
    desk.publish(names.LAYOUT, layout)
    assert desk.look() == []
    (gate,) = desk.adopted
    assert gate.layout is not None
    assert gate.layout.thresholds["review"] == 3
    assert desk.look() == []
    assert len(desk.adopted) == 1


@pytest.mark.parametrize("bad", ["unsigned", "expired", "garbage"])
def test_a_bad_layout_leaves_the_old_one_in_force_and_says_so(desk: Desk, bad: str) -> None:
    """The offline keys of `targets` are not enough: the layout's owners must have signed too."""
    good = desk.layout(review_threshold=3)
    desk.publish(names.LAYOUT, good)
    desk.look()
    desk.publish(
        names.LAYOUT,
        {
            "unsigned": sign_layout(desk.trust.make_layout(review_threshold=1), []),
            "expired": desk.layout(expires=datetime.now(UTC) + timedelta(seconds=1)),
            "garbage": b"{}",
        }[bad],
    )
    desk.client.clock.pass_time(5)
    assert desk.look()[0] == "tuf.trust-refused"
    assert len(desk.adopted) == 1
    desk.publish(names.LAYOUT, good)
    assert desk.look() == []


def test_owners_are_never_taken_from_the_repository(desk: Desk) -> None:
    """Whoever holds the offline keys of `targets` cannot name other owners of the layout."""
    thieves = TrustFixture(desk.trust.sigstore)
    desk.publish(names.LAYOUT_OWNERS, thieves.owners)
    desk.publish(names.LAYOUT, thieves.layout)
    assert desk.look()[0] == "tuf.trust-refused"
    assert desk.adopted == []


def test_a_broken_trusted_root_is_refused(desk: Desk) -> None:
    desk.publish(names.TRUSTED_ROOT, b'{"mediaType": "nonsense"}')
    assert desk.look()[0] == "tuf.trust-refused"
    assert desk.adopted == []


def test_another_trusted_root_takes_force(desk: Desk) -> None:
    other = TrustFixture()
    desk.publish(names.TRUSTED_ROOT, other.sigstore.trusted_root)
    assert desk.look() == []
    assert len(desk.adopted) == 1


def test_what_was_taken_is_there_after_a_restart_without_a_network(desk: Desk) -> None:
    desk.publish(names.LAYOUT, desk.layout(review_threshold=3))
    desk.look()
    desk.simulator.down = True
    follower: Follower = desk.client.again()
    assert follower.resume() is None
    pinned = Pinned(desk.trust.sigstore.trusted_root, desk.trust.layout, desk.trust.owners)
    again = TrustFollower(follower, pinned, desk.gate, HandClock())
    again.look(desk.adopted.append)
    assert [gate.epoch for gate in desk.adopted] == [desk.adopted[0].epoch] * 2


# --- the whole runner


@pytest.fixture
def town(tmp_path: Path, trust: TrustFixture) -> Iterator[Town]:
    """A registry with one published version."""
    (tmp_path / "town").mkdir()
    made = Town.make(tmp_path / "town", trust)
    yield made
    made.registry.services.close()


def test_a_runner_swaps_the_layout_while_it_runs(
    town: Town, tmp_path: Path, trust: TrustFixture
) -> None:
    from sealgate.ceremony import drafting, signing
    from sealgate.ceremony.folder import Folder
    from sealgate.ceremony.keyfiles import open_private
    from tests.support.wheels import make_wheel

    town.registry.publish(*make_wheel())
    with servers.folder(town.tuf) as url:
        site: Site = site_of(town, tmp_path, trust, url)
        with site.runner() as calls:
            assert calls.call()["status"] == "ok"
            before = site.records()[-1]["layout_sha256"]
            folder = Folder(tmp_path / "ceremony")
            drafting.open_repository(folder, town.tuf)
            stricter = sign_layout(trust.make_layout(review_threshold=3), trust.owner_signers)
            drafting.change_files(folder, datetime.now(UTC), {names.LAYOUT: stricter})
            for who in ("one", "two"):
                key = town.folder / "offline" / f"targets-{who}.pem"
                signing.sign(folder, open_private(key, None))
            signing.publish(folder, town.tuf, datetime.now(UTC))
            town.registry.worker.run_once()
            gate = calls.service.runner.gate
            deadline = datetime.now(UTC) + timedelta(seconds=10)
            while calls.service.runner.gate is gate and datetime.now(UTC) < deadline:
                calls.call("greet", {"name": "Ada"})
            site.sandbox.jobs.clear()
            # two reviewers were enough before; what was admitted under the old layout is void
            assert_refused(site, calls.call(), "gate.refused")
            assert site.records()[-1]["layout_sha256"] != before
        site.registry.close()


def test_a_policy_may_keep_the_pinned_layout(
    town: Town, tmp_path: Path, trust: TrustFixture
) -> None:
    other = sign_layout(trust.make_layout(review_threshold=1), trust.owner_signers)
    with servers.folder(town.tuf) as url:
        site = site_of(town, tmp_path, trust, url, follow_trust=False)
        (site.keys / "layout.json").write_bytes(other)
        with site.runner() as calls:
            layout = calls.service.runner.gate.layout
            assert layout is not None
            assert layout.thresholds["review"] == 1
        site.registry.close()
