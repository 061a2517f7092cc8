"""The unit under deploy/: systemd's own reading of it, and what it promises."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.main import GRACE_SECONDS, LINGER_SECONDS

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "sealgate@.service"


def test_a_service_that_was_killed_is_started_again_and_one_that_stops_has_its_time() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
    unit.read(UNIT, encoding="utf-8")
    service = unit["Service"]
    assert service["Restart"] == "always"
    assert service["ExecStart"].endswith("/sealgate serve %i")
    assert float(service["TimeoutStopSec"]) > GRACE_SECONDS + LINGER_SECONDS + 15


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_it(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    program = text.split("ExecStart=")[1].split()[0]
    for instance in ("authority", "registry", "worker", "runner"):
        copy = tmp_path / f"sealgate@{instance}.service"
        copy.write_text(text.replace(program, sys.executable), encoding="utf-8")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(copy)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
