"""`sealgate audit`: verify, show and export the runner's audit log; verify a receipt."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from sealgate.deployment import Deployment
from sealgate.terminal import printable
from trust.errors import SealgateError, problem


class AuditInput(SealgateError):
    """A file that was named cannot be read."""


@click.group("audit")
def command() -> None:
    """Verify, show and export the audit log. Nothing here writes to it."""


_existing = click.Path(path_type=Path, exists=True)
_vkey = click.option(
    "--vkey", type=_existing, help="The pinned verifier key (default: keys/audit_log.vkey)."
)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AuditInput(
            problem(
                "audit.input",
                "a file cannot be read",
                value=f"{path}: {error}",
                expected="a readable text file in UTF-8",
                advice="correct the path",
            )
        ) from error


def _log_path(home: Path, path: Path | None) -> Path:
    return path or Deployment.load(home).state("runner") / "audit.sqlite"


def _key(home: Path, vkey: Path | None) -> str:
    return _text(vkey or Deployment.load(home).audit_key)


@command.command("verify")
@click.argument("path", type=_existing, required=False)
@_vkey
@click.option("--since", type=_existing, help="An earlier checkpoint; the log must extend it.")
@click.option("--save", type=click.Path(path_type=Path), help="Keep this checkpoint for --since.")
@click.option("--copy", type=_existing, help="An entrypoint.log; the log must have its records.")
@click.option("--schema/--no-schema", default=True, help="Validate each record (default: yes).")
@click.pass_obj
def verify_command(
    home: Path,
    path: Path | None,
    vkey: Path | None,
    since: Path | None,
    save: Path | None,
    copy: Path | None,
    schema: bool,
) -> None:
    """Recompute the log and check it against its signed checkpoint.

    PATH is a log's database or an exported folder (default: this deployment's log). The exit code
    is 0 only if nothing is wrong; the first bad record is named first.
    """
    from runner.audit_source import open_source
    from runner.audit_verify import read_lines, verify

    with open_source(_log_path(home, path)) as source:
        report = verify(
            source,
            _key(home, vkey),
            since=_text(since) if since else None,
            copy=read_lines(copy) if copy else None,
            schema=schema,
        )
        note = source.checkpoint
    for each in report.problems:
        click.echo(each.lines(), err=True)
    click.echo(f"entries     {report.entries}")
    if report.checkpoint is not None:
        click.echo(f"checkpoint  {report.checkpoint.origin}, {report.checkpoint.size} entries")
        click.echo(f"root        {report.checkpoint.root.hex()}")
    if report.open_calls:
        click.echo(f"open calls  {len(report.open_calls)}: {', '.join(report.open_calls[:3])}")
    if report.not_copied is not None:
        click.echo(f"not in copy {report.not_copied}")
    if not report.ok:
        click.echo(f"NOT VERIFIED: {len(report.problems)} problem(s)")
        sys.exit(1)
    if save is not None:
        save.write_text(note, encoding="utf-8")
    if report.complete:
        click.echo("verified: every record, the root and the signature")
    elif report.checkpoint is None:
        click.echo("verified: the log is empty")
    else:
        size = report.checkpoint.size
        click.echo(f"verified: {report.entries} of {size} records, each by its own proof")


@command.command("receipt")
@click.argument("path", type=_existing)
@_vkey
@click.pass_obj
def receipt_command(home: Path, path: Path, vkey: Path | None) -> None:
    """Verify a receipt, or a whole reply with its receipt, by the pinned key alone."""
    from runner.receipts import verify_receipt, verify_reply_receipt
    from trust import strictjson
    from trust.outcomes import Failed

    data = strictjson.loads(_text(path).encode(), max_bytes=64 << 20)
    is_reply = isinstance(data, dict) and "receipt" in data
    check = verify_reply_receipt if is_reply else verify_receipt
    outcome = check(data, _key(home, vkey))
    if isinstance(outcome, Failed):
        for each in outcome.problems:
            click.echo(each.lines(), err=True)
        click.echo("NOT VERIFIED")
        sys.exit(1)
    proved = outcome.value
    record = proved.record
    click.echo(f"request     {printable(str(record.get('request_id')))}")
    click.echo(f"call        {_call(record)} by {record.get('caller')}: {_ending(record)}")
    click.echo(
        f"verified: entry {proved.index} of {proved.checkpoint.size} in {proved.checkpoint.origin}"
    )


_filters = (
    click.option("--caller", help="Only this caller's."),
    click.option("--plugin", help="Only this plugin's."),
    click.option("--status", help="Only this status, or `admitted`."),
    click.option("--request", help="Only this request id."),
    click.option("--after", help="Only from this time on (ISO 8601 in UTC)."),
    click.option("--before", help="Only before this time."),
)


def _filtered(function: Any) -> Any:
    for option in reversed(_filters):
        function = option(function)
    return function


def _ending(record: Any) -> str:
    said = record.get("revocation")
    action = said.get("action") if isinstance(said, dict) else None
    return str(record.get("status") or record.get("decision") or action)


def _call(record: Any) -> str:
    said = record.get("revocation")
    if isinstance(said, dict):
        target, signer = (said.get(member) for member in ("target", "signer"))
        words = json.dumps(target, ensure_ascii=False, separators=(", ", " "), sort_keys=True)
        who = signer.get("subject") if isinstance(signer, dict) else None
        return printable(f"handed over by {who}: {words}: {said.get('reason')}")
    plugin, version = record.get("plugin"), record.get("version")
    name = f"{plugin}=={version}" if version else str(plugin)
    return printable(f"{name} {record.get('method')}") if plugin else "-"


def _matches(record: Any, wanted: dict[str, str | None]) -> bool:
    time = str(record.get("time"))
    found = {
        "caller": record.get("caller"),
        "plugin": record.get("plugin"),
        "status": _ending(record),
        "request": record.get("request_id"),
    }
    after, before = wanted["after"], wanted["before"]
    return (
        all(wanted[name] in (None, value) for name, value in found.items())
        and (after is None or time >= after)
        and (before is None or time < before)
    )


def _records(path: Path, wanted: dict[str, str | None]) -> Iterator[tuple[int, Any]]:
    from runner.audit_source import open_source
    from trust import strictjson

    with open_source(path) as source:
        for item in source.items():
            record = strictjson.loads(item.entry)
            if isinstance(record, dict) and _matches(record, wanted):
                yield item.index, record


@command.command("show")
@click.argument("path", type=_existing, required=False)
@_filtered
@click.option("--json", "as_json", is_flag=True, help="JSON lines, whole records.")
@click.option("-n", "--last", type=click.IntRange(min=1), help="Only the last so many.")
@click.pass_obj
def show_command(
    home: Path, /, path: Path | None, as_json: bool, last: int | None, **wanted: str | None
) -> None:
    """Show records, oldest first. They are not verified: `sealgate audit verify` does that."""
    rows = list(_records(_log_path(home, path), wanted))
    rows = rows[-last:] if last else rows
    for index, record in rows:
        if as_json:
            click.echo(json.dumps({"index": index, **record}))
            continue
        reason = record["problems"][0]["code"] if record.get("problems") else ""
        click.echo(
            f"{index:>6}  {str(record.get('time'))[:23]}Z  {record.get('caller') or '-':<12} "
            f"{_ending(record):<17} {_call(record)}  {printable(reason)}"
            f"  [{str(record.get('request_id'))[:8]}]"
        )
    if not rows and not as_json:
        click.echo("no records")


@command.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@_filtered
@click.option("--log", "path", type=_existing, help="The log's database.")
@click.pass_obj
def export_command(home: Path, /, folder: Path, path: Path | None, **wanted: str | None) -> None:
    """Write records with proofs and checkpoint into a new FOLDER that `audit verify` accepts.

    With filters only those records are written, each with its own proof; without, all of them,
    so that a verifier can recompute the whole log.
    """
    from runner.audit_source import write_export
    from trust.log import MerkleLog

    source = _log_path(home, path)
    chosen = None
    if any(wanted.values()):
        chosen = [index for index, _ in _records(source, wanted)]
    log = MerkleLog(source, None)
    try:
        count = write_export(log, folder, chosen)
    finally:
        log.close()
    click.echo(f"{count} records in {folder}")
