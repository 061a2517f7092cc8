"""`sealgate verify`: a folder, offline, with the gate's own words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sealgate.cli import cli
from sealgate.deployment import Addresses, Deployment
from tests.support.evidence import AUTHOR, TrustFixture, sha256
from tests.support.wheels import make_wheel

NAME, WHEEL = make_wheel()
T = TrustFixture()
FULL = T.full(NAME, WHEEL)


def policy(**changes: Any) -> dict[str, Any]:
    rule = {"name": "example-plugin", "publishers": [T.author.as_dict()], "versions": "*"}
    return {
        "schema_version": 1,
        "image": "sha256:" + "ab" * 32,
        "sandbox": {"runtime": "runc"},
        "registry": "http://127.0.0.1:1",
        "admission_max_age_seconds": 60,
        "callers": [],
        "plugins": [rule],
        "revoked": [],
        "audit": {"record_arguments": False},
    } | changes


@pytest.fixture
def home(tmp_path: Path) -> Path:
    deployment = Deployment(tmp_path / "home", Addresses())
    deployment.keys.mkdir(parents=True)
    deployment.save()
    deployment.trusted_root.write_bytes(T.sigstore.trusted_root)
    deployment.layout.write_bytes(T.layout)
    deployment.layout_owners.write_bytes(T.owners)
    deployment.runner_policy.write_text(json.dumps(policy()))
    return deployment.home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    (made / NAME).write_bytes(WHEEL)
    for index, bundle in enumerate(FULL):
        (made / f"{index}.sigstore.json").write_bytes(bundle)
    return made


def run(home: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["--home", str(home), "verify", *map(str, arguments)])


def data(home: Path, *arguments: str | Path) -> Any:
    return json.loads(run(home, *arguments, "--json").stdout)


def test_a_complete_folder_is_admitted_and_says_who_vouched(home: Path, folder: Path) -> None:
    (folder / "README.txt").write_text("hello")
    result = run(home, folder)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Admitted: example-plugin 1.0.0\n")
    for words in (AUTHOR, "bob@example.com", "carol@example.com", sha256(WHEEL), "README.txt"):
        assert words in result.output


def test_json_says_the_same(home: Path, folder: Path) -> None:
    found = data(home, folder)
    assert found["decision"] == "admitted"
    assert found["author"] == T.author.as_dict()
    assert [who["subject"] for who in found["reviewers"]] == [
        "bob@example.com",
        "carol@example.com",
    ]
    assert found["counted"] == sorted(map(sha256, FULL))
    assert found["problems"] == []


@pytest.mark.parametrize(
    ("missing", "step"), [(0, "submit"), (1, "scan"), (2, "review"), (4, "publish")]
)
def test_a_missing_bundle_names_its_step(home: Path, folder: Path, missing: int, step: str) -> None:
    (folder / f"{missing}.sigstore.json").unlink()
    result = run(home, folder)
    assert result.exit_code == 1
    assert result.output.startswith(f"Refused at step {step}: {NAME}\n")
    assert "expected:" in result.output
    assert "do:" in result.output
    assert data(home, folder)["step"] == step


def test_a_changed_wheel_is_refused(home: Path, folder: Path) -> None:
    name, wheel = make_wheel(source="def greet(arguments):\n    return {}\n")
    assert name == NAME
    (folder / NAME).write_bytes(wheel)
    result = run(home, folder)
    assert result.exit_code == 1
    assert sha256(wheel) in result.output
    assert "evidence.subject" in result.output


def test_a_file_that_is_no_bundle_refuses(home: Path, folder: Path) -> None:
    (folder / "x.sigstore.json").write_bytes(b"{}")
    found = data(home, folder)
    assert (found["decision"], found["step"]) == ("refused", "bundle")


def test_before_publish_leaves_out_the_summary(home: Path, folder: Path) -> None:
    (folder / "4.sigstore.json").unlink()
    assert run(home, folder, "--before-publish").exit_code == 0


def test_publishers_come_from_the_policy_or_from_the_command(home: Path, folder: Path) -> None:
    (home / "keys/runner_policy.json").write_text(json.dumps(policy(plugins=[])))
    found = data(home, folder)
    assert (found["step"], found["problems"][0]["code"]) == ("submit", "gate.no-publishers")
    assert run(home, folder, "--publisher", f"{T.issuer}={AUTHOR}").exit_code == 0
    assert run(home, folder, "--publisher", f"{T.issuer}=Alice@example.com").exit_code == 1
    assert run(home, folder, "--publisher", AUTHOR).exit_code == 2


def test_an_auditor_needs_three_files_and_no_deployment(
    home: Path, folder: Path, tmp_path: Path
) -> None:
    (home / "keys/runner_policy.json").unlink()
    keys, publisher = home / "keys", f"{T.issuer}={AUTHOR}"
    nowhere = tmp_path / "nowhere"
    result = run(nowhere, folder, "--keys", keys, "--publisher", publisher)
    assert result.exit_code == 0, result.output
    assert run(nowhere, folder, "--publisher", publisher).exit_code == 1
    assert run(nowhere, folder, "--keys", keys).exit_code == 1


@pytest.mark.parametrize(
    "revoked",
    [
        {"sha256": sha256(WHEEL)},
        {"plugin": "example-plugin", "version": "1.0.0"},
        {"publisher": T.author.as_dict()},
    ],
)
def test_what_the_runner_would_not_run_is_not_called_admitted(
    home: Path, folder: Path, revoked: dict[str, Any]
) -> None:
    entry = revoked | {"reason": "It leaks."}
    (home / "keys/runner_policy.json").write_text(json.dumps(policy(revoked=[entry])))
    result = run(home, folder)
    assert result.exit_code == 1
    assert result.output.startswith("Revoked: example-plugin 1.0.0\n")
    assert "It leaks." in result.output
    assert data(home, folder)["decision"] == "revoked"


def test_at_judges_as_of_another_time(home: Path, folder: Path) -> None:
    def at(moment: datetime) -> Any:
        return data(home, folder, "--at", moment.isoformat())

    now = datetime.now(UTC)
    assert at(now)["decision"] == "admitted"
    assert at(now + timedelta(days=31))["problems"][0]["code"] == "layout.expired"
    assert at(now - timedelta(days=1))["problems"][0]["code"] == "bundle.future"
    assert run(home, folder, "--at", "2026-01-01T00:00:00").exit_code == 2
    assert run(home, folder, "--at", "yesterday").exit_code == 2


@pytest.mark.parametrize("wheels", [0, 2])
def test_a_folder_has_exactly_one_wheel(home: Path, folder: Path, wheels: int) -> None:
    if wheels:
        (folder / "other-1.0-py3-none-any.whl").write_bytes(b"")
    else:
        (folder / NAME).unlink()
    result = run(home, folder)
    assert result.exit_code == 1
    assert "verify.wheel" in str(result.exception)


def test_more_files_than_a_set_may_have_are_refused_unread(home: Path, folder: Path) -> None:
    files: Sequence[Path] = [folder / f"x{i}.sigstore.json" for i in range(70)]
    for path in files:
        path.write_bytes(b"{}")
    assert data(home, folder)["problems"][0]["code"] == "gate.too-many-bundles"
