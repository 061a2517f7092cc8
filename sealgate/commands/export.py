"""`sealgate export`: a version with its evidence as files that any static server can serve."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sealgate import options
from sealgate.dependencies import FOLDER
from sealgate.registry_client import RegistryClient, Release
from sealgate.signing import Target
from trust.errors import SealgateError, problem, shown


class NotExported(SealgateError):
    """The mirror cannot be written, or has something else under the same name and version."""


@click.command("export")
@options.release
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The mirror's folder; what it has already stays.",
)
@options.registry
@click.pass_obj
def command(home: Path, release: str, into: Path, registry: str | None) -> None:
    """Write NAME==VERSION, its evidence and its dependencies into a mirror.

    The folder can be carried to a machine without a network, or served by any static file server:
    `sealgate verify FOLDER/NAME/VERSION` judges it, and a runner takes it with `mirror+file:///...`
    or `mirror+https://...` as its policy's registry. Digests are checked here, signatures there.
    """
    client = RegistryClient(Target(home, registry).url)
    view = client.version(Release.parse(release))
    exact = Release(str(view["name"]), str(view["version"]))
    if view["state"] != "published":
        raise NotExported(
            problem(
                "export.not-published",
                "only a published version is exported",
                value=f"{exact.name} {exact.version}: {shown(view['state'])}",
                expected="a published version",
                advice="wait for its publication: `sealgate status` shows what it waits for",
            )
        )
    plugin, wheel = client.wheel(exact, str(view["filename"]), str(view["sha256"]))
    files: dict[str, bytes] = {plugin.filename: wheel}
    entry: dict[str, Any] = {
        "version": exact.version,
        "filename": plugin.filename,
        "sha256": plugin.sha256,
        "bundles": [],
        "dependencies": [],
    }
    for bundle in client.bundles(exact):
        name = f"{plugin.filename}.{bundle.step}.{bundle.sha256[:12]}.sigstore.json"
        files[name] = bundle.data
        entry["bundles"].append({"filename": name, "sha256": bundle.sha256})
    locked = client.dependencies(exact, plugin)
    for item, data in zip(plugin.dependencies, locked, strict=True):
        files[f"{FOLDER}/{item.filename}"] = data
        entry["dependencies"].append({"filename": item.filename, "sha256": item.sha256})
    try:
        write(into / exact.name, exact, entry, files)
    except OSError as error:
        raise _unwritable(into, error) from error
    click.echo(f"{len(files)} files in {into / exact.name / exact.version}")
    click.echo(f"now: sealgate verify {into / exact.name / exact.version}")


def _unwritable(into: Path, error: OSError) -> NotExported:
    return NotExported(
        problem(
            "export.folder",
            "the mirror cannot be written",
            value=error.strerror or type(error).__name__,
            expected="a folder that this user may write",
            advice="choose another folder with --into; nothing that was there is lost",
            where=str(into),
        )
    )


def write(
    plugin: Path, release: Release, entry: Mapping[str, Any], files: Mapping[str, bytes]
) -> None:
    """Write the files first and the index last: a mirror never names what it does not have.

    Args:
        plugin: the plugin's folder in the mirror.
        release: its name and version.
        entry: the version's entry in the index.
        files: path in the version's folder -> content.

    Raises:
        NotExported: the mirror has other bytes under this name and version.
        OSError: a file cannot be written.
    """
    index = plugin / "index.json"
    document: dict[str, Any] = {"name": release.name, "versions": []}
    if index.exists():
        document = json.loads(index.read_bytes())
    versions = {str(item["version"]): item for item in document["versions"]}
    old = versions.get(release.version)
    if old is not None and old["sha256"] != entry["sha256"]:
        raise NotExported(
            problem(
                "export.other-bytes",
                "the mirror has another wheel under this name and version",
                value=f"sha256:{entry['sha256']}",
                expected=f"sha256:{old['sha256']}",
                advice="find out which registry the mirror came from; choose another folder",
                where=str(index),
            )
        )
    folder = plugin / release.version
    for name, data in files.items():
        _put(folder / name, data)
    versions[release.version] = dict(entry)
    document["versions"] = [versions[key] for key in sorted(versions)]
    _put(index, (json.dumps(document, indent=1) + "\n").encode())


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_bytes() == data:
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
