"""Killed at any moment, restarted, out of space: nothing accepted is lost, nothing is half-done.

A child process is stopped at a chosen place, and killed there with SIGKILL. What it left is then
taken up by another process, here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from registry.models import Version
from registry.states import State
from tests.support.evidence import REVIEWERS, TrustFixture, sha256
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel

Halt = Callable[[], None]

BEGIN, SIGNED, COMMIT = "when it begins", "when it has signed", "when it commits"


def kill_child_at_halt(play: Callable[[Halt], None]) -> None:
    """Fork; let the child `play` until it calls its argument, and kill it there."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        try:
            os.close(here)

            def halt() -> None:
                os.write(there, b"!")
                time.sleep(600)

            play(halt)
        finally:
            os._exit(1)
    os.close(there)
    try:
        assert os.read(here, 1) == b"!", "the child never came to the place"
    finally:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(here)
    assert os.WTERMSIG(status) == signal.SIGKILL


def halt_at_commit_of(state: State, halt: Halt) -> None:
    """Stop this process when everything of the transaction is done but its commit."""

    @event.listens_for(Session, "before_commit")
    def before_commit(session: Session) -> None:
        if any(isinstance(o, Version) and o.state == state for o in session.identity_map.values()):
            session.flush()
            halt()


def worker_killed(trust: TrustFixture, folder: Path, where: str, state: State) -> None:
    """Run a worker in a child, on the same folder, and kill it at `where`."""

    def play(halt: Halt) -> None:
        child = RegistryFixture.make(trust, folder)
        sign = trust.sigstore.sign
        if where == BEGIN:
            trust.sigstore.sign = lambda *_: halt()  # type: ignore[method-assign,assignment]
        elif where == SIGNED:

            def sign_and_halt(subject: str, statement: bytes) -> bytes:
                bundle = sign(subject, statement)
                halt()
                return bundle

            trust.sigstore.sign = sign_and_halt  # type: ignore[method-assign]
        else:
            halt_at_commit_of(state, halt)
        child.worker.run_once()

    kill_child_at_halt(play)


def clean(registry: RegistryFixture) -> None:
    """Check that the store holds what the rows name, after orphans are collected."""
    services = registry.services
    services.blobs.collect(services.referenced)
    held = {p.name for p in registry.settings.blob_dir.glob("sha256/??/*")}
    assert held == services.referenced()


def later(registry: RegistryFixture) -> None:
    """Let the dead worker's lease run out."""
    registry.now = lambda: datetime.now(UTC) + timedelta(seconds=40)


@pytest.mark.parametrize("where", [BEGIN, SIGNED, COMMIT])
def test_a_worker_killed_while_scanning_loses_nothing(
    trust: TrustFixture, registry: RegistryFixture, tmp_path: Path, where: str
) -> None:
    registry.submit(*make_wheel())
    worker_killed(trust, tmp_path, where, State.IN_REVIEW)

    assert registry.view()["state"] == "scanning"
    assert not registry.worker.run_once(), "the lease of the dead worker still holds"
    later(registry)
    assert registry.worker.run_once()
    view = registry.view()
    assert view["state"] == "in_review"
    assert [e["event"] for e in view["timeline"]].count("scan-passed") == 1
    clean(registry)


@pytest.mark.parametrize("where", [BEGIN, SIGNED, COMMIT])
def test_a_worker_killed_while_publishing_publishes_once(
    trust: TrustFixture, registry: RegistryFixture, tmp_path: Path, where: str
) -> None:
    registry.submit(*make_wheel())
    registry.worker.run_once()
    for reviewer in REVIEWERS[:2]:
        registry.post_review(registry.review_bundle(reviewer))
    worker_killed(trust, tmp_path, where, State.PUBLISHED)

    assert registry.view()["state"] == "in_review"
    later(registry)
    assert registry.worker.run_once()
    view = registry.view()
    assert view["state"] == "published"
    assert [e["event"] for e in view["timeline"]].count("published") == 1
    place = "/api/v1/plugins/example-plugin/1.0.0/evidence"
    steps = [line["step"] for line in registry.client.get(place).get_json()["evidence"]]
    assert steps == ["submit", "scan", "review", "review", "publish"]
    clean(registry)


