"""`sealgate revoke`: sign a revocation, a quarantine or a lift, and send it to who must know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from sealgate import options
from sealgate.registry_client import RegistryClient, Release
from sealgate.signing import Target as Place
from trust import strictjson
from trust.errors import SealgateError, problem, shown
from trust.identity import Identity
from trust.revocation import Revocation, Target

_SECONDS = (5.0, 30.0)


class NotSent(SealgateError):
    """A runner did not take the revocation, or the log has no such quarantine."""


@dataclass(frozen=True, slots=True)
class Order:
    """The options that every signing subcommand shares."""

    place: Place
    account: str | None
    runners: tuple[str, ...]
    reason: str
    quarantine: bool
    effective: datetime

    def revoke(self, target: Target) -> None:
        """Sign, send to the registry and to the runners."""
        from trust.revocation import revocation_statement

        action: Any = "quarantine" if self.quarantine else "revoke"
        statement = revocation_statement(
            target, action=action, reason=self.reason, effective=self.effective
        )
        self.send(self.place.sign(statement, self.account))

    def send(self, bundle: bytes) -> None:
        """Send a signed bundle; a runner that cannot be reached is told after all others."""
        # The runners first: what must stop must not wait for a registry that does not answer.
        failed = [error for runner in self.runners if (error := _hand(runner, bundle)) is not None]
        found = RegistryClient(self.place.url).revoke(bundle)
        click.echo(f"{found['action']:<11}{shown(_told(found['target']))}")
        click.echo(f"bundle     {shown(found['bundle_sha256'])}")
        click.echo(f"signer     {shown(found['signer']['subject'])}")
        for runner in self.runners:
            click.echo(f"runner     {runner}")
        if failed:
            raise NotSent(p for error in failed for p in error.problems)


def _told(target: dict[str, Any]) -> str:
    return str(Target.from_dict(target))


def _hand(runner: str, bundle: bytes) -> SealgateError | None:
    """Hand a bundle to a runner; return why that failed."""
    import requests

    try:
        reply = requests.post(
            runner.rstrip("/") + "/v1/revocations",
            data=bundle,
            headers={"Content-Type": "application/json"},
            timeout=_SECONDS,
            allow_redirects=False,
        )
        value = "" if reply.status_code == requests.codes.ok else reply.text[:300]
        if reply.status_code == requests.codes.ok:
            return None
    except requests.RequestException as error:
        value = str(error)
    return NotSent(
        problem(
            "client.runner",
            "a runner did not take the revocation",
            value=f"{runner}: {value}",
            expected="status 200",
            advice="it will learn it from the registry's log, or stop when the log is too old",
        )
    )


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise click.BadParameter("expected a time such as 2030-01-31T12:00:00Z") from error


_PLACE = (
    options.registry,
    options.trust_config,
)
_SIGNED = (
    click.option("--reason", required=True, help="Why; everybody who is refused reads it."),
    click.option("--account", help="An account of the embedded authority."),
    click.option(
        "--runner",
        "runners",
        multiple=True,
        metavar="URL",
        help="A runner to hand it to directly, at once.",
    ),
    click.option(
        "--effective", callback=_moment, metavar="TIME", help="From when, UTC (default: now)."
    ),
)
_QUARANTINE = click.option(
    "--quarantine", is_flag=True, help="Hold it back until it is lifted, instead of for ever."
)


def _options(function: Callable[..., None], *options: Callable[..., Any]) -> Callable[..., None]:
    for option in reversed(options):
        function = option(function)
    return function


def _order(function: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the shared options as one `Order`."""

    @wraps(function)
    def command(
        home: Path,
        registry: str | None,
        trust_config: Path | None,
        account: str | None,
        runners: tuple[str, ...],
        reason: str,
        effective: datetime,
        quarantine: bool = False,
        **arguments: Any,
    ) -> None:
        place = Place(home, registry, trust_config)
        order = Order(place, account, runners, reason, quarantine, effective)
        function(order, **arguments)

    return _options(click.pass_obj(command), *_SIGNED, *_PLACE)


@click.group("revoke")
def command() -> None:
    """Take back a version, a plugin, a signer, a rule set or an image.

    The signer must be a revoker of the registry and of each runner; a plugin's own publisher may
    take back its versions. A revocation is final, a quarantine can be lifted.
    """


@command.command("version")
@options.release
@click.option("--sha256", help="The wheel's digest: those bytes under any name.")
@_QUARANTINE
@_order
def version(order: Order, release: str, sha256: str | None) -> None:
    """Take back one version."""
    found = Release.parse(release)
    order.revoke(Target.of_version(found.name, found.version, sha256))


