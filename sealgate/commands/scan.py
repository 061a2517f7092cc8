"""`sealgate scan`: the registry's scan, run here, with the same report byte for byte."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from scanner import ScanPolicy, ScanResult, scan
from scanner.model import SEVERITIES, Finding
from sealgate import dependencies, options
from trust.errors import SealgateError, problem, shown
from trust.evidence.acknowledgements import MAX_WARNED
from trust.wheel import read_wheel

EXIT = {"passed": 0, "failed": 1, "incomplete": 2}
"""The exit code of each verdict."""

_COLOURS = {"high": "red", "medium": "yellow", "low": "cyan"}
_MEANING = {
    "high": "blocks: it has to be mended",
    "medium": "must be acknowledged by the reviewers, one by one",
    "low": "is shown to the reviewers",
}


class Unreadable(SealgateError):
    """A file that the command needs cannot be read or written."""


@click.command("scan")
@click.argument("wheel", type=click.Path(path_type=Path))
@click.option("--sarif", type=click.Path(path_type=Path), help="Write the SARIF report to a file.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="A scan policy (JSON) in place of the default one.",
)
@options.dependencies
@click.option(
    "--vulnerabilities",
    type=click.Path(path_type=Path, exists=True),
    help="A database in the OSV format to look the dependencies up in.",
)
def command(
    wheel: Path,
    sarif: Path | None,
    as_json: bool,
    policy_file: Path | None,
    dependency_folder: Path | None,
    vulnerabilities: Path | None,
) -> None:
    """Scan a wheel as the registry does, and say what blocks it.

    Exit code 0: passed, perhaps with findings that reviewers must acknowledge; 1: failed; 2:
    incomplete (or the wheel cannot be read), which blocks as well.
    """
    try:
        data = _read(wheel)
        policy = ScanPolicy() if policy_file is None else ScanPolicy.from_json(_read(policy_file))
        locked = []
        if dependency_folder is not None:
            locked = dependencies.read(read_wheel(data, wheel.name), dependency_folder)
        result = scan(
            data, wheel.name, policy, dependencies=locked, vulnerabilities=vulnerabilities
        )
        if sarif is not None:
            _write(sarif, result.report)
    except SealgateError as error:
        click.echo(error.diagnostics(), err=True)
        sys.exit(EXIT["incomplete"])
    if as_json:
        click.echo(json.dumps(outcome(result, wheel.name), indent=2, sort_keys=True))
    else:
        _print(result, wheel.name)
    sys.exit(EXIT[result.verdict])


def outcome(result: ScanResult, filename: str) -> dict[str, object]:
    """Return the outcome as a JSON-serialisable object."""
    return {
        "filename": filename,
        "sha256": result.wheel_sha256,
        "verdict": result.verdict,
        "result": result.result,
        "counts": result.counts,
        "findings": [finding.as_dict() for finding in result.findings],
        "coverage": [entry.as_dict() for entry in result.coverage],
        "problems": [problem.as_dict() for problem in result.problems],
        "policy_sha256": result.policy_sha256,
        "report_sha256": result.report_sha256,
    }


def _print(result: ScanResult, filename: str) -> None:
    for finding in result.findings:
        _print_finding(finding)
    for refused in result.problems:
        click.secho("not scanned", fg="red", bold=True, nl=False)
        click.echo("  " + refused.lines().replace("\n", "\n" + " " * 13) + "\n")
    unscanned = [entry for entry in result.coverage if not entry.scanned]
    if unscanned:
        click.echo(f"not scanned as code: {len(unscanned)} of {len(result.coverage)} files")
        for entry in unscanned:
            click.echo(f"  {shown(entry.path)} ({entry.kind}, {entry.size} bytes)")
        click.echo()
    counts = ", ".join(f"{result.counts[severity]} {severity}" for severity in SEVERITIES)
    click.echo(f"{shown(filename)}  sha256 {result.wheel_sha256}")
    click.echo(f"policy {result.policy_sha256}  report {result.report_sha256}")
    colour = "green" if result.verdict == "passed" else "red"
    click.secho(f"{result.verdict}: {counts}. {_conclusion(result)}", fg=colour, bold=True)


def _print_finding(finding: Finding) -> None:
    place = f"{shown(finding.path)}:{finding.line}" if finding.line else shown(finding.path)
    click.secho(f"{finding.severity:<6}", fg=_COLOURS[finding.severity], bold=True, nl=False)
    click.echo(f"  {finding.rule}  {place}")
    click.echo(f"        why:  {finding.message} (confidence: {finding.confidence})")
    if finding.source_line:
        click.echo(f"        code: {shown(finding.source_line)}")
    click.echo(f"        mend: {finding.help}\n")


def _conclusion(result: ScanResult) -> str:
    if result.verdict == "incomplete":
        return "Not everything was looked at, which blocks until it is."
    if result.verdict == "failed" and not result.counts["high"]:
        return f"More than {MAX_WARNED} medium findings are too many to be acknowledged one by one."
    if result.verdict == "failed":
        return f"A high finding {_MEANING['high']}."
    if result.result == "WARNED":
        return f"Each medium finding {_MEANING['medium']}."
    return "Nothing for the reviewers to acknowledge."


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable("the file cannot be read", path, error) from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise _unreadable("the report cannot be written", path, error) from error


def _unreadable(what: str, path: Path, error: OSError) -> Unreadable:
    return Unreadable(
        problem(
            "scan.file",
            what,
            value=error.strerror or type(error).__name__,
            expected="a file that this user may use",
            advice="check the path and its permissions",
            where=str(path),
        )
    )
