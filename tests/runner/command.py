"""`sealgate run` in this process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from sealgate.cli import cli


def run(home: Path, *words: str, stdin: str = "") -> Result:
    """Run the command of a deployment."""
    return CliRunner().invoke(cli, ["--home", str(home), "run", *words], input=stdin)
