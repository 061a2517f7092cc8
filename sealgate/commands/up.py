"""`sealgate up`: start the services and print the addresses and logins."""

from __future__ import annotations

from pathlib import Path

import click

from sealgate import processes
from sealgate.deployment import Deployment

SERVICES = ("authority", "registry", "worker", "runner")
"""In the order in which they start; they stop in the opposite order."""


@click.command("up")
@click.pass_obj
def command(home: Path) -> None:
    """Start authority, registry, scan worker and runner in the background."""
    deployment = Deployment.load(home)
    processes.start(deployment, SERVICES, click.echo)
    click.echo()
    click.echo(f"pages and API   {deployment.addresses.registry}")
    click.echo(f"runner          {deployment.addresses.runner}/v1/invocations")
    click.echo(f"authority       {deployment.addresses.authority}")
    click.echo("accounts        (each password in its file, mode 0600)")
    for path in sorted((deployment.var / "accounts").glob("*.secret")):
        if "@" in path.name:
            click.echo(f"  {path.name.removesuffix('.secret'):<22}{path}")
    click.echo("callers of the runner (each bearer token in its file)")
    for path in sorted((deployment.var / "callers").glob("*.token")):
        click.echo(f"  {path.name.removesuffix('.token'):<22}{path}")
    click.echo(f"stop with       sealgate --home {home} down")
