"""The options that several commands take."""

from __future__ import annotations

from pathlib import Path

import click

release = click.argument("release", metavar="NAME==VERSION")
registry = click.option("--registry", help="The registry's URL (default: the deployment's).")
trust_config = click.option(
    "--trust-config",
    type=click.Path(path_type=Path),
    help="A Sigstore ClientTrustConfig (default: the deployment's).",
)
dependencies = click.option(
    "--dependencies",
    "dependency_folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder with the wheels that the plugin's pylock.toml names.",
)
