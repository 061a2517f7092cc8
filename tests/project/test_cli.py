"""The command: subcommands are lazy, documented, and refuse as refusals."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sealgate.cli import COMMANDS

HEAVY = ("sigstore", "in_toto", "docker", "flask", "sqlalchemy", "bandit")


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sealgate", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from sealgate.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(repr(heavy) if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "submit" in done.stdout


def test_run_does_not_import_what_it_does_not_use() -> None:
    code = (
        "import sys, importlib\n"
        "importlib.import_module('sealgate.commands.run')\n"
        "heavy = [n for n in ('sigstore', 'in_toto', 'docker', 'flask') if n in sys.modules]\n"
        "sys.exit(repr(heavy) if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_subcommand_exists_and_explains_itself(name: str) -> None:
    command = importlib.import_module(COMMANDS[name][0]).command
    assert isinstance(command, click.Command)
    assert command.help, f"sealgate {name} has no help text"


def test_a_folder_that_is_no_deployment_is_refused_with_advice(tmp_path: Path) -> None:
    done = run("--home", str(tmp_path), "up")
    assert done.returncode == 1
    assert "deployment.missing" in done.stderr
    assert "sealgate init" in done.stderr
    assert "Traceback" not in done.stderr
