"""`sealgate verify`: a wheel and its bundles in a folder, judged offline by the gate itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from runner.policy import Policy
from runner.policy_file import load_policy
from sealgate import dependencies
from sealgate.deployment import Deployment
from trust.errors import Problem, SealgateError, problem, shown
from trust.evidence.bundles import MAX_BUNDLE_BYTES
from trust.gate import MAX_BUNDLES, Admitted, Decision, Gate, Refused
from trust.identity import Identity
from trust.outcomes import Failed
from trust.wheel.bounds import MAX_DEPENDENCIES, MAX_WHEEL_BYTES

BUNDLE_SUFFIX = ".sigstore.json"
_MAX_KEY_FILE = 16 << 20


class NothingToVerify(SealgateError):
    """The folder or the keys are not there, or not readable."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What was found in a folder.

    Attributes:
        wheel: the one wheel.
        bundles: its bundles' files, by name.
        ignored: names of all other entries.
    """

    wheel: Path
    bundles: tuple[Path, ...]
    ignored: tuple[str, ...]


def _refuse(code: str, what: str, value: object, expected: str, advice: str) -> NothingToVerify:
    return NothingToVerify(problem(code, what, value=value, expected=expected, advice=advice))


def _read(path: Path, most: int) -> bytes:
    """Read at most one byte more than `most`: whoever judges the bytes judges their number."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise _refuse(
            "verify.unreadable",
            "a file cannot be read",
            error,
            "a readable file",
            "check the path and its permissions",
        ) from error


def find(folder: Path) -> Folder:
    """Look for one wheel and its bundles.

    Raises:
        NothingToVerify: there is not exactly one wheel.
    """
    entries = sorted(folder.iterdir())
    wheels = [path for path in entries if path.name.endswith(".whl") and path.is_file()]
    bundles = [path for path in entries if path.name.endswith(BUNDLE_SUFFIX) and path.is_file()]
    if len(wheels) != 1:
        raise _refuse(
            "verify.wheel",
            "the folder does not have exactly one wheel",
            ", ".join(path.name for path in wheels) or str(folder),
            "one *.whl and its *.sigstore.json",
            "fetch a version with `sealgate fetch`, one folder for each",
        )
    used = {*wheels, *bundles, folder / dependencies.FOLDER}
    return Folder(
        wheels[0], tuple(bundles), tuple(path.name for path in entries if path not in used)
    )


def _identity(text: str) -> Identity:
    issuer, separator, subject = text.partition("=")
    if not separator or not issuer or not subject:
        raise click.BadParameter(f"{text!r} is not ISSUER=SUBJECT", param_hint="--publisher")
    return Identity(issuer, subject)


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from error
    if moment.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no time zone; add Z", param_hint="--at")
    return moment.astimezone(UTC)


def _plugin_name(filename: str) -> str:
    try:
        return canonicalize_name(parse_wheel_filename(filename)[0])
    except InvalidWheelFilename:
        return ""  # the gate refuses the name, with its reason


def _revocation(policy: Policy | None, decision: Decision) -> tuple[Problem, ...]:
    """Return why the runner would not run what the gate admits."""
    if policy is None or not isinstance(decision, Admitted):
        return ()
    plugin = decision.plugin
    found = policy.is_revoked(plugin.sha256, plugin.name, plugin.version, [decision.author])
    return found.problems if isinstance(found, Failed) else ()


