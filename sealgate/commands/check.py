"""`sealgate check`: read a wheel as the registry will, and say all that is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from trust.errors import Problem
from trust.outcomes import Failed
from trust.wheel import Plugin, inspect_wheel
from trust.wheel.bounds import MAX_WHEEL_BYTES


@click.command("check")
@click.argument("wheel", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, wheel: Path, as_json: bool) -> None:
    """Check the structure and the manifest of WHEEL.

    Exit code 0: the wheel is one that Sealgate accepts; scan and reviews are still to come.
    Exit code 1: it is refused, for every reason that is printed.
    """
    with wheel.open("rb") as file:
        data = file.read(MAX_WHEEL_BYTES + 1)
    outcome = inspect_wheel(data, wheel.name)
    if isinstance(outcome, Failed):
        click.echo(_refusal(wheel.name, outcome.problems, as_json=as_json))
        ctx.exit(1)
    click.echo(_summary(outcome.value, as_json=as_json))


def _refusal(filename: str, problems: tuple[Problem, ...], *, as_json: bool) -> str:
    if as_json:
        found = [problem.as_dict() for problem in problems]
        return json.dumps({"filename": filename, "accepted": False, "problems": found}, indent=2)
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
    return "\n".join([f"{filename} is refused: {count}", *(each.lines() for each in problems)])


def _summary(plugin: Plugin, *, as_json: bool) -> str:
    manifest, limits = plugin.manifest, plugin.manifest.limits
    if as_json:
        return json.dumps(
            {
                "filename": plugin.filename,
                "accepted": True,
                "name": plugin.name,
                "version": plugin.version,
                "summary": plugin.summary,
                "sha256": plugin.sha256,
                "size": plugin.size,
                "package": plugin.package,
                "methods": {name: each.summary for name, each in manifest.methods.items()},
                "limits": {name: getattr(limits, name) for name in limits.__slots__},
                "files": len(plugin.members),
            },
            indent=2,
        )
    lines = [
        f"{plugin.filename} is accepted",
        f"  plugin:   {plugin.name} {plugin.version}: {plugin.summary}",
        f"  sha256:   {plugin.sha256}",
        f"  size:     {plugin.size} bytes, {len(plugin.members)} files in {plugin.package}",
        f"  limits:   {limits.wall_seconds:g} s elapsed, {limits.cpu_seconds} s CPU, "
        f"{limits.memory_bytes >> 20} MiB memory, {limits.processes} processes, "
        f"{limits.output_bytes >> 10} KiB output",
    ]
    lines += [f"  method:   {each.name}: {each.summary}" for each in manifest.methods.values()]
    return "\n".join(lines)
