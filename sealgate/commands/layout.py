"""`sealgate layout`: the ceremony of the layout's owners, offline.

Each owner makes a key (`keygen`) and keeps the private half. Once: `owners` writes the public
halves and the threshold into a file that every deployment pins. Then, for each layout: one of
them makes it (`make`), every one reads it (`show`) and signs it (`sign`) until enough have.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # declares no exports

from sealgate.deployment import Deployment
from trust.errors import SealgateError, problem, shown
from trust.evidence.predicates import STEPS
from trust.layout import (
    Owners,
    VerifiedLayout,
    build_layout,
    public_owner_key,
    read_unverified,
    sign_layout,
    verify_layout,
)

_MAX_FILE = 1 << 20
_FILE = click.Path(path_type=Path, dir_okay=False)
_EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)


class CeremonyRefused(SealgateError):
    """A key or a file cannot be used, or would be overwritten."""


def _refuse(code: str, what: str, value: object, expected: str, advice: str) -> CeremonyRefused:
    return CeremonyRefused(problem(code, what, value=value, expected=expected, advice=advice))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE)
    except OSError as error:
        raise _refuse(
            "layout.unreadable", "a file cannot be read", error, "a readable file", "check the path"
        ) from error


def _write(path: Path, data: bytes, *, force: bool, mode: int = 0o644) -> None:
    """Write a whole new file, or with `force` replace an old one in one step."""
    if path.exists() and not force:
        raise _refuse(
            "layout.exists",
            "the file is there already",
            path,
            "a new file",
            "name another file with --out, or overwrite it with --force",
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if force:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # fails where the file appeared meanwhile
    except FileExistsError as error:
        raise _refuse(
            "layout.exists", "the file is there already", path, "a new file", "name another file"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _bad_key(path, error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _bad_key(path, type(key).__name__)
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad_key(path, error) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _bad_key(path, type(key).__name__)
    return key


def _bad_key(path: Path, value: object) -> CeremonyRefused:
    return _refuse(
        "layout.owner-key",
        f"{path.name} is no owner's key",
        value,
        "an Ed25519 key in PEM, unencrypted",
        "make one with `sealgate layout keygen`",
    )


def in_words(layout: VerifiedLayout) -> str:
    """Return what a layout says, for the people who sign it and who rely on it."""
    lines = [f"layout sha256 {layout.sha256}", f"  expires {layout.expires.isoformat()}"]
    if layout.layout.readme:
        lines.append(f"  readme  {shown(layout.layout.readme)}")
    for step in STEPS:
        who = sorted(layout.functionaries[step])
        if step == "submit":
            lines.append("  submit: one of those who may publish the plugin; never counts again")
            continue
        lines.append(f"  {step}: {layout.thresholds[step]} of {len(who)}")
        lines += [f"    {identity}" for identity in who]
    return "\n".join(lines)


@click.group("layout")
def command() -> None:
    """Show, make and sign the in-toto layout. Everything here works offline."""


@command.command("show")
@click.argument("file", type=_EXISTING, required=False)
@click.option("--owners", type=_EXISTING, help="The owners' file (default: the deployment's).")
@click.pass_context
def show(ctx: click.Context, file: Path | None, owners: Path | None) -> None:
    """Say what the layout in FILE says (default: the deployment's), and who has signed it.

    Exit code 1: not signed by enough owners, or expired.
    """
    if file is None or owners is None:
        deployment = Deployment.load(ctx.obj if isinstance(ctx.obj, Path) else Path())
        file, owners = file or deployment.layout, owners or deployment.layout_owners
    envelope, known = _read(file), Owners.parse(_read(owners))
    click.echo(in_words(read_unverified(envelope)))
    layout = verify_layout(envelope, known)
    click.echo(f"  signed by {len(layout.signed_by)} owners, {known.threshold} needed:")
    for keyid in layout.signed_by:
        click.echo(f"    {keyid}")
    layout.check_fresh(datetime.now(UTC))


@command.command("make")
@click.option("--issuer", required=True, help="OIDC issuer of all identities named here.")
@click.option("--reviewer", "reviewers", multiple=True, required=True, help="Once for each.")
@click.option("--threshold", type=click.IntRange(min=1), required=True, help="Approvals needed.")
@click.option("--scanner", "scanners", multiple=True, required=True, help="Who may scan.")
@click.option("--registry", "registries", multiple=True, required=True, help="Who may publish.")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True)
@click.option("--readme", default="", help="Words for people.")
@click.option("--out", type=_FILE, required=True)
@click.option("--force", is_flag=True, help="Overwrite the file.")
def make(
    issuer: str,
    reviewers: Sequence[str],
    threshold: int,
    scanners: Sequence[str],
    registries: Sequence[str],
    days: int,
    readme: str,
    out: Path,
    force: bool,
) -> None:
    """Make an unsigned layout for the owners to read and sign."""
    layout = build_layout(
        issuer=issuer,
        reviewers=reviewers,
        scanner=scanners,
        registry=registries,
        review_threshold=threshold,
        expires=datetime.now(UTC) + timedelta(days=days),
        readme=readme,
    )
    envelope = sign_layout(layout, [])
    words = in_words(read_unverified(envelope))  # refuses what the gate would refuse
    _write(out, envelope, force=force)
    click.echo(words)
    click.echo(f"written to {out}, unsigned: each owner signs with `sealgate layout sign`")


@command.command("sign")
@click.argument("file", type=_EXISTING)
@click.option("--key", type=_EXISTING, required=True, help="An owner's private key (PEM).")
@click.option("--out", type=_FILE, help="Write here and leave FILE as it is.")
@click.option("--force", is_flag=True, help="Overwrite --out.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def sign(file: Path, key: Path, out: Path | None, force: bool, yes: bool) -> None:
    """Add an owner's signature to the layout in FILE, after showing what it says."""
    envelope = _read(file)
    click.echo(in_words(read_unverified(envelope)))
    if not yes:
        click.confirm("Sign this layout?", abort=True)
    private = _private_key(key)
    keyid, _ = public_owner_key(private.public_key())
    signed = sign_layout(envelope, [CryptoSigner(private)])
    _write(out or file, signed, force=force or out is None)
    click.echo(f"signed by {keyid} in {out or file}")


@command.command("keygen")
@click.option("--out", type=_FILE, required=True, help="The private key; .pub.pem is beside it.")
@click.option("--force", is_flag=True, help="Overwrite the files.")
def keygen(out: Path, force: bool) -> None:
    """Make an owner's Ed25519 key pair. Keep the private key offline."""
    private = Ed25519PrivateKey.generate()
    public = out.with_name(f"{out.name.removesuffix('.pem')}.pub.pem")
    if public.exists() and not force:
        raise _refuse(
            "layout.exists", "the file is there already", public, "a new file", "name another file"
        )
    secret = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(out, secret, force=force, mode=0o600)
    _write(
        public,
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        force=force,
    )
    click.echo(f"private key {out} (mode 0600), public key {public}")
    click.echo(f"key id {public_owner_key(private.public_key())[0]}")


@command.command("owners")
@click.argument("keys", type=_EXISTING, nargs=-1, required=True)
@click.option("--threshold", type=click.IntRange(min=1), required=True, help="Signatures needed.")
@click.option("--out", type=_FILE, required=True)
@click.option("--force", is_flag=True, help="Overwrite the file.")
def owners(keys: Sequence[Path], threshold: int, out: Path, force: bool) -> None:
    """Write the owners' file from their public KEYS (PEM)."""
    made = Owners.of(threshold, [_public_key(path) for path in keys])
    _write(out, made.dumps(), force=force)
    click.echo(f"{threshold} of {len(made.keys)} owners in {out}:")
    for keyid in made.keys:
        click.echo(f"  {keyid}")
