"""`sealgate engine`: make sure of a Docker engine, with deploy/engine.sh."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

import sealgate
from trust.errors import SealgateError, problem


class NoEngineScript(SealgateError):
    """This installation does not have deploy/engine.sh."""


def _script() -> Path:
    path = Path(sealgate.__file__).resolve().parents[1] / "deploy" / "engine.sh"
    if not path.is_file():
        raise NoEngineScript(
            problem(
                "engine.no-script",
                "this installation cannot set up a Docker engine",
                value=path,
                expected="a source tree of Sealgate with deploy/engine.sh",
                advice="install Docker as its documentation says, or run from the source tree",
            )
        )
    return path


def _run(verb: str) -> None:
    """Run the script and end with its exit code; it says on stderr what it does."""
    sys.exit(subprocess.run(["/bin/sh", str(_script()), verb], check=False).returncode)


@click.group()
def command() -> None:
    """Make sure of a Docker engine, or stop the one that Sealgate started."""


@command.command()
def up() -> None:
    """Use the engine that answers; else, as root on Debian, install and start one."""
    _run("up")


@command.command()
def down() -> None:
    """Stop the engine that `up` started; leave any other alone."""
    _run("down")


@command.command()
def status() -> None:
    """Print which engine answers."""
    _run("status")
