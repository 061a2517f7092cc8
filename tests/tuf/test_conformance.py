"""The client workflow, section by section, against a repository that lies in every way it can.

Follows the TUF specification 1.0.34, section 5 (detailed client workflow), and the scenarios of the
public tuf-conformance suite: 5.2 fixed time, 5.3 root, 5.4 timestamp, 5.5 snapshot, 5.6 targets and
delegations, 5.7 target files. The client is the runner's own follower: unmodified `tuf.ngclient`
with the runner's bounds, its clock, and its names for what goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root

from runner.distribution.follower import DistributionRefused, DistributionUnavailable
from tests.tuf.simulator import Client, Simulator, soon
from trust import strictjson
from trust.tuf import names

pytestmark = pytest.mark.disable_socket

NAME = "example-plugin"
BIN = names.bin_of(NAME)
ROLE = names.bin_role(BIN)
WHEEL = names.wheel_path(NAME, "1.0.0", "example_plugin-1.0.0-py3-none-any.whl")
DATA = b"the bytes of a wheel"


@pytest.fixture
def simulator() -> Simulator:
    """A repository with one plugin in its bin."""
    made = Simulator()
    made.delegate(names.PUBLISHED, ROLE, names.bin_paths(BIN))
    made.add(ROLE, WHEEL, DATA)
    made.publish(names.PUBLISHED, ROLE)
    return made


@pytest.fixture
def client(simulator: Simulator, tmp_path: Path) -> Client:
    """A client that has never asked."""
    return Client(simulator, tmp_path)


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises((DistributionRefused, DistributionUnavailable)) as caught:
        ask()
    return caught.value.problem.code


# --- the road


def test_a_target_is_found_and_downloaded(client: Client) -> None:
    assert client.refresh() is None
    found = client.follower.find(WHEEL)
    assert client.follower.download(found) == DATA
    assert client.versions() == {
        "root": 1, "timestamp": 2, "snapshot": 2, "targets": 1, names.PUBLISHED: 2,
    }  # fmt: skip


def test_what_has_not_changed_is_not_fetched_again(client: Client) -> None:
    client.refresh()
    client.follower.find(WHEEL)
    client.simulator.requests.clear()
    assert client.refresh() is None
    client.follower.find(WHEEL)
    assert client.simulator.requests == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_a_path_that_nobody_names_is_no_target(client: Client) -> None:
    client.refresh()
    other = names.wheel_path(NAME, "9.0.0", "example_plugin-9.0.0-py3-none-any.whl")
    assert code_of(lambda: client.follower.find(other)) == "tuf.no-target"


# --- 5.3 root


@pytest.mark.parametrize("newer", [1, 5])
def test_a_chain_of_roots_is_followed(client: Client, newer: int) -> None:
    for _ in range(newer):
        old = client.simulator.rotate("root")
        client.simulator.next_root(also=old)
    assert client.refresh() is None
    assert client.versions()["root"] == 1 + newer


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_the_keys_of_each_role_can_be_rotated(client: Client, role: str) -> None:
    client.refresh()
    simulator = client.simulator
    old = simulator.rotate(role)
    simulator.next_root(also=old if role == "root" else ())
    simulator.publish(*(["targets"] if role == "targets" else []))
    assert client.refresh() is None
    assert client.versions()["root"] == 2


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_rotated_key_signs_nothing_any_more(client: Client, role: str) -> None:
    simulator = client.simulator
    old = simulator.rotate(role)
    simulator.next_root()
    if role == "targets":
        simulator.targets.version += 1
        simulator.write_targets("targets", old)
    simulator.snapshot.version += 1
    simulator.write_snapshot(old if role == "snapshot" else None)
    simulator.timestamp.version += 1
    simulator.write_timestamp(old if role == "timestamp" else None)
    assert client.refresh() == "tuf.signature"


def test_a_root_that_the_old_keys_have_not_signed(client: Client) -> None:
    client.simulator.rotate("root")
    client.simulator.next_root()
    assert client.refresh() == "tuf.signature"
    assert client.follower.standing.versions is None


def test_a_root_that_its_own_keys_have_not_signed(client: Client) -> None:
    simulator = client.simulator
    old = simulator.rotate("root")
    simulator.root.version += 1
    simulator.files["metadata/2.root.json"] = simulator.sign("root", simulator.root, old)
    assert client.refresh() == "tuf.signature"


def test_a_root_below_the_threshold(client: Client) -> None:
    simulator = client.simulator
    simulator.root.version += 1
    one = simulator.signers["root"][:1]
    simulator.files["metadata/2.root.json"] = simulator.sign("root", simulator.root, one)
    assert client.refresh() == "tuf.signature"


def test_a_raised_threshold_holds_for_the_new_root(client: Client) -> None:
    simulator = client.simulator
    simulator.root.roles["root"].threshold = 3
    simulator.root.version += 1
    two = simulator.signers["root"][:2]
    simulator.files["metadata/2.root.json"] = simulator.sign("root", simulator.root, two)
    assert client.refresh() == "tuf.signature"
    simulator.write_root()
    assert client.refresh() is None


@pytest.mark.parametrize("version", [1, 3, 7])
def test_a_root_that_is_not_the_next_one(client: Client, version: int) -> None:
    """Rollback and forged gaps: 5.3.5."""
    client.simulator.root.version = version
    client.simulator.write_root(version=2)
    assert client.refresh() == "tuf.root-chain"


def test_an_invalid_root_in_the_chain_stops_it(client: Client) -> None:
    simulator = client.simulator
    for _ in range(3):
        simulator.next_root()
    good = simulator.files["metadata/3.root.json"]
    simulator.files["metadata/3.root.json"] = good.replace(b'"version":3', b'"version":4')
    assert client.refresh() is not None
    kept = sorted(path.name for path in (client.folder / "metadata/root_history").iterdir())
    assert kept == ["1.root.json", "2.root.json"]
    simulator.files["metadata/3.root.json"] = good
    assert client.refresh() is None
    assert client.versions()["root"] == 4


def test_no_more_roots_than_the_bound_are_followed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5.3.3: counted from the pinned root on, so endless roots end a refresh."""
    monkeypatch.setattr("runner.distribution.follower.LIMITS.max_root_rotations", 3)
    for _ in range(7):
        client.simulator.next_root()
    assert client.refresh() is None
    assert client.versions()["root"] == 4
    assert "metadata/5.root.json" not in client.simulator.requests


