"""`sealgate run`: call a plugin's method through the runner."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealgate.deployment import Deployment
from sealgate.terminal import json_text, printable
from trust.errors import SealgateError

if TYPE_CHECKING:
    from runner.client import Reply, RunnerClient

TOKEN_VARIABLE = "SEALGATE_TOKEN"
CANCEL_SECONDS = 10.0
"""How long a cancelled call may take to end."""
TIMEOUT = click.FloatRange(0.001, 3600)
"""What a runner takes as `timeout_seconds`."""
EXIT_CODES = {
    "ok": 0,
    "refused": 10,
    "invalid_arguments": 11,
    "plugin_error": 12,
    "timeout": 13,
    "resource_limit": 14,
    "unavailable": 15,
}
"""Status -> exit code; 1 where there is no answer or the receipt does not verify, 2 for usage."""


def _arguments(pairs: tuple[str, ...], text: str | None) -> Any:
    """Return the arguments from --arg, --json, or standard input."""
    from trust import strictjson

    if pairs and text is not None:
        raise click.UsageError("use either --arg or --json")
    if pairs:
        return dict(_pair(pair) for pair in pairs)
    if text is None:
        if sys.stdin.isatty():
            return {}
        text = sys.stdin.read()
    elif text == "-":
        text = sys.stdin.read()
    return strictjson.loads(text.encode()) if text.strip() else {}


def _pair(text: str) -> tuple[str, Any]:
    """Read `key=value` (a string) or `key:=value` (JSON)."""
    from trust import strictjson

    key, separator, value = text.partition("=")
    if not separator or not key.strip(":"):
        raise click.BadParameter(f"{text!r}: expected KEY=TEXT or KEY:=JSON", param_hint="--arg")
    return (key[:-1], strictjson.loads(value.encode())) if key.endswith(":") else (key, value)


@click.command(
    "run",
    epilog="Exit codes: 0 ok, 10 refused, 11 invalid arguments, 12 plugin error, 13 timeout, "
    "14 resource limit, 15 unavailable, 1 no answer or a receipt that does not verify.",
)
@click.argument("plugin", metavar="NAME[==VERSION]")
@click.argument("method")
@click.option("--arg", "pairs", multiple=True, metavar="KEY=TEXT|KEY:=JSON", help="One argument.")
@click.option("--json", "text", help="All arguments as a JSON object; - reads standard input.")
@click.option("--caller", default="demo", show_default=True, help="Whose token to use.")
@click.option("--runner", "address", help="The runner's base URL (default: this deployment's).")
@click.option("--timeout", type=TIMEOUT, help="Seconds that the call may take, waiting included.")
@click.option("--reply", "whole", is_flag=True, help="Print the whole reply and not the result.")
@click.option("--follow", is_flag=True, help="Show what the plugin writes as it comes.")
@click.option("-v", "--verbose", is_flag=True, help="Also print evidence, usage and receipt.")
@click.pass_obj
def command(
    home: Path,
    plugin: str,
    method: str,
    pairs: tuple[str, ...],
    text: str | None,
    caller: str,
    address: str | None,
    timeout: float | None,
    whole: bool,
    follow: bool,
    verbose: bool,
) -> None:
    """Call METHOD of a plugin and print its result as JSON.

    Without --arg and --json the arguments are read from standard input, if it is not a terminal.
    Ctrl-C cancels the call.
    The token is the caller's file in var/callers, or the environment's SEALGATE_TOKEN.
    """
    from runner.client import RunnerClient, read_token

    name, _, version = plugin.partition("==")
    arguments = _arguments(pairs, text)
    if not isinstance(arguments, dict):
        raise click.UsageError("the arguments must be one JSON object")
    deployment = Deployment.load(home)
    token = os.environ.get(TOKEN_VARIABLE) or read_token(deployment.caller_token(caller))
    with RunnerClient(address or deployment.addresses.runner, token) as client:
        call = (name, method, arguments, version or None)
        reply = _reply(client, call, timeout, follow=follow)
    verified = _verified(deployment, reply) if verbose else True
    if whole:
        click.echo(json_text(reply.raw))
    elif reply.status == "ok":
        click.echo(json_text(reply.raw["result"]))
    if not whole and not follow:
        for stream in ("stdout", "stderr"):
            if reply.raw[stream]:
                click.echo(f"[plugin {stream}] {printable(reply.raw[stream]).rstrip()}", err=True)
    if reply.status != "ok":
        click.echo(f"{reply.status} (request {reply.request_id})", err=True)
        for each in reply.problems:
            click.echo(each.lines(), err=True)
    sys.exit(EXIT_CODES.get(reply.status, 1) if verified else 1)


def _reply(
    client: RunnerClient,
    call: tuple[str, str, Any, str | None],
    timeout: float | None,
    *,
    follow: bool,
) -> Reply:
    """Make the call and return its reply; Ctrl-C cancels it."""
    from runner.client import CallFailed

    key = str(uuid.uuid4())
    try:
        if not follow:
            return client.invoke(*call, idempotency_key=key, timeout_seconds=timeout)
        request_id = client.submit(*call, idempotency_key=key, timeout_seconds=timeout)
        for wrote in client.follow(request_id):
            missing = f" ({wrote.left_out} bytes before this are missing)" if wrote.left_out else ""
            click.echo(
                f"[plugin {wrote.stream}]{missing} {printable(wrote.text).rstrip()}", err=True
            )
        return client.wait(request_id)
    except CallFailed as error:
        return error.reply
    except KeyboardInterrupt:
        click.echo("cancelling the call", err=True)
        return client.wait(client.cancel_key(key), CANCEL_SECONDS)


def _verified(deployment: Deployment, reply: Reply) -> bool:
    """Print what is known about the call; return whether its receipt verifies."""
    from trust.outcomes import Failed

    click.echo(f"request   {reply.request_id}", err=True)
    evidence = reply.raw["evidence"]
    if evidence:
        click.echo(f"plugin    {evidence['plugin']} {evidence['version']}", err=True)
        click.echo(f"wheel     sha256:{evidence['wheel_sha256']}", err=True)
        click.echo(f"author    {evidence['author']['subject']}", err=True)
        reviewers = ", ".join(each["subject"] for each in evidence["reviewers"])
        click.echo(f"reviewers {reviewers}", err=True)
    usage = reply.raw["usage"]
    if usage:
        used = ", ".join(f"{key}={value}" for key, value in usage.items() if value)
        click.echo(f"usage     {used}", err=True)
    try:
        vkey = deployment.audit_key.read_text(encoding="utf-8")
        outcome = reply.verify_receipt(vkey)
        problems = outcome.problems if isinstance(outcome, Failed) else ()
    except OSError as error:
        click.echo(f"receipt   not verified: {error}", err=True)
        return False
    except SealgateError as error:
        problems = error.problems
    if problems:
        click.echo("receipt   DOES NOT VERIFY", err=True)
        for each in problems:
            click.echo(each.lines(), err=True)
        return False
    click.echo(f"receipt   verified: entry {reply.raw['receipt']['index']}", err=True)
    return True
