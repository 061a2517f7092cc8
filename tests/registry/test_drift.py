"""Drift: what differs from the last approved version is flagged, and flags pass nobody by."""

from __future__ import annotations

from typing import Any

from registry.drift import Release, flags_for, flags_of
from registry.lookup import find
from tests.support.evidence import REVIEWERS
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_manifest, make_wheel
from trust.identity import Identity

CI = Identity("https://ci.example", "https://ci.example/team/plugin/release.yml")
ALICE = Identity("https://accounts.example", "alice@example.com")
EVE = Identity("https://accounts.example", "eve@example.com")
LIMITS = {"wall_seconds": 10.0, "memory_bytes": 1 << 27}


def release(author: Identity, permissions: tuple[str, ...] = (), **limits: Any) -> Release:
    manifest = {"permissions": list(permissions), "limits": LIMITS | limits}
    return Release("1.0.0", author, manifest)


def kinds(before: Release | None, after: Release) -> list[str]:
    return [flag.kind for flag in flags_of(before, after)]


def test_a_first_version_and_one_like_the_last_have_no_flags() -> None:
    assert kinds(None, release(EVE, ("network",))) == []
    assert kinds(release(ALICE), release(ALICE)) == []
    assert kinds(release(ALICE, ("network",)), release(ALICE, wall_seconds=1.0)) == []


def test_each_difference_has_its_flag() -> None:
    assert kinds(release(ALICE), release(EVE)) == ["new-signer"]
    assert kinds(release(CI), release(ALICE)) == ["new-signer", "weaker-provenance"]
    other = Identity("https://elsewhere.example", ALICE.subject)
    assert kinds(release(ALICE), release(other)) == ["new-signer", "weaker-provenance"]
    assert kinds(release(ALICE), release(ALICE, ("network",))) == ["wider-permissions"]
    [flag] = flags_of(release(ALICE), release(ALICE, memory_bytes=1 << 28))
    assert (flag.kind, flag.before, flag.after) == (
        "wider-limits",
        "memory_bytes 134217728",
        "memory_bytes 268435456",
    )


def test_no_version_is_published_without_its_reviews_flagged_or_not(
    registry: RegistryFixture,
) -> None:
    registry.publish(*make_wheel())
    wider = make_manifest(limits={"wall_seconds": 60.0})
    for number, wheel in {
        "1.0.1": make_wheel(version="1.0.1"),
        "1.0.2": make_wheel(version="1.0.2", manifest=wider),
    }.items():
        registry.submit(*wheel)
        for _ in range(3):
            registry.worker.run_once()
        assert registry.view(version=number)["state"] == "in_review"
        bundle = registry.review_bundle(REVIEWERS[0], version=number)
        assert registry.post_review(bundle, version=number).status_code == 201
        registry.worker.run_once()
        assert registry.view(version=number)["state"] == "in_review", "one of two is not enough"
    with registry.services.database.read() as session:
        assert flags_for(session, find(session, "example-plugin", "1.0.1")) == ()
        [flag] = flags_for(session, find(session, "example-plugin", "1.0.2"))
    assert flag.kind == "wider-limits"
    bundle = registry.review_bundle(REVIEWERS[1], version="1.0.2")
    assert registry.post_review(bundle, version="1.0.2").status_code == 201
    registry.worker.run_once()
    assert registry.view(version="1.0.2")["state"] == "published"