def test_an_expired_root_in_the_middle_is_allowed_the_last_one_is_not(client: Client) -> None:
    simulator = client.simulator
    simulator.root.expires = soon(days=-1)
    simulator.next_root()
    assert client.refresh() == "tuf.expired"
    simulator.root.expires = soon(days=100)
    simulator.next_root()
    assert client.refresh() is None
    assert client.versions()["root"] == 3


def test_one_signature_under_several_key_ids_counts_once(client: Client) -> None:
    """A key that signs twice, and a signature that is copied under another key's id."""
    simulator = client.simulator
    simulator.root.version += 1
    one, other = simulator.signers["root"][:2]
    data = strictjson.loads(simulator.sign("root", simulator.root, [one]))
    data["signatures"].append({**data["signatures"][0], "keyid": other.public_key.keyid})
    simulator.files["metadata/2.root.json"] = strictjson.dumps(data)
    assert client.refresh() == "tuf.signature"
    data["signatures"] = [data["signatures"][0]] * 2
    simulator.files["metadata/2.root.json"] = strictjson.dumps(data)
    assert client.refresh() in ("tuf.malformed", "tuf.signature")


def test_a_duplicated_key_id_in_a_role_is_refused(client: Client) -> None:
    simulator = client.simulator
    simulator.root.version += 1
    document = simulator.root.to_dict()
    keyid = document["roles"]["root"]["keyids"][0]
    document["roles"]["timestamp"] = {"keyids": [keyid, keyid], "threshold": 2}
    with pytest.raises(ValueError):
        Root.from_dict(document)
    metadata = strictjson.loads(simulator.sign("root", simulator.root))
    metadata["signed"]["roles"]["timestamp"] = {"keyids": [keyid, keyid], "threshold": 2}
    simulator.files["metadata/2.root.json"] = strictjson.dumps(metadata)
    assert client.refresh() == "tuf.malformed"


