"""`sealgate keys`: the ceremonies of the TUF repository's keys, step by step.

A ceremony is a folder that is carried from machine to machine. Nothing in it is secret, nothing
that exists is overwritten, and every step says what it did and what comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from tuf.api.metadata import Root, Targets

from sealgate.ceremony import drafting, keyfiles, signing, words
from sealgate.ceremony.folder import ROLES, Folder
from trust.tuf import checks, names

F = TypeVar("F", bound=Callable[..., Any])

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)
_FOLDER = click.argument("folder", type=_DIRECTORY)
_DRY = click.option("--dry-run", is_flag=True, help="Check and show everything, write nothing.")
_DAYS = click.option(
    "--days",
    type=click.IntRange(1, 1825),
    default=365,
    show_default=True,
    help="How long it holds.",
)


def _files(function: F) -> F:
    for name, what in (
        ("trusted-root", "The Sigstore trusted root."),
        ("owners", "The layout owners' keys."),
        ("layout", "The signed layout."),
    ):
        function = click.option(f"--{name}", type=_EXISTING, help=what)(function)
    return function


def _given(layout: Path | None, owners: Path | None, trusted_root: Path | None) -> dict[str, bytes]:
    given = {
        names.LAYOUT: layout,
        names.LAYOUT_OWNERS: owners,
        names.TRUSTED_ROOT: trusted_root,
    }
    return {path: keyfiles.read(file) for path, file in given.items() if file is not None}


def _now() -> datetime:
    return datetime.now(UTC)


def _say(folder: Folder) -> None:
    """Show every draft and how it stands."""
    for draft in (folder.new_root(), folder.new_targets()):
        if draft is not None:
            for line in words.describe(folder, draft, _now()):
                click.echo(line)
    click.echo()
    for line in words.progress(folder):
        click.echo(line)
    if folder.dry_run:
        click.echo("dry run: nothing was written")


def _passphrase(file: Path | None, ask: bool, *, confirm: bool) -> bytes | None:
    if file is not None:
        return keyfiles.read(file, keyfiles.MAX_BYTES).strip()
    if not ask:
        return None
    text: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm)
    return text.encode()


@click.group("keys")
def command() -> None:
    """Make, sign and rotate the TUF repository's keys. Offline but for `publish`.

    \b
    The first ceremony                    Later
      new      each holder, a key each      open     begin from what is in force
      online   the worker's machine         rotate   other keys for a role
      init     draft root and targets       threshold, renew, files
      sign     each holder                  sign     each holder
      publish  the registry's machine       publish  the registry's machine

    `status` says at any time who has signed and what comes next.
    """


@command.command("new")
@_FOLDER
@click.argument("role", type=click.Choice(names.OFFLINE))
@click.argument("name")
@click.option("--private", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="Where the private key goes: something that its holder keeps.")  # fmt: skip
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase and encrypt the key.")
@click.option("--passphrase-file", type=_EXISTING, help="Read the passphrase from a file.")
@_DRY
def new(
    folder: Path,
    role: str,
    name: str,
    private: Path,
    passphrase: bool,
    passphrase_file: Path | None,
    dry_run: bool,
) -> None:
    """Make NAME's key for ROLE: the private half stays with its holder, the other joins FOLDER."""
    public = Folder(folder, dry_run=dry_run).key_file(role, name)
    for path in (private, public):
        if path.exists():
            raise keyfiles.refuse(
                "keys.exists", "the file is there already, and nothing is overwritten",
                path, "a new file", "choose another name, or move the old one away yourself",
            )  # fmt: skip
    click.echo(f"{name} will hold a key of the role {role}: it {words.MEANING[role]}.")
    if dry_run:
        click.echo(f"would write {private} (secret, mode 600) and {public}")
        click.echo("dry run: nothing was written")
        return
    secret = _passphrase(passphrase_file, passphrase, confirm=True)
    keyfiles.create(public, keyfiles.generate(private, secret))
    how = "encrypted with the passphrase" if secret else "NOT encrypted: whoever has it can sign"
    click.echo(f"secret   {private} (mode 600, {how})")
    click.echo(f"public   {public}")
    click.echo("next: keep the secret offline, with a copy elsewhere; carry the folder on")


@command.command("online")
@_FOLDER
@click.option("--keys", "keys", type=_DIRECTORY, required=True, help="The worker's key folder.")
@click.option("--role", "roles", type=click.Choice(names.ONLINE), multiple=True,
              help="Only this role, for a rotation (default: all three).")  # fmt: skip
