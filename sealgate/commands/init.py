"""`sealgate init`: set up a local deployment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealgate.deployment import Addresses
from sealgate.setup import Plan, initialise

if TYPE_CHECKING:
    from runner.sandbox.choice import Choice


@click.command("init")
@click.option(
    "--port",
    default=8600,
    show_default=True,
    envvar="SEALGATE_PORT",
    help="First of three consecutive ports.",
)
@click.option(
    "--host",
    type=click.Choice(["127.0.0.1", "localhost"]),
    default="127.0.0.1",
    show_default=True,
    help="Where the services listen; browsers make passkeys for localhost only.",
)
@click.option("--author", "authors", multiple=True, help="An author's e-mail address.")
@click.option("--reviewer", "reviewers", multiple=True, help="A reviewer's e-mail address.")
@click.option("--revoker", "revokers", multiple=True, help="Who may revoke: an e-mail address.")
@click.option("--threshold", default=2, show_default=True, help="Approvals needed.")
@click.option(
    "--plugin", "plugins", multiple=True, metavar="NAME=AUTHOR", help="Who may publish a plugin."
)
@click.option("--runtime", default="runc", show_default=True, help="Runtime: runc or runsc.")
@click.option(
    "--driver",
    type=click.Choice(["engine", "oci"]),
    help="What makes the containers of calls (default: oci where you are root and it works here, "
    "else engine).",
)
@click.option(
    "--tuf/--no-tuf",
    default=True,
    show_default=True,
    help="Whether versions reach the runner through a TUF repository.",
)
@click.option("--image", help="Id of the runtime image (default: build it, or use the one built).")
@click.pass_obj
def command(
    home: Path,
    port: int,
    host: str,
    authors: tuple[str, ...],
    reviewers: tuple[str, ...],
    revokers: tuple[str, ...],
    threshold: int,
    plugins: tuple[str, ...],
    runtime: str,
    driver: str | None,
    tuf: bool,
    image: str | None,
) -> None:
    """Set up a local deployment: keys/, var/, accounts, layout, policy.

    Nothing that exists is overwritten. The layout's owners' private keys are left in var/owners:
    move them offline. The TUF repository's offline keys are left in var/tuf-offline without a
    passphrase: a deployment that matters holds the ceremony of `sealgate keys` instead.
    """
    given: dict[str, object] = {}
    if authors:
        given["authors"] = authors
    if reviewers:
        given["reviewers"] = reviewers
    if revokers:
        given["revokers"] = revokers
    if plugins:
        pairs = [text.partition("=") for text in plugins]
        if any(not name or not author for name, _, author in pairs):
            raise click.BadParameter("expected NAME=AUTHOR", param_hint="--plugin")
        given["plugins"] = {name: author for name, _, author in pairs}
    image = image or _image()
    chosen = _driver(driver, image, runtime)
    given["driver"] = chosen.driver
    plan = Plan(image=image, threshold=threshold, runtime=runtime, tuf=tuf, **given)  # type: ignore[arg-type] # named fields of their own types
    deployment = initialise(home, Addresses.on_ports(port, host), plan)
    click.echo(f"deployment      {deployment.home.resolve()}")
    click.echo(f"pinned          {deployment.keys}")
    click.echo(f"private         {deployment.var} (owners' keys in {deployment.var / 'owners'})")
    click.echo(f"containers by   {chosen.driver}: {chosen.why}")
    if plan.tuf:
        where = deployment.tuf_offline_keys
        click.echo(f"NOT offline     {where}: the TUF repository's offline keys, no passphrase")
    click.echo(f"next            sealgate --home {home} up")


def _driver(driver: str | None, image: str, runtime: str) -> Choice:
    from runner.sandbox.choice import Choice, choose_driver

    if driver is None:
        return choose_driver(image, runtime)
    return Choice("oci" if driver == "oci" else "engine", "as you said")


def _image() -> str:
    """Return the id of the runtime image, built if need be."""
    import docker

    from runner.sandbox import image

    return image.ensure(docker.from_env(timeout=120).api, click.echo)