# --- signatures of the other roles


ROLES = ("timestamp", "snapshot", "targets", names.PUBLISHED)


def write(simulator: Simulator, role: str, signers: list[CryptoSigner]) -> None:
    """Publish one role anew with other signers, and what names it with the right ones."""
    if role in ("targets", names.PUBLISHED, ROLE):
        simulator.role(role).version += 1
        simulator.write_targets(role, signers)
    simulator.snapshot.version += 1
    simulator.write_snapshot(signers if role == "snapshot" else None)
    simulator.timestamp.version += 1
    simulator.write_timestamp(signers if role == "timestamp" else None)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("by", ["nobody", "a stranger", "another role"])
def test_wrong_signatures_of_each_role(client: Client, role: str, by: str) -> None:
    client.refresh()
    before = client.versions()
    strangers: dict[str, list[CryptoSigner]] = {
        "nobody": [],
        "a stranger": [CryptoSigner.generate_ed25519() for _ in range(3)],
        "another role": client.simulator.signers["snapshot" if role != "snapshot" else "timestamp"],
    }
    write(client.simulator, role, strangers[by])
    assert client.refresh() == "tuf.signature"
    assert client.versions() == before


def test_targets_below_the_threshold(client: Client) -> None:
    write(client.simulator, "targets", client.simulator.signers["targets"][:1])
    assert client.refresh() == "tuf.signature"


def test_a_bin_that_its_key_has_not_signed(client: Client) -> None:
    write(client.simulator, ROLE, client.simulator.signers["snapshot"])
    assert client.refresh() is None
    assert code_of(lambda: client.follower.find(WHEEL)) == "tuf.signature"


# --- 5.4.4, 5.5.6, 5.6.5 freeze


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", names.PUBLISHED])
def test_expired_metadata_of_each_role(client: Client, role: str) -> None:
    simulator = client.simulator
    past = soon(hours=-1)
    if role == "root":
        simulator.root.expires = past
        simulator.next_root()
    else:
        signed = {"timestamp": simulator.timestamp, "snapshot": simulator.snapshot}.get(role)
        (signed or simulator.role(role)).expires = past
        simulator.publish(*([role] if signed is None else []))
    assert client.refresh() == "tuf.expired"
    assert code_of(lambda: client.follower.find(WHEEL)) == "tuf.expired"


def test_a_frozen_mirror_is_found_when_its_timestamp_ends(client: Client) -> None:
    client.again(max_age_seconds=10**7)
    assert client.refresh() is None
    client.clock.pass_time(timedelta(hours=23).total_seconds())
    assert client.refresh() is None
    assert client.follower.find(WHEEL)
    client.clock.pass_time(timedelta(hours=2).total_seconds())
    assert code_of(lambda: client.follower.find(WHEEL)) == "tuf.stale"
    assert client.refresh() == "tuf.expired"


def test_a_clock_that_is_set_back_makes_nothing_valid_again(client: Client) -> None:
    client.again(max_age_seconds=10**7)
    client.clock.pass_time(timedelta(hours=25).total_seconds())
    client.clock.wall -= timedelta(hours=25)
    assert client.refresh() == "tuf.expired"


def test_the_time_is_fixed_for_a_whole_refresh(client: Client) -> None:
    """5.2: what expires while the refresh runs was valid when it began."""
    simulator = client.simulator
    expires = client.clock.wall + timedelta(seconds=30)
    simulator.snapshot.expires = expires.replace(microsecond=0)
    simulator.publish()
    fetch = simulator.fetch

    def late(url: str, bounds: object) -> bytes:
        client.clock.pass_time(4)
        return fetch(url, bounds)  # type: ignore[arg-type]

    client.again(fetch=late)
    client.clock.pass_time(20)
    assert client.refresh() is None


