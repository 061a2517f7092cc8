"""What is taken back now, as the pages tell it: about one plugin, one version, or all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry import views
from registry.readmodel import SignerView
from registry.services import Services
from trust.identity import Identity
from trust.revocation import Revocation

MAX_LISTED = 100


@dataclass(frozen=True, slots=True)
class StopView:
    """A revocation or a quarantine that holds.

    Attributes:
        action: `revoke` or `quarantine`.
        target: what, in words; text of authors may be in it.
        description: the statement's `target` member.
        subject: name and digest that a statement about it has as its subject.
        reason: why, plain text.
        signer: who signed it.
        effective: from when.
        bundle_sha256: the digest that a lift names.
    """

    action: str
    target: str
    description: dict[str, object]
    subject: tuple[str, str]
    reason: str
    signer: SignerView
    effective: datetime
    bundle_sha256: str


def _view(found: Revocation) -> StopView:
    subject = found.target.subject()
    return StopView(
        found.action,
        str(found.target),
        found.target.as_dict(),
        (subject.name, subject.sha256),
        found.reason,
        views.signer(found.signer),
        found.effective,
        found.bundle_sha256,
    )


def in_force(services: Services) -> tuple[StopView, ...]:
    """Return what holds now, the youngest signature first, at most `MAX_LISTED`."""
    found = services.standing.now().in_force(services.clock())
    return tuple(_view(item) for item in reversed(found))[:MAX_LISTED]


def concerning(
    services: Services, plugin: str, version: str | None = None, author: Identity | None = None
) -> tuple[StopView, ...]:
    """Return what holds about a plugin, or about one version of it.

    Args:
        services: the registry's parts.
        plugin: the normalised name.
        version: the version; None for everything of the plugin.
        author: the version's author, or the owner of the name.
    """
    return tuple(
        _view(item)
        for item in services.standing.now().in_force(services.clock())
        if (
            item.target.plugin == plugin
            and (version is None or item.target.version in (None, version))
        )
        or (item.target.kind == "publisher" and item.target.identity == author)
    )
