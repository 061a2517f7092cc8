"""The commands of authors and reviewers, against real processes: authority, registry, worker."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealgate import processes
from sealgate.deployment import Deployment
from tests.support.deployment import initialised, running, sealgate, write
from tests.support.evidence import AUTHOR, OUTSIDER, REVIEWERS, sha256

pytestmark = pytest.mark.slow

BOB, CAROL, _ = REVIEWERS


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A running deployment without a runner."""
    with running(initialised(tmp_path_factory.mktemp("deployment"))) as made:
        yield made


def test_the_whole_road_by_commands(deployment: Deployment, tmp_path: Path) -> None:
    wheel = write(tmp_path)
    digest = sha256(wheel.read_bytes())

    submitted = sealgate(deployment, "submit", wheel, "--account", AUTHOR, "--wait")
    assert submitted.returncode == 0, submitted.stderr
    assert digest in submitted.stdout
    assert "scan-passed" in submitted.stdout
    assert "in_review, waits for 0 of 2 approvals" in submitted.stdout

    own = sealgate(
        deployment, "review", "approve", "example-plugin==1.0.0", "--account", AUTHOR, "--yes"
    )
    assert own.returncode == 1
    assert "registry.own-plugin" in own.stderr

    unasked = sealgate(deployment, "review", "approve", "example-plugin==1.0.0", "--account", BOB)
    assert unasked.returncode != 0, "without --yes nothing is signed unless somebody confirms"
    assert digest in unasked.stdout

    for reviewer in (BOB, CAROL):
        approved = sealgate(
            deployment, "review", "approve", "example-plugin==1.0.0",
            "--account", reviewer, "--comment", "fine", "--yes",
        )  # fmt: skip
        assert approved.returncode == 0, approved.stderr
        assert AUTHOR in approved.stdout
        assert digest in approved.stdout
    status = sealgate(deployment, "status", "example-plugin==1.0.0", "--wait")
    assert status.returncode == 0
    assert status.stdout.splitlines()[-1].startswith("example-plugin==1.0.0: published")

    folder = tmp_path / "fetched"
    fetched = sealgate(deployment, "fetch", "example-plugin==1.0.0", "--into", folder)
    assert fetched.returncode == 0, fetched.stderr
    assert sha256((folder / wheel.name).read_bytes()) == digest
    assert len(list(folder.glob("*.sigstore.json"))) == 5
    assert sealgate(deployment, "verify", folder).returncode == 0

    mirror = tmp_path / "mirror"
    exported = sealgate(deployment, "export", "example-plugin==1.0.0", "--into", mirror)
    assert exported.returncode == 0, exported.stderr
    version = mirror / "example-plugin" / "1.0.0"
    assert sealgate(deployment, "verify", version).returncode == 0
    assert (mirror / "example-plugin" / "index.json").exists()

    other = sealgate(deployment, "fetch", "example-plugin==1.0.0", "--into", tmp_path)
    assert other.returncode == 0
    (tmp_path / "strange-1.0-py3-none-any.whl").write_bytes(b"")
    refused = sealgate(deployment, "fetch", "example-plugin==1.0.0", "--into", tmp_path)
    assert refused.returncode == 1
    assert "strange-1.0-py3-none-any.whl" in refused.stderr

    compared(deployment, tmp_path)


def compared(deployment: Deployment, folder: Path) -> None:
    """A second version: the reviewer sees what changed against the first, and rejects it."""
    wheel = write(folder, version="1.1.0", files={"example_plugin/more.py": "X = 1\n"})
    assert sealgate(deployment, "submit", wheel, "--account", AUTHOR, "--wait").returncode == 0
    shown = sealgate(deployment, "review", "show", "example-plugin==1.1.0", "--diff")
    assert shown.returncode == 0, shown.stderr
    assert "compared   with 1.0.0" in shown.stdout
    assert "added      example_plugin/more.py" in shown.stdout
    assert "+Version: 1.1.0" in shown.stdout

    rejected = sealgate(
        deployment, "review", "reject", "example-plugin==1.1.0",
        "--account", BOB, "--comment", "not needed", "--yes",
    )  # fmt: skip
    assert rejected.returncode == 0, rejected.stderr
    assert "rejected" in rejected.stdout
    assert sealgate(deployment, "status", "example-plugin==1.1.0").returncode == 1


def test_a_token_from_the_environment_signs(deployment: Deployment, tmp_path: Path) -> None:
    wheel = write(tmp_path, name="token-plugin")
    token = sealgate(deployment, "token", OUTSIDER).stdout.strip()
    submitted = sealgate(deployment, "submit", wheel, SEALGATE_ID_TOKEN=token)
    assert submitted.returncode == 0, submitted.stderr
    view = json.loads(sealgate(deployment, "status", "token-plugin==1.0.0", "--json").stdout)
    assert view["author"]["subject"] == OUTSIDER


def test_a_wheel_that_is_refused_here_is_not_sent(deployment: Deployment, tmp_path: Path) -> None:
    wheel = tmp_path / "example_plugin-3.0.0-py3-none-any.whl"
    wheel.write_bytes(b"no zip at all")
    refused = sealgate(deployment, "submit", wheel, "--account", AUTHOR)
    assert refused.returncode == 1
    assert "expected:" in refused.stderr
    assert sealgate(deployment, "status", "example-plugin==3.0.0").returncode == 1


def test_refusals_of_the_registry_are_shown_whole(deployment: Deployment, tmp_path: Path) -> None:
    unsigned = sealgate(deployment, "submit", write(tmp_path, version="4.0.0"), "--unsigned")
    assert unsigned.returncode == 1
    assert "bundle" in unsigned.stderr
    taken = sealgate(deployment, "submit", write(tmp_path, name="sea1gate"), "--account", OUTSIDER)
    assert taken.returncode == 1
    assert "registry.name-reserved" in taken.stderr
    for words in (["status", "nothing==1.0"], ["status", "nothing"], ["fetch", "nothing==1.0"]):
        answer = sealgate(deployment, *words)
        assert answer.returncode == 1
        assert "Traceback" not in answer.stderr


def test_a_registry_that_is_away_is_told_as_such(deployment: Deployment, tmp_path: Path) -> None:
    away = "http://127.0.0.1:9"
    answer = sealgate(deployment, "status", "example-plugin==1.0.0", "--registry", away)
    assert answer.returncode == 1
    assert "does not answer" in answer.stderr


def test_a_worker_killed_for_real_is_replaced(deployment: Deployment, tmp_path: Path) -> None:
    pid = processes.pid_of(deployment, "worker")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wheel = write(tmp_path, name="patient-plugin")
    assert sealgate(deployment, "submit", wheel, "--account", AUTHOR).returncode == 0
    processes.start(deployment, ("worker",))
    status = sealgate(deployment, "status", "patient-plugin==1.0.0", "--wait")
    assert "in_review" in status.stdout