# --- 5.4.3, 5.5.5 rollback


def test_an_older_timestamp(client: Client) -> None:
    old = client.simulator.files["metadata/timestamp.json"]
    client.simulator.publish()
    assert client.refresh() is None
    before = client.versions()
    client.simulator.files["metadata/timestamp.json"] = old
    assert client.refresh() == "tuf.rollback"
    assert client.versions() == before


def test_a_newer_timestamp_with_an_older_snapshot(client: Client) -> None:
    simulator = client.simulator
    client.refresh()
    simulator.snapshot.version -= 1
    simulator.timestamp.version += 1
    simulator.write_snapshot()
    simulator.write_timestamp()
    assert client.refresh() == "tuf.rollback"


@pytest.mark.parametrize("role", ["targets", names.PUBLISHED, ROLE])
def test_a_newer_snapshot_with_an_older_targets_role(client: Client, role: str) -> None:
    simulator = client.simulator
    simulator.publish(role)
    client.refresh()
    meta = simulator.snapshot.meta[f"{role}.json"]
    meta.version -= 1
    simulator.snapshot.version += 1
    simulator.write_snapshot()
    simulator.timestamp.version += 1
    simulator.write_timestamp()
    assert client.refresh() == "tuf.rollback"


def test_a_newer_snapshot_that_has_lost_a_role(client: Client) -> None:
    client.refresh()
    del client.simulator.snapshot.meta[f"{ROLE}.json"]
    client.simulator.publish()
    assert client.refresh() == "tuf.rollback"


def test_rollback_is_found_after_a_restart_too(client: Client) -> None:
    old = client.simulator.state()
    client.simulator.publish()
    assert client.refresh() is None
    client.simulator.files = old
    client.again()
    assert client.refresh() == "tuf.rollback"


def test_a_fast_forward_is_recovered_from_by_new_keys(client: Client) -> None:
    """5.3.11: a stolen online key raised the versions; the root takes the key away."""
    simulator = client.simulator
    simulator.timestamp.version = simulator.snapshot.version = 1_000_000
    simulator.write_snapshot()
    simulator.write_timestamp()
    assert client.refresh() is None
    for role in ("timestamp", "snapshot"):
        simulator.rotate(role)
    simulator.next_root()
    simulator.timestamp.version = simulator.snapshot.version = 3
    simulator.write_snapshot()
    simulator.write_timestamp()
    assert client.refresh() is None
    assert (client.versions()["timestamp"], client.versions()["snapshot"]) == (3, 3)


# --- mix and match: 5.5.2, 5.5.4, 5.6.2, 5.6.4


def test_a_snapshot_of_another_state(client: Client) -> None:
    simulator = client.simulator
    older = simulator.files["metadata/2.snapshot.json"]
    simulator.publish()
    simulator.files["metadata/3.snapshot.json"] = older
    assert client.refresh() == "tuf.mix-and-match"


def test_a_snapshot_with_another_version_than_the_timestamp_says(client: Client) -> None:
    simulator = client.simulator
    simulator.publish()
    simulator.timestamp.snapshot_meta = MetaFile(4)
    simulator.timestamp.version += 1
    simulator.write_timestamp()
    simulator.files["metadata/4.snapshot.json"] = simulator.files["metadata/3.snapshot.json"]
    assert client.refresh() == "tuf.mix-and-match"


