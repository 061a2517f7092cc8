"""The README's commands are run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import ports

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
)


def test_the_first_block_is_the_two_commands() -> None:
    commands = [line.partition("#")[0].strip() for line in BLOCKS[0].splitlines()]
    assert commands == ["make demo", "make test"]


@pytest.mark.docker
@pytest.mark.slow
def test_the_commands_for_use_by_hand_work(tmp_path: Path) -> None:
    home = tmp_path / "local"
    script = BLOCKS[1].replace("var/local", str(home))
    assert script.count(str(home)) == 1
    assert script.rstrip().endswith("make down")
    environment = {
        **os.environ,
        "SEALGATE_PORT": str(ports.consecutive()),
        "MAKEFLAGS": f"HOME_DIR={home}",
    }
    try:
        done = subprocess.run(
            ["bash", "-e", "-c", f"shopt -s expand_aliases\n{script}"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    finally:
        subprocess.run(["make", "down"], cwd=ROOT, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<h1>Hello</h1>" in done.stdout
    assert "verified" in done.stdout
