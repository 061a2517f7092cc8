"""`sealgate image`: build the runtime image, show it, and pin it in the runner's policy."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import click

from runner.sandbox import image
from runner.sandbox.engine import Engine
from sealgate.deployment import Deployment
from trust import strictjson
from trust.errors import SealgateError, problem


class NoPolicy(SealgateError):
    """The runner's policy is missing or cannot be read."""


def _say(text: str) -> None:
    click.echo(text, err=True)


@click.group()
def command() -> None:
    """Build, show and pin the image that plugins run in."""


@command.command()
@click.option("--force", is_flag=True, help="Build even if the engine has the image already.")
def build(force: bool) -> None:
    """Build the image with this runner's harness; print its id."""
    client = Engine().client
    make = image.build if force else image.ensure
    click.echo(make(client, _say))


@command.command()
@click.option("--tag", is_flag=True, help="Print the image's local name instead.")
def digest(tag: bool) -> None:
    """Print the digest of this runner's harness, which an image is labelled with."""
    click.echo(image.tag() if tag else image.harness_digest())


@command.command()
@click.argument("image_id", required=False)
def show(image_id: str | None) -> None:
    """Show what the engine knows of the image (default: the one with this harness)."""
    info = image.describe(Engine().client, image_id or image.tag())
    current = "this runner's" if info.harness == image.harness_digest() else "another"
    click.echo(f"image     {info.id}")
    click.echo(f"harness   {info.harness or 'none'} ({current})")
    click.echo(f"packages  {info.packages or 'unknown'}")
    click.echo(f"size      {info.size >> 20} MiB")


@command.command()
@click.argument("image_id", required=False)
@click.pass_obj
def pin(home: Path, image_id: str | None) -> None:
    """Write the image's id into keys/runner_policy.json (default: the one with this harness).

    The policy is the operator's word: pin what you built or checked yourself.
    """
    policy = Deployment.load(home).runner_policy
    info = image.describe(Engine().client, image_id or image.tag())
    _pin(policy, info.id)
    click.echo(f"pinned {info.id} in {policy}")


def _pin(policy: Path, image_id: str) -> None:
    """Replace the policy's `image`, atomically."""
    try:
        document = strictjson.loads(policy.read_bytes())
        if not isinstance(document, dict):
            raise TypeError("it is not a JSON object")
    except (OSError, TypeError, SealgateError) as error:
        raise NoPolicy(
            problem(
                "image.no-policy",
                "the runner's policy cannot be read",
                value=f"{policy}: {error}",
                expected="keys/runner_policy.json, a JSON object",
                advice="run `sealgate init` first, or name the deployment's folder with --home",
            )
        ) from error
    document["image"] = image_id
    with tempfile.NamedTemporaryFile(
        "w", dir=policy.parent, delete=False, encoding="utf-8"
    ) as file:
        json.dump(document, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary = Path(file.name)
    temporary.chmod(policy.stat().st_mode & 0o777)
    temporary.replace(policy)