@pytest.mark.parametrize("role", ["targets", names.PUBLISHED])
@pytest.mark.parametrize("hashes", [True, False], ids=["with hashes", "versions only"])
def test_a_targets_role_of_another_state(client: Client, role: str, hashes: bool) -> None:
    simulator = client.simulator
    older = simulator.files[f"metadata/{simulator.role(role).version}.{role}.json"]
    simulator.publish(role)
    version = simulator.role(role).version
    if not hashes:
        simulator.snapshot.meta[f"{role}.json"] = MetaFile(version)
        simulator.publish()
    simulator.files[f"metadata/{version}.{role}.json"] = older
    assert client.refresh() == "tuf.mix-and-match"


def test_a_bin_of_another_state(client: Client) -> None:
    simulator = client.simulator
    older = simulator.files[f"metadata/1.{ROLE}.json"]
    simulator.publish(ROLE)
    simulator.files[f"metadata/2.{ROLE}.json"] = older
    assert client.refresh() is None
    assert code_of(lambda: client.follower.find(WHEEL)) == "tuf.mix-and-match"


def test_a_role_that_the_snapshot_does_not_name(client: Client) -> None:
    simulator = client.simulator
    del simulator.snapshot.meta["published.json"]
    simulator.publish()
    assert client.refresh() == "tuf.mix-and-match"


# --- endless data and slow retrieval: 5.1, 5.3.3, 5.4.1, 5.5.1, 5.6.1


def first_file(simulator: Simulator, role: str) -> str:
    if role == "root":
        simulator.next_root()
    version = {"root": "2.", "timestamp": "", "snapshot": "2.", "targets": "1."}[role]
    return f"metadata/{version}{role}.json"


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_endless_data_in_each_role(client: Client, role: str) -> None:
    client.simulator.endless.add(first_file(client.simulator, role))
    assert client.refresh() == "tuf.endless-data"


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_slow_retrieval_of_each_role(client: Client, role: str) -> None:
    client.simulator.slow.add(first_file(client.simulator, role))
    assert client.refresh() == "tuf.slow"


def test_dripping_files_have_one_bound_together(client: Client) -> None:
    fetch = client.simulator.fetch

    def drip(url: str, bounds: object) -> bytes:
        client.clock.pass_time(9)
        return fetch(url, bounds)  # type: ignore[arg-type]

    client.again(fetch=drip)
    assert client.refresh() == "tuf.slow"
    assert len(client.simulator.requests) <= 3


def test_a_file_never_gets_more_than_its_signed_length(client: Client) -> None:
    """The bound that is handed to the GET is the one in the snapshot, not a general one."""
    asked: dict[str, int] = {}
    fetch = client.simulator.fetch

    def watched(url: str, bounds: object) -> bytes:
        asked[url.rpartition("/")[2]] = bounds.max_bytes  # type: ignore[attr-defined]
        return fetch(url, bounds)  # type: ignore[arg-type]

    client.again(fetch=watched)
    client.refresh()
    files = client.simulator.files
    assert asked["timestamp.json"] == 16_384
    assert asked["2.snapshot.json"] == len(files["metadata/2.snapshot.json"])
    assert asked["1.targets.json"] == len(files["metadata/1.targets.json"])


# --- malformed


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"null", b'{"signed":{}}'])
def test_what_is_no_metadata(client: Client, data: bytes) -> None:
    client.simulator.files["metadata/timestamp.json"] = data
    assert client.refresh() == "tuf.malformed"


def test_metadata_of_another_role_in_its_place(client: Client) -> None:
    files = client.simulator.files
    files["metadata/timestamp.json"] = files["metadata/2.snapshot.json"]
    assert client.refresh() == "tuf.malformed"


@pytest.mark.parametrize("status", [302, 401, 500])
def test_another_status_is_no_answer(client: Client, status: int) -> None:
    from tests.tuf.simulator import failed

    def answer(url: str, bounds: object) -> bytes:
        raise failed("not the status that was expected", status)

    client.again(fetch=answer)
    assert client.refresh() == "tuf.unreachable"


# --- 5.6.7 delegations


