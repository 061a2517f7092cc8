"""`sealgate submit`: check a wheel, sign it as its author, send it, watch what becomes of it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sealgate import dependencies, options
from sealgate.registry_client import RegistryClient, Release
from sealgate.signing import Target
from sealgate.timeline import FINAL, Printer, conclude
from trust.errors import SealgateError, problem
from trust.evidence.statements import submit_statement
from trust.wheel import read_wheel
from trust.wheel.bounds import MAX_WHEEL_BYTES


class Unreadable(SealgateError):
    """A file that the command needs cannot be read."""


def read(path: Path, limit: int) -> bytes:
    """Return a file's bytes, at most one more than `limit`.

    Raises:
        Unreadable: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise Unreadable(
            problem(
                "submit.file",
                "the file cannot be read",
                value=error.strerror or type(error).__name__,
                expected="a file that this user may read",
                advice="check the path and its permissions",
                where=str(path),
            )
        ) from error


@click.command("submit")
@click.argument("wheel", type=click.Path(path_type=Path))
@click.option("--account", help="An account of the embedded authority, such as alice@example.com.")
@click.option(
    "--bundle",
    "bundle_file",
    type=click.Path(path_type=Path),
    help="A bundle that was signed elsewhere, in place of signing now.",
)
@click.option("--unsigned", is_flag=True, help="Send no signature (the registry refuses that).")
@options.registry
@options.trust_config
@options.dependencies
@click.option("--wait", is_flag=True, help="Wait for the scan and show what happens.")
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait.")
@click.pass_obj
def command(
    home: Path,
    wheel: Path,
    account: str | None,
    bundle_file: Path | None,
    unsigned: bool,
    registry: str | None,
    trust_config: Path | None,
    dependency_folder: Path | None,
    wait: bool,
    timeout: float,
) -> None:
    """Sign WHEEL as its author and submit it.

    Without --account the identity token comes from SEALGATE_ID_TOKEN or from the CI system. Exit
    code 0: accepted, and with --wait: the scan passed; 1: refused, for every reason printed.
    """
    target = Target(home, registry, trust_config)
    data = read(wheel, MAX_WHEEL_BYTES)
    plugin = read_wheel(data, wheel.name)
    locked: list[tuple[str, bytes]] = []
    if dependency_folder is not None:
        wheels = dependencies.read(plugin, dependency_folder)
        names = [item.filename for item in plugin.dependencies]
        locked = list(zip(names, wheels, strict=True))
    bundle: bytes | None = None
    if bundle_file is not None:
        bundle = read(bundle_file, MAX_WHEEL_BYTES)
    elif not unsigned:
        bundle = target.sign(submit_statement(plugin.filename, plugin.sha256), account)
    client = RegistryClient(target.url)
    view = client.submit(plugin.filename, data, bundle, locked)
    click.echo(f"{plugin.filename}  sha256 {plugin.sha256}")
    if wait:
        printer = Printer()
        for view in client.watch(
            Release(plugin.name, plugin.version),
            lambda seen: seen["state"] in ("in_review", *FINAL),
            timeout,
        ):
            printer.events(view)
    conclude(view)
    if view["state"] in ("scan_failed", "scan_incomplete", "rejected"):
        sys.exit(1)