@command.command("plugin")
@click.argument("name")
@_QUARANTINE
@_order
def plugin(order: Order, name: str) -> None:
    """Take back every version of a plugin."""
    order.revoke(Target.of_plugin(name))


@command.command("publisher")
@click.argument("subject")
@click.option("--issuer", help="The OIDC issuer (default: the deployment's authority).")
@_QUARANTINE
@_order
def publisher(order: Order, subject: str, issuer: str | None) -> None:
    """Take back everything that an identity submitted."""
    order.revoke(Target.of_publisher(_identity(order, subject, issuer)))


@command.command("reviewer")
@click.argument("subject")
@click.option("--issuer", help="The OIDC issuer (default: the deployment's authority).")
@_QUARANTINE
@_order
def reviewer(order: Order, subject: str, issuer: str | None) -> None:
    """Take back every approval of an identity."""
    order.revoke(Target.of_reviewer(_identity(order, subject, issuer)))


@command.command("rules")
@click.argument("sha256")
@_QUARANTINE
@_order
def rules(order: Order, sha256: str) -> None:
    """Take back a scan policy: what was scanned under it is scanned again."""
    order.revoke(Target.of_rule_set(sha256))


@command.command("image")
@click.argument("image", metavar="IMAGE-ID")
@_QUARANTINE
@_order
def image(order: Order, image: str) -> None:
    """Take back a runtime image: no runner runs anything in it."""
    order.revoke(Target.of_image(image))


@command.command("lift")
@click.argument("bundle_sha256", metavar="BUNDLE-SHA256")
@_order
def lift(order: Order, bundle_sha256: str) -> None:
    """End a quarantine; its bundle's digest is in `sealgate revoke list`."""
    from trust.revocation import lift_statement

    for found in read_log(order.place):
        if found.bundle_sha256 == bundle_sha256:
            statement = lift_statement(found, reason=order.reason, effective=order.effective)
            order.send(order.place.sign(statement, order.account))
            return
    raise NotSent(
        problem(
            "client.no-quarantine",
            "the registry's revocation log has no such bundle",
            value=bundle_sha256,
            expected="the SHA-256 of a quarantine's bundle",
            advice="see `sealgate revoke list`",
        )
    )


@command.command("list")
@options.registry
@options.trust_config
@click.pass_obj
def show(home: Path, registry: str | None, trust_config: Path | None) -> None:
    """Show the registry's revocation log; every bundle is verified here."""
    found = read_log(Place(home, registry, trust_config))
    lifted = {each.lifts for each in found}
    for each in found:
        state = "lifted" if each.bundle_sha256 in lifted else each.action
        click.secho(f"{state:<11}{each.target}", bold=True)
        click.echo(f"  reason   {shown(each.reason)}")
        click.echo(f"  since    {each.effective:%Y-%m-%d %H:%M:%SZ}, signed by {each.signer}")
        click.echo(f"  bundle   {each.bundle_sha256}")
    if not found:
        click.echo("nothing was revoked")


def read_log(place: Place) -> list[Revocation]:
    """Read the registry's whole log, and verify head, entries and every bundle.

    Raises:
        LogMisbehaves: the log is not what its pinned key signed.
        RegistryRefused: it cannot be read.
    """
    from sealgate.deployment import Deployment
    from trust.evidence.bundles import BundleVerifier
    from trust.log import NoteVerifier
    from trust.revocation import verify_revocation
    from trust.revocation.follow import Known, Page

    key = NoteVerifier.from_vkey(
        Deployment.load(place.home).revocation_key.read_text(encoding="utf-8")
    )
    trust = strictjson.loads(place.client_trust_config(), max_bytes=8 << 20)
    verifier = BundleVerifier(strictjson.dumps(trust["trustedRoot"]))
    client, now = RegistryClient(place.url), datetime.now(UTC)
    known, entries = Known(), list[bytes]()
    page = Page.parse(client.revocations(0))
    head = known.check(page, key, now)
    while page.entries and len(entries) + len(page.entries) < head.checkpoint.size:
        entries += page.entries
        page = Page.parse(client.revocations(len(entries)))
    entries += page.entries
    known.extend(entries[: head.checkpoint.size], head)
    found = []
    for entry in entries:
        try:
            found.append(verify_revocation(verifier, entry, now))
        except SealgateError as error:
            click.echo(f"an entry does not count: {error.problem.what}", err=True)
    return found


def _identity(order: Order, subject: str, issuer: str | None) -> Identity:
    from sealgate.deployment import Deployment

    return Identity(issuer or Deployment.load(order.place.home).addresses.authority, subject)