def test_a_bin_names_no_target_of_another_bin(client: Client) -> None:
    """A role's paths bind it: what it says of other paths is not asked for."""
    simulator = client.simulator
    other = next(n for n in (f"plugin-{i}" for i in range(300)) if names.bin_of(n) != BIN)
    stolen = names.wheel_path(other, "1.0.0", f"{other.replace('-', '_')}-1.0.0-py3-none-any.whl")
    simulator.add(ROLE, stolen, b"arbitrary software")
    simulator.publish(ROLE)
    assert client.refresh() is None
    assert code_of(lambda: client.follower.find(stolen)) == "tuf.no-target"


@pytest.mark.parametrize("path", names.TRUST_TARGETS)
def test_an_online_key_names_nothing_under_trust(client: Client, path: str) -> None:
    for role in (names.PUBLISHED, ROLE):
        client.simulator.add(role, path, b"a layout of the thief")
    client.simulator.publish(names.PUBLISHED, ROLE)
    assert client.refresh() is None
    assert not client.follower.has(path)


def test_a_terminating_delegation_ends_the_search(client: Client) -> None:
    simulator = client.simulator
    simulator.delegate("targets", "late", ["plugins/*/*/*/*"])
    missing = names.wheel_path(NAME, "2.0.0", "example_plugin-2.0.0-py3-none-any.whl")
    simulator.add("late", missing, b"found too late")
    simulator.publish("targets", "late")
    assert client.refresh() is None
    assert code_of(lambda: client.follower.find(missing)) == "tuf.no-target"
    roles = simulator.targets.delegations.roles  # type: ignore[union-attr]
    for role in (roles[names.PUBLISHED], simulator.delegated[names.PUBLISHED]):  # type: ignore[index]
        each = [role] if role is roles[names.PUBLISHED] else role.delegations.roles.values()  # type: ignore[index, union-attr]
        for delegated in each:
            delegated.terminating = False
    simulator.publish("targets", names.PUBLISHED)
    client.refresh()
    assert client.follower.find(missing)


def test_the_first_delegation_that_names_a_target_counts(client: Client) -> None:
    client.simulator.delegate("targets", "late", ["plugins/*/*/*/*"])
    client.simulator.add("late", WHEEL, b"another wheel under the same name")
    client.simulator.publish("targets", "late")
    client.refresh()
    found = client.follower.find(WHEEL)
    assert found.length == len(DATA)


def test_a_chain_of_delegations_is_bounded(client: Client) -> None:
    simulator = client.simulator
    parent = ROLE
    roles = simulator.delegated[names.PUBLISHED].delegations.roles  # type: ignore[union-attr]
    assert roles is not None
    for number in range(20):
        simulator.delegate(parent, f"deep-{number}", ["plugins/*/*/*/*"])
        parent = f"deep-{number}"
    path = names.wheel_path(NAME, "3.0.0", "example_plugin-3.0.0-py3-none-any.whl")
    simulator.add(parent, path, b"too deep")
    simulator.publish(ROLE, *(f"deep-{number}" for number in range(20)))
    client.refresh()
    client.simulator.requests.clear()
    assert code_of(lambda: client.follower.find(path)) == "tuf.no-target"
    deep = [path for path in client.simulator.requests if "deep-" in path]
    assert len(set(deep)) <= 8


def test_a_cycle_of_delegations_ends(client: Client) -> None:
    simulator = client.simulator
    simulator.delegate(ROLE, "other", ["plugins/*/*/*/*"])
    simulator.delegate("other", ROLE, ["plugins/*/*/*/*"])
    simulator.publish(ROLE, "other")
    client.refresh()
    missing = names.wheel_path(NAME, "3.0.0", "example_plugin-3.0.0-py3-none-any.whl")
    assert code_of(lambda: client.follower.find(missing)) in ("tuf.no-target", "tuf.signature")


# --- 5.7 target files


