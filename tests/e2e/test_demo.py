"""`make demo`'s command keeps every promise, and says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def test_the_demonstration_keeps_every_promise(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sealgate.demo", "--home", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout
    assert done.stdout.count("✔") >= 40  # each promise once when it happens, once in the summary
    assert "✘" not in done.stdout


def test_the_demonstration_leaves_a_folder_of_others_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("not a deployment")
    done = subprocess.run(
        [sys.executable, "-m", "sealgate.demo", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "something else in it" in done.stderr
    assert (tmp_path / "mine.txt").exists()
