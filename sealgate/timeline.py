"""A version's history and what it waits for, as lines for a terminal."""

from __future__ import annotations

from typing import Any

import click

from trust.errors import Problem, shown

FINAL = ("scan_failed", "scan_incomplete", "rejected", "published", "quarantined", "revoked")
_COLOURS = {"published": "green", "in_review": "cyan", "received": None, "scanning": None}


class Printer:
    """Prints each event once, however often the version is looked at."""

    def __init__(self) -> None:
        self._printed = 0

    def events(self, view: dict[str, Any]) -> None:
        """Print the events that came since the last time."""
        for event in view["timeline"][self._printed :]:
            click.echo(f"{shown(event['at'][:19])}Z  {event['event']:<16} {shown(event['detail'])}")
            for entry in event["problems"]:
                lines = Problem.from_dict(entry).lines()
                click.echo("    " + lines.replace("\n", "\n    "))
        self._printed = len(view["timeline"])


def conclude(view: dict[str, Any]) -> None:
    """Print one last line: release, state, what it waits for, and its page."""
    name, version, state = (shown(view[key]) for key in ("name", "version", "state"))
    colour = _COLOURS.get(state, "red")
    click.secho(f"{name}=={version}: {state}", fg=colour, bold=True, nl=False)
    waits = shown(view["waits_for"])
    click.echo("" if waits == "nothing" else f", waits for {waits}", nl=False)
    click.echo(f"  {shown(view['links']['page'])}")
