"""`sealgate serve`: run one service of a deployment in the foreground."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from sealgate.deployment import Deployment


def _host_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise click.ClickException(f"the address {url} in sealgate.json names no host and port")
    return parts.hostname, parts.port


def _authority(deployment: Deployment) -> None:
    from authority.main import serve

    serve(deployment.state("authority"), *_host_port(deployment.addresses.authority))


def _registry(deployment: Deployment) -> None:
    from registry.main import serve
    from sealgate.settings import registry_settings

    serve(registry_settings(deployment), *_host_port(deployment.addresses.registry))


def _worker(deployment: Deployment) -> None:
    from registry.worker import main
    from sealgate.settings import worker_settings

    main(worker_settings(deployment))


def _runner(deployment: Deployment) -> None:
    from runner.main import serve
    from sealgate.settings import runner_settings

    serve(runner_settings(deployment), *_host_port(deployment.addresses.runner))


SERVICES = {
    "authority": _authority,
    "registry": _registry,
    "worker": _worker,
    "runner": _runner,
}


@click.command("serve")
@click.argument("service", type=click.Choice(list(SERVICES)))
@click.pass_obj
def command(home: Path, service: str) -> None:
    """Run one service in the foreground, with the settings of this deployment."""
    SERVICES[service](Deployment.load(home))
