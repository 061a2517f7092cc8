"""`sealgate fetch`: a version's wheel and all its evidence, into a folder that can be verified."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from sealgate import dependencies, options
from sealgate.registry_client import RegistryClient, Release
from sealgate.signing import Target
from trust.errors import SealgateError, problem, shown


class NotWritten(SealgateError):
    """The folder cannot be written, or holds something else."""


@click.command("fetch")
@options.release
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), help="Default: NAME-VERSION."
)
@options.registry
@click.pass_obj
def command(home: Path, release: str, into: Path | None, registry: str | None) -> None:
    """Download NAME==VERSION with its evidence into a folder.

    Digests are checked; signatures are not: `sealgate verify FOLDER` does that, offline.
    """
    client = RegistryClient(Target(home, registry).url)
    view = client.version(Release.parse(release))
    exact = Release(str(view["name"]), str(view["version"]))
    plugin, wheel = client.wheel(exact, str(view["filename"]), str(view["sha256"]))
    folder = into or Path(f"{plugin.name}-{plugin.version}")
    files = {plugin.filename: wheel}
    locked = client.dependencies(exact, plugin)
    for item, data in zip(plugin.dependencies, locked, strict=True):
        files[f"{dependencies.FOLDER}/{item.filename}"] = data
    for bundle in client.bundles(exact):
        name = f"{plugin.filename}.{bundle.step}.{bundle.sha256[:12]}.sigstore.json"
        files[name] = bundle.data
    _write(folder, files)
    for name in files:
        click.echo(f"  {name}")
    click.echo(f"{len(files)} files in {folder}; the registry says {shown(view['state'])}")
    click.echo(f"now: sealgate verify {folder}")


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files; the same ones may be there, others of the same kind may not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kinds = (".whl", ".sigstore.json")
        strangers = sorted(
            p.name for p in folder.iterdir() if p.name.endswith(kinds) and p.name not in files
        )
        if strangers:
            raise NotWritten(
                problem(
                    "fetch.folder",
                    "the folder holds another wheel or other bundles",
                    value=", ".join(strangers),
                    expected="an empty folder, or one with this release",
                    advice="choose another folder with --into",
                    where=str(folder),
                )
            )
        for name, data in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(folder / name)
    except OSError as error:
        raise NotWritten(
            problem(
                "fetch.folder",
                "the folder cannot be written",
                value=error.strerror or type(error).__name__,
                expected="a folder that this user may write",
                advice="choose another folder with --into",
                where=str(folder),
            )
        ) from error
