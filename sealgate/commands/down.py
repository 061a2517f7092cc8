"""`sealgate down`: stop what `sealgate up` started."""

from __future__ import annotations

from pathlib import Path

import click

from sealgate import processes
from sealgate.commands.up import SERVICES
from sealgate.deployment import Deployment


@click.command("down")
@click.pass_obj
def command(home: Path) -> None:
    """Stop the services of this deployment, the runner first."""
    processes.stop(Deployment.load(home), tuple(reversed(SERVICES)), click.echo)
