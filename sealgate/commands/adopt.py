"""`sealgate adopt`: a third-party wheel as a plugin, locked by digest."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from sealgate import options
from sealgate.adopt import methods, provenance
from sealgate.adopt.build import build
from sealgate.adopt.resolve import Locked, NotAdopted, parse, resolve
from sealgate.dependencies import FOLDER
from trust.errors import problem
from trust.outcomes import Failed
from trust.wheel import inspect_dependencies, read_members, read_wheel

PYPI = "https://pypi.org/simple"


@click.command("adopt")
@options.release
@click.option(
    "--method",
    "wanted",
    multiple=True,
    required=True,
    metavar="METHOD=MODULE:FUNCTION",
    help="A function of the wheel that becomes a method; several times for several.",
)
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--name", help="The plugin's name (default: adopted-NAME).")
@click.option("--index", help="A Simple API to take wheels and provenance from (default: PyPI).")
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Take the wheels from this folder, and NAME.whl.provenance where there is one.",
)
@click.option(
    "--schemas",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON: METHOD -> {arguments, result}, in place of what the signatures say.",
)
@click.option(
    "--trusted-root",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The Sigstore trusted root of the attestations (default: the public instance's).",
)
def command(
    release: str,
    wanted: Sequence[str],
    into: Path,
    name: str | None,
    index: str | None,
    wheels: Path | None,
    schemas: Path | None,
    trusted_root: Path | None,
) -> None:
    """Make a plugin of functions of the wheel NAME==VERSION.

    pip resolves what the wheel requires; every wheel is read as strictly as a plugin's and locked
    by its SHA-256. Attestations (PEP 740) that the wheel has must verify. The plugin is written
    with a folder `dependencies`, to be checked, scanned and submitted like any other.
    """
    project, version = parse(release)
    with tempfile.TemporaryDirectory(prefix="sealgate-adopt-") as temporary:
        options = ["--no-index", "--find-links", str(wheels)] if wheels else []
        if index:
            options += ["--index-url", index]
        own, rest = resolve(project, version, Path(temporary), options)
    document = _provenance(own, wheels, index)
    root = trusted_root.read_bytes() if trusted_root else provenance.public_root()
    attested = () if document is None else provenance.verify(document, own.dependency, root)
    found = [methods.find(text, read_members(own.data)) for text in wanted]
    if schemas is not None:
        found = _described(found, schemas)
    filename, data = build(name or f"adopted-{project}", own, rest, found, attested)
    plugin = read_wheel(data, filename)
    by_digest = {item.dependency.sha256: item.data for item in (own, *rest)}
    outcome = inspect_dependencies(plugin, by_digest)
    if isinstance(outcome, Failed):
        raise NotAdopted(outcome.problems)
    _write(into, filename, data, [own, *rest])
    click.echo(f"{filename}  sha256 {plugin.sha256}")
    for item in (own, *rest):
        click.echo(f"  locked: {item.dependency.filename}  sha256 {item.dependency.sha256}")
    for each in attested:
        click.echo(f"  published by {each.signer}, as its attestation proves")
    if not attested:
        click.echo("  nothing says who published it: it has no attestation")
    where = into / filename
    click.echo(f"now: sealgate scan {where} --dependencies {into / FOLDER}, then submit it so too")


def _provenance(own: Locked, wheels: Path | None, index: str | None) -> bytes | None:
    """Return the provenance of the adopted wheel, from beside it or from the index."""
    if wheels is not None:
        beside = wheels / f"{own.dependency.filename}.provenance"
        if beside.exists():
            return beside.read_bytes()
        if index is None:
            return None
    return provenance.fetch(index or PYPI, own.dependency)


def _described(found: Sequence[methods.Adopted], path: Path) -> list[methods.Adopted]:
    try:
        document = json.loads(path.read_bytes())
        return [
            replace(
                item,
                arguments=document.get(item.name, {}).get("arguments", item.arguments),
                result=document.get(item.name, {}).get("result", item.result),
            )
            for item in found
        ]
    except (OSError, ValueError, AttributeError) as error:
        raise NotAdopted(
            problem(
                "adopt.schemas",
                "the file with the schemas cannot be read",
                value=error,
                expected="JSON: METHOD -> {arguments, result}",
                advice="correct it, or leave --schemas out",
                where=str(path),
            )
        ) from error


def _write(into: Path, filename: str, data: bytes, locked: Sequence[Locked]) -> None:
    try:
        (into / FOLDER).mkdir(parents=True, exist_ok=True)
        for item in locked:
            (into / FOLDER / item.dependency.filename).write_bytes(item.data)
        (into / filename).write_bytes(data)
    except OSError as error:
        raise NotAdopted(
            problem(
                "adopt.folder",
                "the plugin cannot be written",
                value=error.strerror or type(error).__name__,
                expected="a folder that this user may write",
                advice="choose another with --into",
                where=str(into),
            )
        ) from error
