"""The `sealgate` command: a click group whose subcommands are imported only when they run."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

from trust.errors import SealgateError, problem

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("sealgate.commands.init", "set up a local deployment: keys/, var/, accounts, layout"),
    "up": ("sealgate.commands.up", "start authority, registry, scan worker and runner"),
    "down": ("sealgate.commands.down", "stop what `sealgate up` started"),
    "serve": ("sealgate.commands.serve", "run one service in the foreground"),
    "token": ("sealgate.commands.token", "print an identity token of the embedded authority"),
    "check": ("sealgate.commands.check", "check a wheel's structure and manifest"),
    "scan": ("sealgate.commands.scan", "scan a wheel as the registry does"),
    "adopt": ("sealgate.commands.adopt", "make a plugin of functions of a third-party wheel"),
    "submit": ("sealgate.commands.submit", "sign a wheel and submit it to the registry"),
    "attest": ("sealgate.commands.attest", "sign a wheel for `uv publish` and `twine upload`"),
    "status": ("sealgate.commands.status", "show where a version stands and what it waits for"),
    "review": ("sealgate.commands.review", "sign an approval or a rejection"),
    "fetch": ("sealgate.commands.fetch", "download a version with its evidence into a folder"),
    "export": ("sealgate.commands.export", "write a version into a mirror or onto a carried disk"),
    "verify": ("sealgate.commands.verify", "verify a folder offline: Admitted or the step"),
    "layout": ("sealgate.commands.layout", "show, make and sign the in-toto layout"),
    "keys": ("sealgate.commands.keys", "make, sign and rotate the TUF repository's keys"),
    "run": ("sealgate.commands.run", "call a plugin's method through the runner"),
    "revoke": ("sealgate.commands.revoke", "take back a version, a signer, an image; lift"),
    "audit": ("sealgate.commands.audit", "verify, show and export the audit log"),
    "engine": ("sealgate.commands.engine", "make sure of a Docker engine"),
    "image": ("sealgate.commands.image", "build and pin the runtime image"),
}
"""Subcommand name -> (module that defines `command`, one line of help)."""


class LazyGroup(click.Group):
    """A group that lists its subcommands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="SEALGATE_HOME",
    default=Path(),
    help="The deployment's folder, which holds keys/ and var/ (default: the current folder).",
)
@click.version_option(package_name="sealgate")
@click.pass_context
def cli(ctx: click.Context, home: Path) -> None:
    """Sealgate: submit, review, verify and run plugins."""
    ctx.obj = home


def main() -> None:
    """Run the command; print a refusal as a refusal, never as a stack trace.

    Exit codes: 0 done, 1 refused, 2 wrong usage, 70 a bug (EX_SOFTWARE of sysexits(3)). Set
    SEALGATE_TRACE=1 to see a bug's stack trace.
    """
    try:
        cli(prog_name="sealgate")
    except SealgateError as error:
        click.echo(error.diagnostics(), err=True)
        sys.exit(1)
    except Exception as error:
        if os.environ.get("SEALGATE_TRACE"):
            raise
        bug = problem(
            "sealgate.bug",
            "the command ended by a bug",
            value=f"{type(error).__name__}: {error}",
            expected="a result or a refusal",
            advice="report it with the output of the same command under SEALGATE_TRACE=1",
        )
        click.echo(bug.lines(), err=True)
        sys.exit(70)