@click.command("verify")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--keys",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder with the pinned keys (default: the deployment's keys/).",
)
@click.option(
    "--publisher",
    "publishers",
    multiple=True,
    metavar="ISSUER=SUBJECT",
    help="Who may publish this plugin; several times for several. Default: the runner's policy.",
)
@click.option("--at", metavar="TIME", help="Judge as of this time (ISO 8601 with a time zone).")
@click.option("--before-publish", is_flag=True, help="Leave out the registry's own statement.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path,
    keys: Path | None,
    publishers: Sequence[str],
    at: str | None,
    before_publish: bool,
    as_json: bool,
) -> None:
    """Verify the wheel and the bundles (*.sigstore.json) in FOLDER, offline.

    Prints who vouched for the wheel, or the step that refuses it with its reason. Exit code 0:
    admitted; 1: refused, revoked, or nothing that could be verified.
    """
    home: Path = ctx.obj if isinstance(ctx.obj, Path) else Path()
    pinned = Deployment.load(home).keys if keys is None else keys
    found = find(folder)
    named = [_identity(text) for text in publishers]
    policy_file = pinned / "runner_policy.json"
    policy = None if named and not policy_file.exists() else load_policy(policy_file)
    who = frozenset(named)
    if not who and policy is not None:
        who = policy.publishers_of(_plugin_name(found.wheel.name))
    gate = Gate(
        _read(pinned / "trusted_root.json", _MAX_KEY_FILE),
        _read(pinned / "layout.json", _MAX_KEY_FILE),
        _read(pinned / "layout_owners.json", _MAX_KEY_FILE),
    )
    locked = sorted((folder / dependencies.FOLDER).glob("*.whl"))[: MAX_DEPENDENCIES + 1]
    decision = gate.decide(
        _read(found.wheel, MAX_WHEEL_BYTES),
        found.wheel.name,
        [_read(path, MAX_BUNDLE_BYTES) for path in found.bundles[: MAX_BUNDLES + 1]],
        who,
        _moment(at),
        wheels=[_read(path, MAX_WHEEL_BYTES) for path in locked],
        before_publish=before_publish,
    )
    revoked = _revocation(policy, decision)
    if as_json:
        click.echo(json.dumps(as_data(decision, found, revoked), indent=2))
    else:
        click.echo(as_text(decision, found, revoked))
    if isinstance(decision, Refused) or revoked:
        ctx.exit(1)


def as_data(decision: Decision, found: Folder, revoked: Sequence[Problem]) -> dict[str, Any]:
    """Return the decision as a JSON-serialisable object."""
    problems = decision.problems if isinstance(decision, Refused) else revoked
    common = {
        "problems": [each.as_dict() for each in problems],
        "wheel": found.wheel.name,
        "bundles": [path.name for path in found.bundles],
        "ignored": list(found.ignored),
    }
    if isinstance(decision, Refused):
        return {"decision": "refused", "step": decision.step, **common}
    return {
        "decision": "revoked" if revoked else "admitted",
        "plugin": decision.plugin.name,
        "version": decision.plugin.version,
        "sha256": decision.plugin.sha256,
        "author": decision.author.as_dict(),
        "scanner": decision.scanner.as_dict(),
        "reviewers": [who.as_dict() for who in decision.reviewers],
        "registry": None if decision.registry is None else decision.registry.as_dict(),
        "counted": list(decision.bundle_sha256s),
        "layout_sha256": decision.layout_sha256,
        "layout_expires": decision.expires.isoformat(),
        **common,
    }


def as_text(decision: Decision, found: Folder, revoked: Sequence[Problem]) -> str:
    """Return the decision in words."""
    ignored = [f"  ignored:   {shown(name)}" for name in found.ignored]
    if isinstance(decision, Refused):
        first = f"Refused at step {decision.step}: {shown(found.wheel.name)}"
        return "\n".join([first, *(each.lines() for each in decision.problems), *ignored])
    plugin = decision.plugin
    return "\n".join(
        [
            f"{'Revoked' if revoked else 'Admitted'}: {plugin.name} {plugin.version}",
            *(each.lines() for each in revoked),
            f"  wheel:     {plugin.filename}",
            f"  sha256:    {plugin.sha256}",
            f"  submitted: {decision.author}",
            f"  scanned:   {decision.scanner}",
            *(f"  approved:  {who}" for who in decision.reviewers),
            f"  published: {decision.registry or 'not yet'}",
            f"  evidence:  {len(decision.bundle_sha256s)} of {len(found.bundles)} bundles counted",
            f"  layout:    sha256 {decision.layout_sha256}, until {decision.expires.isoformat()}",
            *ignored,
        ]
    )
