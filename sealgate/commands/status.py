"""`sealgate status`: where a version stands, its history, and what it waits for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from sealgate import options
from sealgate.registry_client import RegistryClient, Release
from sealgate.signing import Target
from sealgate.timeline import FINAL, Printer, conclude


def _settled(view: dict[str, Any]) -> bool:
    """Return whether nothing more happens without a person."""
    waiting = view["waits_for"]
    return view["state"] in FINAL or (
        view["state"] == "in_review" and waiting != "publication" and not view["problems"]
    )


@click.command("status")
@options.release
@options.registry
@click.option("--wait", is_flag=True, help="Wait while scan or publication are under way.")
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait.")
@click.option("--json", "as_json", is_flag=True, help="Print the registry's JSON.")
@click.pass_obj
def command(
    home: Path, release: str, registry: str | None, wait: bool, timeout: float, as_json: bool
) -> None:
    """Show where NAME==VERSION stands and what it waits for.

    Exit code 0: it is on its way or published; 1: it was refused.
    """
    client = RegistryClient(Target(home, registry).url)
    wanted = Release.parse(release)
    view = client.version(wanted)
    printer = Printer()
    if wait and not as_json:
        for view in client.watch(wanted, _settled, timeout):
            printer.events(view)
    elif not as_json:
        printer.events(view)
    if as_json:
        click.echo(json.dumps(view, indent=2))
    else:
        conclude(view)
    if view["state"] in ("scan_failed", "scan_incomplete", "rejected"):
        sys.exit(1)
