"""The one intake: a wheel and its author's bundle become a version, or are refused as a whole.

Every front (API, web form, others) comes through `submit`. The rules, in order:
 1. bounds of size;
 2. the wheel is read strictly; every structural problem is reported together; whoever is connected
    may submit the plugin that it is (an API token may be good for other plugins only);
 3. the bundle verifies, states the publication of exactly this file, and its signer's issuer is
    trusted;
 4. the name is free and like no other, or belongs to this signer;
 5. the name and version are free, or already mean these very bytes;
 6. every wheel that the plugin's lock names is sent, here already, or to be had from the index.
Then blobs and rows are stored in one transaction. A refusal at any rule stores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flask import Request
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry import coremetadata, evidence, manifests
from registry.dependencies import sent
from registry.dependencies import store as locked
from registry.dependencies.sent import Sent
from registry.errors import Conflict, Forbidden, TooLarge, Unprocessable
from registry.models import Plugin as PluginRow
from registry.models import TimelineRow, Version
from registry.names import confusable
from registry.pypi import attestations
from registry.services import Services
from registry.states import Event, State
from trust import wheel
from trust.errors import problem
from trust.evidence.bundles import VerifiedStatement
from trust.identity import Identity
from trust.outcomes import Failed, Passed
from trust.revocation import Facts

Permit: TypeAlias = Callable[[str], None]
"""Raises Forbidden where whoever is connected may not submit the plugin of this name."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submission that stands.

    Attributes:
        name: the plugin's normalised name.
        version: the canonical version.
        created: False where the identical submission was there before.
    """

    name: str
    version: str
    created: bool


def submit(
    services: Services,
    filename: str,
    data: bytes,
    bundle: bytes,
    dependencies: Sequence[Sent] = (),
    *,
    permit: Permit,
) -> Accepted:
    """Take a submission.

    Args:
        services: the registry's parts.
        filename: the wheel's file name.
        data: the wheel's bytes.
        bundle: the author's Sigstore bundle (JSON).
        dependencies: wheels that the plugin's lock names, as many as the author sends.
        permit: judges whoever is connected by the name in the wheel's own METADATA; who acts is
            the bundle's signer all the same.

    Raises:
        TooLarge: the wheel or the bundle exceeds its bound.
        Unprocessable: the wheel is refused, or the bundle does not verify or is not about it.
        Forbidden: `permit` refuses, the signer's issuer is not trusted, or the name belongs to
            somebody else.
        Conflict: the version exists with other bytes.
        OutOfSpace: the disk is full.
        Unavailable: the stores or the trust material cannot be used.
    """
    plugin = _read(services, filename, data)
    permit(plugin.name)
    verified = evidence.verify(
        services.trust.verifier(), bundle, step="submit", filename=filename, sha256=plugin.sha256
    )
    _check_issuer(services, verified.identity)
    with services.database.read() as session:
        existing = _check_against_stored(services, session, plugin, verified.identity)
    if existing is not None:
        return Accepted(plugin.name, plugin.version, created=False)
    locked.check(services, plugin, dependencies)
    try:
        return _store(services, plugin, data, bundle, verified, dependencies)
    except IntegrityError:
        # Another process was faster, on a database whose writers do not wait for each other.
        with services.database.read() as session:
            existing = _check_against_stored(services, session, plugin, verified.identity)
        if existing is None:
            raise
        return Accepted(plugin.name, plugin.version, created=False)


def _read(services: Services, filename: str, data: bytes) -> wheel.Plugin:
    limit = services.settings.max_upload_bytes
    if len(data) > limit:
        raise TooLarge(
            problem(
                "registry.wheel-too-large",
                "the wheel is too large",
                value=f"{len(data)} bytes",
                expected=f"at most {limit} bytes",
                advice="leave out what the plugin does not need",
                where=filename,
            )
        )
    outcome = wheel.inspect_wheel(data, filename)
    if not isinstance(outcome, Passed):
        raise Unprocessable(outcome.problems)
    return outcome.value


def check(
    services: Services,
    filename: str,
    data: bytes,
    signer: Identity | None,
    dependencies: Sequence[Sent] = (),
) -> Passed[wheel.Plugin] | Failed:
    """Say what a submission of this wheel would be refused for, whoever signs; store nothing.

    Locked wheels are read for a known signer only: reading 64 of them takes long, and a submission
    has its author's signature before it comes so far.

    Args:
        services: the registry's parts.
        filename: the wheel's file name.
        data: the wheel's bytes.
        signer: who is expected to sign; None where that is not known yet.
        dependencies: wheels that the plugin's lock names, as in `submit`.

    Raises:
        Unavailable: the database does not answer.
    """
    try:
        plugin = _read(services, filename, data)
        with services.database.read() as session:
            holder = session.scalar(select(PluginRow).where(PluginRow.name == plugin.name))
            expected = signer or (holder.owner if holder else Identity("", ""))
            existing = _check_against_stored(services, session, plugin, expected)
        if existing is None:
            locked.check(services, plugin, dependencies, contents=signer is not None)
    except (TooLarge, Unprocessable, Forbidden, Conflict) as refusal:
        return Failed(refusal.problems)
    return Passed(plugin)


def _check_issuer(services: Services, signer: Identity) -> None:
    trusted = services.settings.trusted_issuers
    if signer.issuer not in trusted:
        raise Forbidden(
            problem(
                "registry.issuer-not-trusted",
                "the signer's identity comes from an issuer that this registry does not trust",
                value=str(signer),
                expected="an identity of " + ", ".join(sorted(trusted)),
                advice="sign with an account of a trusted issuer",
                where="bundle",
            )
        )


def _check_against_stored(
    services: Services, session: Session, plugin: wheel.Plugin, signer: Identity
) -> Version | None:
    """Return the identical version if it is there, None if there is room for a new one."""
    _check_name(services, session, plugin.name, signer)
    existing = session.scalar(
        select(Version)
        .join(Version.plugin)
        .where(PluginRow.name == plugin.name, Version.number == plugin.version)
    )
    if existing is None:
        services.standing.check(
            Facts(plugin.name, plugin.version, plugin.sha256, frozenset({signer}))
        )
    if existing is None or (existing.sha256, existing.filename) == (plugin.sha256, plugin.filename):
        return existing
    raise Conflict(
        problem(
            "registry.version-exists",
            f"{plugin.name} {plugin.version} exists ({existing.state}) and is another file",
            value=f"{plugin.filename} sha256:{plugin.sha256}",
            expected=f"{existing.filename} sha256:{existing.sha256}",
            advice="a version number never means another file: submit under a new number",
        )
    )


def _check_name(services: Services, session: Session, name: str, signer: Identity) -> None:
    shape = confusable(name)
    if shape in {confusable(reserved) for reserved in services.settings.reserved_names}:
        raise Forbidden(
            problem(
                "registry.name-reserved",
                "this plugin name is reserved",
                value=name,
                expected="a name that is not reserved",
                advice="choose another name",
            )
        )
    holder = session.scalar(select(PluginRow).where(PluginRow.confusable == shape))
    if holder is None:
        return
    if holder.name != name:
        raise Conflict(
            problem(
                "registry.name-confusable",
                "this plugin name looks like one that exists",
                value=name,
                expected=f"a name that cannot be taken for {holder.name} (owner: {holder.owner})",
                advice="choose another name",
            )
        )
    if holder.owner != signer:
        raise Forbidden(
            problem(
                "registry.name-taken",
                f"the name {name} belongs to somebody else",
                value=str(signer),
                expected=str(holder.owner),
                advice="choose another name, or let its owner submit",
            )
        )


def _store(
    services: Services,
    plugin: wheel.Plugin,
    data: bytes,
    bundle: bytes,
    verified: VerifiedStatement,
    dependencies: Sequence[Sent],
) -> Accepted:
    now = services.clock()
    signer = verified.identity
    core = coremetadata.read(data)
    with services.recording() as (session, batch):
        if _check_against_stored(services, session, plugin, signer) is not None:
            return Accepted(plugin.name, plugin.version, created=False)
        owner = session.scalar(select(PluginRow).where(PluginRow.name == plugin.name))
        if owner is None:
            owner = PluginRow(
                name=plugin.name,
                confusable=confusable(plugin.name),
                owner_issuer=signer.issuer,
                owner_subject=signer.subject,
                claimed_at=now,
            )
            session.add(owner)
            session.flush()
        version = Version(
            plugin_id=owner.id,
            number=plugin.version,
            filename=plugin.filename,
            sha256=plugin.sha256,
            size=plugin.size,
            package=plugin.package,
            summary=plugin.summary,
            manifest=manifests.to_row(plugin.manifest),
            author_issuer=signer.issuer,
            author_subject=signer.subject,
            state=State.RECEIVED,
            submitted_at=now,
            metadata_sha256=core.sha256,
            requires_python=core.requires_python,
        )
        session.add(version)
        session.flush()
        session.add(evidence.row(verified, "submit", version.id, now))
        session.add(
            TimelineRow(
                version_id=version.id,
                at=now,
                event=Event.SUBMITTED,
                from_state=None,
                to_state=State.RECEIVED,
                actor_issuer=signer.issuer,
                actor_subject=signer.subject,
                detail=f"{signer.subject} submitted {plugin.filename}, signed at "
                f"{verified.signed_at:%Y-%m-%dT%H:%M:%SZ}",
                problems=[],
            )
        )
        locked.add(session, batch, version.id, plugin, [item.data for item in dependencies])
        session.flush()
        batch.put(data)
        batch.put(bundle)
    return Accepted(plugin.name, plugin.version, created=True)


def submit_form(services: Services, request: Request, permit: Permit) -> Accepted:
    """Take a submission from a form with the files `wheel`, `bundle` and any `dependency`.

    A PEP 740 attestation in place of the bundle is taken for the bundle that it stands for.

    Args:
        services: the registry's parts.
        request: the request.
        permit: as in `submit`.

    Raises:
        RegistryError: the form is malformed, or `submit` refuses.
        RequestEntityTooLarge: the body exceeds the application's bound.
    """
    found, wheels = sent.read(services, request, ("wheel", "bundle"))
    (filename, data), (_, signed) = found["wheel"], found["bundle"]
    bundle = attestations.bundle_of(signed)
    return submit(services, filename, data, bundle, wheels, permit=permit)
