"""`sealgate review`: check what is to be reviewed, show it, and sign the decision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from registry.readmodel import FileView
from sealgate import options
from sealgate.acknowledging import Open, answer, read_options
from sealgate.registry_client import RegistryClient, Release
from sealgate.reviewing import Dossier, gather
from sealgate.signing import Target
from sealgate.timeline import conclude
from trust.errors import shown
from trust.evidence.acknowledgements import Acknowledgement
from trust.evidence.statements import Decision

_COLOURS = {"high": "red", "medium": "yellow", "low": "cyan"}
_MARKS = {"added": "+", "removed": "-", "hunk": "", "context": " "}
_LINE_COLOURS = {"added": "green", "removed": "red", "hunk": "cyan"}

_account = click.option(
    "--account", help="An account of the embedded authority, such as bob@example.com."
)
_diff = click.option("--diff", is_flag=True, help="Show the changed lines of every file.")
_yes = click.option("--yes", is_flag=True, help="Sign without asking.")


@click.group("review")
def command() -> None:
    """Sign an approval or a rejection of those exact bytes."""


@command.command("show")
@options.release
@options.registry
@options.trust_config
@_diff
@click.pass_obj
def show(
    home: Path, release: str, registry: str | None, trust_config: Path | None, diff: bool
) -> None:
    """Check and show what is to be reviewed; sign nothing."""
    target = Target(home, registry, trust_config)
    _show(_gather(target, release), diff=diff)


@command.command("approve")
@options.release
@_account
@click.option(
    "--acknowledge",
    metavar="FINGERPRINT=REASON",
    multiple=True,
    help="Why this Medium finding is acceptable; asked for where it is not given.",
)
@click.option("--comment", default="", help="Words for the author, kept in the evidence.")
@options.registry
@options.trust_config
@_diff
@_yes
@click.pass_obj
def approve(
    home: Path,
    release: str,
    account: str | None,
    acknowledge: tuple[str, ...],
    comment: str,
    registry: str | None,
    trust_config: Path | None,
    diff: bool,
    yes: bool,
) -> None:
    """Approve NAME==VERSION; each Medium finding is acknowledged with a reason."""
    target = Target(home, registry, trust_config)
    given = read_options(acknowledge)
    _decide(target, release, account, "approve", comment, diff=diff, yes=yes, given=given)


@command.command("reject")
@options.release
@_account
@click.option("--comment", required=True, help="Why; kept in the evidence.")
@options.registry
@options.trust_config
@_diff
@_yes
@click.pass_obj
def reject(
    home: Path,
    release: str,
    account: str | None,
    comment: str,
    registry: str | None,
    trust_config: Path | None,
    diff: bool,
    yes: bool,
) -> None:
    """Reject NAME==VERSION; that is final."""
    target = Target(home, registry, trust_config)
    _decide(target, release, account, "reject", comment, diff=diff, yes=yes)


def _gather(target: Target, release: str) -> Dossier:
    client = RegistryClient(target.url)
    return gather(client, Release.parse(release), target.client_trust_config())


def _decide(
    target: Target,
    release: str,
    account: str | None,
    decision: Decision,
    comment: str,
    *,
    diff: bool,
    yes: bool,
    given: Mapping[str, str] | None = None,
) -> None:
    dossier = _gather(target, release)
    _show(dossier, diff=diff)
    acknowledged: tuple[Acknowledgement, ...] = ()
    if decision == "approve":
        acknowledged = answer(dossier.acknowledge, given or {}, None if yes else _ask)
    if not yes:
        digest = dossier.plugin.sha256[:12]
        click.confirm(f"Sign: {decision} sha256 {digest}…?", abort=True)
    bundle = target.sign(dossier.statement(decision, comment, acknowledged), account)
    plugin = dossier.plugin
    conclude(RegistryClient(target.url).review(Release(plugin.name, plugin.version), bundle))


def _ask(item: Open) -> str:
    finding, earlier = item.finding, item.earlier
    place = f"{shown(finding.path)}:{finding.line}" if finding.line else shown(finding.path)
    click.secho(f"\n{finding.rule} {place}", bold=True)
    click.echo(f"  {shown(finding.message)}")
    if finding.source_line:
        click.echo(f"  {shown(finding.source_line)}")
    if earlier is not None:
        who = shown(str(earlier.reviewer))
        click.echo(f"  in the last version {who} said: {shown(earlier.reason)}")
        if click.confirm("  The same reason again?", default=False):
            return earlier.reason
    return str(click.prompt("  Why is it acceptable", default="", show_default=False))


def _show(dossier: Dossier, *, diff: bool) -> None:
    plugin, author, scan = dossier.plugin, dossier.author, dossier.scan
    click.secho(f"{plugin.name} {plugin.version}  {plugin.filename}", bold=True)
    click.echo(f"  sha256     {plugin.sha256} ({plugin.size} bytes, hashed here)")
    click.echo(f"  author     {shown(str(author.identity))}, {author.signed_at:%Y-%m-%d %H:%MZ}")
    click.echo(f"  scan       {scan.predicate['result']} by {shown(str(scan.identity))}")
    click.echo(f"  coverage   {_coverage(dossier)}")
    click.echo(f"  methods    {', '.join(map(shown, plugin.manifest.methods))}")
    click.echo(f"  state      {shown(dossier.state)}, in the registry's word")
    _show_findings(dossier)
    _show_changes(dossier)
    if diff:
        for file in dossier.files:
            _show_diff(file, whole=dossier.previous is None)


def _coverage(dossier: Dossier) -> str:
    scanned, other = len(dossier.coverage.scanned), dossier.coverage.not_scanned
    text = f"{scanned} files scanned, {len(other)} not"
    names = ", ".join(shown(path) for path in list(other)[:8])
    return f"{text}: {names}" if other else text


def _show_findings(dossier: Dossier) -> None:
    if not dossier.findings:
        click.echo("  findings   none")
    for finding in dossier.findings:
        place = f"{shown(finding.path)}:{finding.line}" if finding.line else shown(finding.path)
        click.secho(f"  {finding.severity:<8}", fg=_COLOURS[finding.severity], nl=False)
        click.echo(f"   {finding.rule} {place}  {shown(finding.message)}")
        if finding.source_line:
            click.echo(f"             {shown(finding.source_line)}")
        if finding.severity == "medium":
            click.echo(f"             to acknowledge: {finding.fingerprint[:12]}")


def _show_changes(dossier: Dossier) -> None:
    previous = dossier.previous
    if previous is None:
        click.echo("  compared   with nothing: no version is public yet")
        return
    click.echo(f"  compared   with {previous.version}, sha256 {previous.sha256}")
    for change in previous.changes:
        mark = " (may do more)" if change.widening else ""
        before, after = shown(change.before), shown(change.after)
        click.echo(f"  manifest   {shown(change.subject)}: {before or '-'} -> {after or '-'}{mark}")
    for file in dossier.files:
        if file.change is not None:
            click.echo(f"  {file.change:<10} {shown(file.path)} ({file.size} bytes)")
    for path in previous.removed:
        click.echo(f"  removed    {shown(path)}")


def _show_diff(file: FileView, *, whole: bool) -> None:
    if file.binary or (not whole and file.change is None):
        return
    click.secho(f"\n{shown(file.path)}", bold=True)
    if file.diff:
        for line in file.diff:
            text = _MARKS[line.kind] + shown(line.text)
            click.secho(text, fg=_LINE_COLOURS.get(line.kind))
    else:
        for row in file.lines:
            click.echo(f"{row.number:>5} {shown(row.text)}")
    if file.truncated:
        click.secho("… cut here: read the rest in the wheel itself", fg="yellow")