@click.option("--name", default="worker", show_default=True, help="A word for people.")
@_DRY
def online(folder: Path, keys: Path, roles: Sequence[str], name: str, dry_run: bool) -> None:
    """Make the worker's online keys, on its machine; their public halves join FOLDER."""
    from registry.tuf.keys import OnlineKeys

    ceremony = Folder(folder, dry_run=dry_run)
    for role in roles or names.ONLINE:
        public = ceremony.key_file(role, name)
        if public.exists():
            raise keyfiles.refuse(
                "keys.exists", "the folder has a key of this role and name", public,
                "a new name", "name it otherwise with --name",
            )  # fmt: skip
        click.echo(f"{role}: {words.MEANING[role]}")
        if not dry_run:
            keyfiles.create(public, OnlineKeys(keys).make(role))
            click.echo(f"  secret in {keys} (mode 600), public {public}")
    click.echo(
        "dry run: nothing was written"
        if dry_run
        else "next: `sealgate keys init` for the first ceremony, `rotate` for a later one"
    )


@command.command("init")
@_FOLDER
@click.option("--root-threshold", type=click.IntRange(1), default=2, show_default=True,
              help="How many must sign a root.")  # fmt: skip
@click.option("--targets-threshold", type=click.IntRange(1), default=2, show_default=True,
              help="How many must sign the targets.")  # fmt: skip
@_files
@_DAYS
@_DRY
def init(
    folder: Path,
    root_threshold: int,
    targets_threshold: int,
    layout: Path | None,
    owners: Path | None,
    trusted_root: Path | None,
    days: int,
    dry_run: bool,
) -> None:
    """Draft the first root and the first targets from the public keys in FOLDER."""
    ceremony = Folder(folder, dry_run=dry_run)
    drafting.init(
        ceremony,
        _now(),
        root_threshold=root_threshold,
        targets_threshold=targets_threshold,
        files=_given(layout, owners, trusted_root),
        days=days,
    )
    _say(ceremony)


@command.command("open")
@_FOLDER
@click.option("--repository", type=_DIRECTORY, required=True, help="What is served at /tuf/.")
@_DRY
def open_(folder: Path, repository: Path, dry_run: bool) -> None:
    """Begin a later ceremony: fetch what is in force into FOLDER."""
    ceremony = Folder(folder, dry_run=dry_run)
    drafting.open_repository(ceremony, repository)
    root, targets = ceremony.old_root(), ceremony.old_targets()
    if root and targets:
        for line in words.repository(root.signed, targets.signed, _now()):
            click.echo(line)
    click.echo("next: `rotate`, `threshold`, `renew` or `files`, then `sign`")


@command.command("rotate")
@_FOLDER
@click.argument("role", type=click.Choice(ROLES))
@click.option("--add", multiple=True, help="Name of a key in FOLDER/keys. Once for each.")
@click.option("--remove", multiple=True, help="Name, or beginning of the id. Once for each.")
@_DAYS
@_DRY
def rotate(
    folder: Path, role: str, add: Sequence[str], remove: Sequence[str], days: int, dry_run: bool
) -> None:
    """Draft other keys for ROLE. Who goes signs a last time where the old keys must agree."""
    if not add and not remove:
        raise click.UsageError("name at least one key with --add or --remove")
    ceremony = Folder(folder, dry_run=dry_run)
    drafting.rotate(ceremony, _now(), role, add=add, remove=remove, days=days)
    _say(ceremony)


@command.command("threshold")
@_FOLDER
@click.argument("role", type=click.Choice(ROLES))
@click.argument("number", type=click.IntRange(1))
@_DAYS
@_DRY
def threshold(folder: Path, role: str, number: int, days: int, dry_run: bool) -> None:
    """Draft another number of signatures that ROLE needs."""
    ceremony = Folder(folder, dry_run=dry_run)
    drafting.threshold(ceremony, _now(), role, number, days=days)
    _say(ceremony)


@command.command("renew")
@_FOLDER
@click.argument("roles", type=click.Choice(names.OFFLINE), nargs=-1, required=True)
@_DAYS
@_DRY
def renew(folder: Path, roles: Sequence[str], days: int, dry_run: bool) -> None:
    """Draft the same with a later end: once a year, before `status` warns."""
    ceremony = Folder(folder, dry_run=dry_run)
    drafting.renew(ceremony, _now(), roles, days=days)
    _say(ceremony)