@pytest.mark.parametrize(
    "data", [DATA[:-1], DATA + b"!", b"x" * len(DATA), b""], ids=["short", "long", "other", "none"]
)
def test_other_bytes_than_were_signed(client: Client, data: bytes) -> None:
    client.refresh()
    found = client.follower.find(WHEEL)
    client.simulator.files[client.simulator.place(found)] = data
    code = code_of(lambda: client.follower.download(found))
    assert code == ("tuf.endless-data" if len(data) > len(DATA) else "tuf.other-bytes")


def test_a_target_beyond_what_the_caller_takes(client: Client) -> None:
    client.refresh()
    found = client.follower.find(WHEEL)
    assert code_of(lambda: client.follower.download(found, max_bytes=5)) == "tuf.other-bytes"


def test_a_target_that_is_slow_or_gone(client: Client) -> None:
    client.refresh()
    found = client.follower.find(WHEEL)
    place = client.simulator.place(found)
    client.simulator.slow.add(place)
    assert code_of(lambda: client.follower.download(found)) == "tuf.slow"
    client.simulator.slow.clear()
    del client.simulator.files[place]
    assert code_of(lambda: client.follower.download(found)) == "tuf.unreachable"


# --- the runner's own bounds


def test_after_the_bound_nothing_is_answered_and_before_it_is_said(client: Client) -> None:
    assert client.refresh() is None
    assert client.follower.seconds_left() == 3600
    assert client.follower.find(WHEEL)
    client.simulator.down = True
    client.clock.pass_time(3000)
    assert client.refresh() == "tuf.unreachable"
    assert client.follower.seconds_left() == 600
    assert client.follower.find(WHEEL)
    client.clock.pass_time(601)
    assert client.follower.seconds_left() == 0
    with pytest.raises(DistributionUnavailable) as caught:
        client.follower.find(WHEEL)
    assert [p.code for p in caught.value.problems] == ["tuf.stale", "tuf.unreachable"]
    client.simulator.down = False
    assert client.refresh() is None
    assert client.follower.find(WHEEL)


def test_a_restart_without_a_network_goes_on_until_the_bound(client: Client) -> None:
    client.refresh()
    client.follower.find(WHEEL)
    client.simulator.down = True
    client.clock.pass_time(1000)
    follower = client.again()
    assert follower.resume() is None
    assert follower.seconds_left() == 2600
    assert follower.find(WHEEL).length == len(DATA)
    client.clock.pass_time(2601)
    assert code_of(lambda: follower.find(WHEEL)) == "tuf.stale"


def test_what_was_kept_is_verified_again(client: Client) -> None:
    client.refresh()
    path = client.folder / "metadata" / "targets.json"
    metadata: Metadata[Root] = Metadata.from_bytes(path.read_bytes())
    metadata.signatures.clear()
    path.write_bytes(metadata.to_bytes())
    follower = client.again()
    assert follower.resume() is not None
    client.simulator.down = True
    assert code_of(lambda: follower.find(WHEEL)) == "tuf.unreachable"


def test_a_miss_looks_again_once(client: Client) -> None:
    client.refresh()
    simulator = client.simulator
    path = names.wheel_path(NAME, "1.1.0", "example_plugin-1.1.0-py3-none-any.whl")
    simulator.add(ROLE, path, b"just published")
    simulator.publish(ROLE)
    client.clock.pass_time(1)
    assert client.follower.find(path).length == len(b"just published")


def test_a_root_that_was_kept_is_no_anchor(tmp_path: Path) -> None:
    """Who can write into the runner's cache cannot make the runner believe another root."""
    ours, theirs = Simulator(), Simulator()
    stolen = Client(theirs, tmp_path)
    assert stolen.refresh() is None
    theirs.pinned = ours.pinned
    assert Client(theirs, tmp_path).refresh() == "tuf.signature"


def test_a_root_that_is_not_the_pinned_one_leads_nowhere(tmp_path: Path) -> None:
    """A mirror that was taken over whole and brings keys of its own."""
    ours, theirs = Simulator(), Simulator()
    theirs.pinned = ours.pinned
    assert Client(theirs, tmp_path).refresh() == "tuf.signature"