def test_a_worker_that_dies_every_time_is_not_tried_for_ever(
    trust: TrustFixture, registry: RegistryFixture, tmp_path: Path
) -> None:
    registry.submit(*make_wheel())
    for number in range(3):
        moved = timedelta(seconds=40 * number)
        worker_dies_at(trust, tmp_path, moved)
    registry.now = lambda: datetime.now(UTC) + timedelta(seconds=200)
    registry.worker.run_once()
    assert registry.view()["state"] == "scan_incomplete"


def worker_dies_at(trust: TrustFixture, folder: Path, moved: timedelta) -> None:
    def play(halt: Halt) -> None:
        child = RegistryFixture.make(trust, folder)
        child.now = lambda: datetime.now(UTC) + moved
        trust.sigstore.sign = lambda *_: halt()  # type: ignore[method-assign,assignment]
        child.worker.run_once()
        child.worker.run_once()

    kill_child_at_halt(play)


@pytest.mark.parametrize("committed", [False, True])
def test_a_submission_cut_off_is_stored_whole_or_not_at_all(
    trust: TrustFixture, registry: RegistryFixture, tmp_path: Path, committed: bool
) -> None:
    filename, wheel = make_wheel()
    bundle = trust.submit(filename, wheel)

    def play(halt: Halt) -> None:
        child = RegistryFixture.make(trust, tmp_path)
        if committed:
            event.listen(Session, "after_commit", lambda _: halt())
        else:
            halt_at_commit_of(State.RECEIVED, halt)
        child.upload(filename, wheel, bundle)

    kill_child_at_halt(play)
    assert registry.client.get("/api/v1/plugins").get_json()["total"] == int(committed)
    clean(registry)
    again = registry.upload(filename, wheel, bundle)
    assert again.status_code == (200 if committed else 201)
    assert registry.client.get("/api/v1/plugins/example-plugin/1.0.0/wheel").data == wheel


def test_a_restart_finds_everything_again(
    trust: TrustFixture, registry: RegistryFixture, tmp_path: Path
) -> None:
    published = registry.publish(*make_wheel())
    registry.services.close()
    again = RegistryFixture.make(trust, tmp_path)
    assert again.view() == published
    again.services.close()


# -- no space --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB (needs the right to mount)."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True, timeout=20
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


def fill(folder: Path, leave: int) -> Path:
    """Leave about `leave` bytes of space."""
    stat = os.statvfs(folder)
    filler = folder / "filler"
    filler.write_bytes(b"\0" * max(0, stat.f_bavail * stat.f_frsize - leave))
    return filler


@pytest.mark.parametrize("leave", [0, 64 * 1024, 200 * 1024])
def test_a_full_disk_refuses_clearly_and_stores_nothing(
    trust: TrustFixture, small_disk: Path, leave: int
) -> None:
    registry = RegistryFixture.make(trust, small_disk)
    noise = os.urandom(300_000).hex()
    filename, wheel = make_wheel(files={"example_plugin/data.txt": noise})
    bundle = trust.submit(filename, wheel)
    filler = fill(small_disk, leave)

    answer = registry.upload(filename, wheel, bundle)
    assert answer.status_code in (503, 507), answer.get_json()
    (found,) = answer.get_json()["problems"]
    assert "nothing" in found["what"]
    assert found["advice"]
    assert not list(registry.settings.blob_dir.glob("sha256/??/*"))
    assert list((registry.settings.blob_dir / "tmp").iterdir()) == []

    filler.unlink()
    assert registry.client.get("/api/v1/plugins").get_json()["total"] == 0
    assert registry.upload(filename, wheel, bundle).status_code == 201
    assert registry.services.blobs.read(sha256(wheel)) == wheel
    registry.services.close()


def test_a_full_disk_delays_the_scan_and_loses_nothing(
    trust: TrustFixture, small_disk: Path
) -> None:
    registry = RegistryFixture.make(trust, small_disk)
    registry.submit(*make_wheel())
    filler = fill(small_disk, 0)
    for _ in range(4):
        try:
            registry.worker.run_once()
        except Exception as error:
            assert "space" in str(error) or "answer" in str(error), error  # noqa: PT017
    filler.unlink()
    later(registry)
    registry.worker.run_once()
    registry.worker.run_once()
    assert registry.view()["state"] == "in_review"
    registry.services.close()