@command.command("files")
@_FOLDER
@_files
@_DAYS
@_DRY
def files(
    folder: Path,
    layout: Path | None,
    owners: Path | None,
    trusted_root: Path | None,
    days: int,
    dry_run: bool,
) -> None:
    """Draft targets with a new layout or trusted root, which runners will then take."""
    given = _given(layout, owners, trusted_root)
    if not given:
        raise click.UsageError("name at least one file")
    ceremony = Folder(folder, dry_run=dry_run)
    drafting.change_files(ceremony, _now(), given, days=days)
    _say(ceremony)


@command.command("sign")
@_FOLDER
@click.option("--key", type=_EXISTING, required=True, help="Your private key.")
@click.option("--passphrase-file", type=_EXISTING, help="Its passphrase (default: ask).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_DRY
def sign(folder: Path, key: Path, passphrase_file: Path | None, yes: bool, dry_run: bool) -> None:
    """Show what FOLDER's drafts say, and sign those that wait for your key."""
    ceremony = Folder(folder, dry_run=dry_run)
    secret = _passphrase(passphrase_file, keyfiles.is_encrypted(key), confirm=False)
    signer = keyfiles.open_private(key, secret)
    for draft in signing.drafts_for(ceremony, signer.public_key.keyid):
        for line in words.describe(ceremony, draft, _now()):
            click.echo(line)
    click.echo(f"your key: {words.key_name(ceremony.names(), signer.public_key.keyid)}")
    if not yes and not dry_run:
        click.confirm("Sign?", abort=True)
    signed = signing.sign(ceremony, signer)
    click.echo(f"signed: {', '.join(signed)}")
    for line in words.progress(ceremony):
        click.echo(line)
    if dry_run:
        click.echo("dry run: nothing was written")


@command.command("publish")
@_FOLDER
@click.option("--repository", type=_DIRECTORY, required=True, help="What is served at /tuf/.")
@click.option("--pin", type=click.Path(path_type=Path, dir_okay=False),
              help="Also write the first root here: keys/tuf-root.json.")  # fmt: skip
@_DRY
def publish(folder: Path, repository: Path, pin: Path | None, dry_run: bool) -> None:
    """Verify finished drafts as a client would, and bring them into the repository."""
    ceremony = Folder(folder, dry_run=dry_run)
    if pin is not None and pin.exists():
        raise keyfiles.refuse(
            "keys.exists", "a root is pinned here already", pin, "a new file",
            "runners follow new roots by themselves: nothing has to be pinned again",
        )  # fmt: skip
    written = signing.publish(ceremony, repository, _now())
    for name in written:
        click.echo(f"{'would publish' if dry_run else 'published'} {name}")
    if pin is not None and not dry_run:
        keyfiles.create(pin, ceremony.root().to_bytes())
        click.echo(f"pinned {pin}: bring it to every runner and worker, by a way you trust")
    if dry_run:
        click.echo("dry run: nothing was written")
    else:
        click.echo("next: the worker takes it up within seconds; keep the folder as the record")


@command.command("status")
@click.argument("folder", type=_DIRECTORY, required=False)
@click.option("--repository", type=_DIRECTORY, help="What is served at /tuf/.")
@click.pass_obj
def status(home: Path | None, folder: Path | None, repository: Path | None) -> None:
    """Say how a ceremony stands (FOLDER), or what is in force in a repository.

    With neither: in the deployment's own repository.
    """
    if folder is not None:
        ceremony = Folder(folder)
        for role in ROLES:
            held = ceremony.keys(role)
            click.echo(f"{role}: {', '.join(held) or 'no key in the folder'}")
        _say(ceremony)
        return
    if repository is None:
        from sealgate.deployment import Deployment

        repository = Deployment.load(home or Path()).tuf_repository
    metadata = repository / "metadata"
    root, targets = drafting.newest(metadata, "root"), drafting.newest(metadata, "targets")
    if root is None or targets is None:
        raise keyfiles.refuse(
            "keys.no-repository", "this folder is no TUF repository", repository,
            "metadata/N.root.json and metadata/N.targets.json", "hold the first ceremony",
        )  # fmt: skip
    known = checks.read(Root, root).signed
    found = checks.read(Targets, targets)
    checks.check_signed(known, "targets", found)
    for line in words.repository(known, found.signed, _now()):
        click.echo(line)
