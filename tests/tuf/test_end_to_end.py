"""The registry publishes, any server hands out a copy, the runner runs it; and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner.kit import Site, assert_refused, codes
from tests.support import servers
from tests.support.evidence import TrustFixture
from tests.support.wheels import make_wheel
from tests.tuf.town import Town, site_of


@pytest.fixture(scope="module")
def trust() -> TrustFixture:
    """One Sigstore instance and layout."""
    return TrustFixture()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, trust: TrustFixture) -> Iterator[Town]:
    """A registry that has published example-plugin 1.0.0."""
    made = Town.make(tmp_path_factory.mktemp("town"), trust)
    made.distribution.once()
    made.registry.publish(*make_wheel())
    yield made
    made.registry.services.close()


@pytest.fixture
def mirror(town: Town) -> Path:
    """A fresh copy of the repository."""
    return town.mirror()


@pytest.fixture
def site(town: Town, mirror: Path, tmp_path: Path, trust: TrustFixture) -> Iterator[Site]:
    """A runner that follows the copy, served by the standard library's file server."""
    with servers.folder(mirror) as url:
        made = site_of(town, tmp_path, trust, url)
        yield made
        made.registry.close()


def test_what_the_registry_publishes_runs_by_a_copy_of_its_repository(site: Site) -> None:
    with site.runner() as calls:
        reply = calls.call(version=None)
        assert (reply["status"], reply["result"]) == ("ok", {"greeting": "Hello, Ada!"})
        ready = calls.get("/readyz").get_json()["distribution"]
        assert 500 < ready["seconds_left"] <= 600
        assert ready["problems"] == []
        text = calls.get("/metrics").get_data(as_text=True)
        assert "sealgate_distribution_seconds_left 5" in text
    assert site.registry.requests == [], "the plain API was asked"


def test_the_registry_serves_the_same_files(town: Town) -> None:
    client = town.registry.app.test_client()
    for path in ("metadata/timestamp.json", "metadata/1.root.json"):
        answer = client.get(f"/tuf/{path}")
        assert answer.data == (town.tuf / path).read_bytes()
    assert "immutable" in client.get("/tuf/metadata/1.root.json").headers["Cache-Control"]
    assert "no-cache" in client.get("/tuf/metadata/timestamp.json").headers["Cache-Control"]
    wheel = next(town.tuf.glob("targets/plugins/*/*/*/*.whl"))
    assert client.get(f"/tuf/{wheel.relative_to(town.tuf)}").data == wheel.read_bytes()


@pytest.mark.parametrize(
    "path",
    ["lock", "metadata/9.root.json", "metadata/../lock", "targets/../lock", "targets/%2e%2e/lock",
     "targets//etc/passwd", "metadata/.hidden", "targets/trust"],
)  # fmt: skip
def test_nothing_else_is_served(town: Town, path: str) -> None:
    answer = town.registry.app.test_client().get(f"/tuf/{path}")
    assert answer.status_code in (301, 308, 404)


def alter(mirror: Path, pattern: str) -> None:
    """Change one byte of a file of the copy."""
    path = next(mirror.glob(pattern))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # the copy's own file, whatever it shares
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("pattern", "accepted"),
    [
        ("metadata/timestamp.json", {"tuf.signature", "tuf.malformed"}),
        ("metadata/*.snapshot.json", {"tuf.mix-and-match"}),
        ("metadata/*.targets.json", {"tuf.mix-and-match"}),
        ("metadata/*.published-*.json", {"tuf.mix-and-match"}),
        ("targets/plugins/*/*/*.index.json", {"tuf.other-bytes"}),
        ("targets/plugins/*/*/*/*.whl", {"tuf.other-bytes"}),
        ("targets/plugins/*/*/*/*.evidence.json", {"tuf.other-bytes"}),
    ],
)
def test_a_tampered_mirror_is_refused_and_the_attack_named(
    site: Site, mirror: Path, pattern: str, accepted: set[str]
) -> None:
    newest = sorted(mirror.glob(pattern), key=lambda path: path.stat().st_mtime_ns)
    for old in newest[:-1]:
        old.unlink()
    alter(mirror, pattern)
    with site.runner() as calls:
        reply = calls.call()
        assert set(codes(reply)) & accepted, codes(reply)
        assert_refused(site, reply, codes(reply)[0])


def test_the_gate_still_decides_what_the_repository_signs(
    town: Town, tmp_path: Path, trust: TrustFixture
) -> None:
    """A stolen online key publishes a wheel without evidence: named and signed, and refused."""
    from registry.tuf.repository import Release

    town.distribution.repository.publish(
        [Release("example-plugin", "6.6.6", *make_wheel("example-plugin", "6.6.6"), bundles=[])]
    )
    with servers.folder(town.mirror("stolen")) as url:
        site = site_of(town, tmp_path, trust, url)
        with site.runner() as calls:
            assert_refused(site, calls.call(version="6.6.6"), "gate.refused")
            assert calls.call(version="1.0.0")["status"] == "ok"
        site.registry.close()


def test_a_version_that_is_not_there(site: Site) -> None:
    with site.runner() as calls:
        assert_refused(site, calls.call(version="9.9.9"), "tuf.no-target")


def test_a_mirror_that_is_gone_from_the_start(
    town: Town, tmp_path: Path, trust: TrustFixture
) -> None:
    site = site_of(town, tmp_path, trust, "http://127.0.0.1:1")
    with site.runner() as calls:
        assert_refused(site, calls.call(), "tuf.unreachable", "unavailable")
        answer = calls.get("/readyz")
        assert answer.status_code == 503
        assert [p["code"] for p in answer.get_json()["checks"]["distribution"]] == [
            "tuf.stale", "tuf.unreachable",
        ]  # fmt: skip
    site.registry.close()


def test_a_quiet_worker_does_nothing_and_a_publication_reads_no_other_bin(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution = town.distribution
    distribution.once()
    assert not distribution.once()

    def never(*_: object) -> None:
        raise AssertionError("every bin was read")

    monkeypatch.setattr(distribution.repository, "renew", never)
    monkeypatch.setattr(distribution.repository, "known", never)
    town.registry.publish(*make_wheel("example-plugin", "1.2.3"))
    wheels = town.tuf.glob("targets/plugins/*/example-plugin/1.2.3/*.whl")
    assert len(list(wheels)) == 1
