"""The driver that a new deployment's policy is given."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.sandbox.choice import choose_driver
from runner.sandbox.oci import runtime as oci_runtime
from sealgate.cli import cli

pytestmark = pytest.mark.docker


def init(home: Path, image: str, *more: str) -> tuple[str, str]:
    """Set a deployment up; return the policy's driver, and what was printed."""
    done = CliRunner().invoke(cli, ["--home", str(home), "init", "--image", image, *more])
    assert done.exit_code == 0, done.output
    policy = json.loads((home / "keys" / "runner_policy.json").read_bytes())
    return policy["sandbox"].get("driver", "engine"), done.output


def test_root_gets_the_driver_that_was_seen_to_work(tmp_path: Path, image_id: str) -> None:
    driver, said = init(tmp_path, image_id)
    assert driver == "oci"
    assert "containers by   oci: " in said


def test_what_the_operator_says_is_done(tmp_path: Path, image_id: str) -> None:
    assert init(tmp_path, image_id, "--driver", "engine")[0] == "engine"


def test_where_it_does_not_work_the_engine_is_named_and_why(
    image_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oci_runtime, "PATH", "/nowhere")
    choice = choose_driver(image_id)
    assert choice.driver == "engine"
    assert "does not find the runtime" in choice.why


def test_gvisor_is_the_engines(image_id: str) -> None:
    choice = choose_driver(image_id, "runsc")
    assert (choice.driver, "runsc" in choice.why) == ("engine", True)


def test_who_is_not_root_is_not_made_root(image_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert choose_driver(image_id).driver == "engine"
