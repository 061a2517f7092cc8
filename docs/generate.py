"""Write docs/commands.md from the command itself: `.venv/bin/python docs/generate.py`.

A test compares the file with what this makes, so that the page cannot fall behind the code.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

import click

from sealgate.cli import COMMANDS

PAGE = Path(__file__).parent / "commands.md"
HEAD = """# The `sealgate` command

Made from the code by `docs/generate.py`; do not edit. Every subcommand takes the deployment's
folder from `sealgate --home DIR` or `SEALGATE_HOME` (default: the current folder). Exit codes: 0
done, 1 refused, 2 wrong usage, 70 a bug; `scan` and `run` have more, named in their help.
"""


def describe(name: str, command: click.Command, depth: int = 2) -> str:
    """Return the Markdown of one command and of its subcommands."""
    context = click.Context(command, info_name=f"sealgate {name}")
    usage = " ".join([f"sealgate {name}", *command.collect_usage_pieces(context)])
    parts = [f"{'#' * depth} `sealgate {name}`", "", f"    {usage}", ""]
    parts += [inspect.cleandoc(command.help or ""), ""]
    options = [
        record
        for parameter in command.get_params(context)
        # the help option itself has one name or two, by who asked for it first in this process
        if "--help" not in parameter.opts
        and (record := parameter.get_help_record(context)) is not None
    ]
    if options:
        parts += ["| option | meaning |", "|---|---|"]
        for flags, text in options:
            parts.append(f"| `{flags}` | {' '.join(text.split())} |".replace(" | ", " | "))
        parts.append("")
    if isinstance(command, click.Group):
        parts += [
            describe(f"{name} {child}", command.commands[child], depth + 1)
            for child in command.commands
        ]
    return "\n".join(parts)


def page() -> str:
    """Return the whole page."""
    commands = [
        describe(name, importlib.import_module(module).command)
        for name, (module, _) in COMMANDS.items()
    ]
    return "\n".join([HEAD, *commands]).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
