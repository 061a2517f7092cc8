"""`python -m sealgate.demo`: exit code 0 only if every promise held."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import click

from sealgate.demo.stage import Stage
from sealgate.demo.story import tell
from sealgate.deployment import Addresses
from trust.errors import SealgateError


def _free_ports(count: int) -> int:
    """Return the first of `count` consecutive ports that are free now."""
    for first in range(18600, 28600, count):
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
        except OSError:
            continue
        else:
            return first
        finally:
            for each in sockets:
                each.close()
    raise OSError("no consecutive free ports on loopback")


@click.command()
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help="A folder for the demonstration's deployment; it is emptied first.",
)
def main(home: Path) -> None:
    """Show Sealgate end to end, and what it refuses."""
    import docker

    from runner.sandbox import image

    if home.exists():
        if any(home.iterdir()) and not (home / "sealgate.json").exists():
            raise click.BadParameter(f"{home} has something else in it", param_hint="--home")
        shutil.rmtree(home)
    stage = Stage(home.resolve())
    home.mkdir(parents=True)
    try:
        pinned = image.ensure(docker.from_env(timeout=120).api, stage.say)
        held = tell(stage, Addresses.on_ports(_free_ports(4)), pinned)
    except SealgateError as error:
        click.echo(error.diagnostics(), err=True)
        held = False
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
