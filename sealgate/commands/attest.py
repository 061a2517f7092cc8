"""`sealgate attest`: sign a wheel and write the attestation that `uv` and `twine` upload."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from sealgate import options
from sealgate.commands.submit import Unreadable, read
from sealgate.signing import Target
from trust.errors import problem
from trust.evidence.statements import submit_statement
from trust.wheel import read_wheel
from trust.wheel.bounds import MAX_WHEEL_BYTES

SUFFIX = ".publish.attestation"
"""What follows the wheel's name: `uv publish` and `twine upload` look for it."""


@click.command("attest")
@click.argument("wheel", type=click.Path(path_type=Path))
@click.option("--account", help="An account of the embedded authority, such as alice@example.com.")
@click.option("--overwrite", is_flag=True, help="Replace an attestation that is there.")
@options.trust_config
@click.pass_obj
def command(
    home: Path, wheel: Path, account: str | None, overwrite: bool, trust_config: Path | None
) -> None:
    """Sign WHEEL as its author and write WHEEL.publish.attestation beside it (PEP 740).

    `uv publish` and `twine upload --attestations` send it with the wheel. Without --account the
    identity token comes from SEALGATE_ID_TOKEN or from the CI system.
    """
    from registry.pypi.attestations import from_bundle

    place = wheel.with_name(wheel.name + SUFFIX)
    if place.exists() and not overwrite:
        raise Unreadable(
            problem(
                "attest.exists",
                "the wheel has an attestation already",
                value=place,
                expected="no such file",
                advice="upload with it, or replace it with --overwrite",
            )
        )
    data = read(wheel, MAX_WHEEL_BYTES)
    plugin = read_wheel(data, wheel.name)
    statement = submit_statement(plugin.filename, plugin.sha256)
    bundle = Target(home, trust_config=trust_config).sign(statement, account)
    try:
        temporary = place.with_name(place.name + f".{os.getpid()}")
        temporary.write_text(json.dumps(from_bundle(bundle)) + "\n", encoding="utf-8")
        temporary.replace(place)
    except OSError as error:
        raise Unreadable(
            problem(
                "attest.file",
                "the attestation cannot be written",
                value=error.strerror or type(error).__name__,
                expected="a folder that this user may write",
                advice="check the folder's permissions",
                where=str(place),
            )
        ) from error
    click.echo(f"{plugin.filename}  sha256 {plugin.sha256}")
    click.echo(f"wrote {place}")
