"""Finding a plugin or a version by what stands in an address."""

from __future__ import annotations

from packaging.version import InvalidVersion
from packaging.version import Version as Pep440
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.errors import NotFound
from registry.models import Plugin, Version
from registry.names import normalised
from trust.errors import problem


def find_plugin(session: Session, name: str) -> Plugin:
    """Return the plugin of this name, in any spelling that PEP 503 normalises to it.

    Raises:
        NotFound: there is none.
    """
    row = session.scalar(select(Plugin).where(Plugin.name == normalised(name)))
    if row is None:
        raise NotFound(
            problem(
                "registry.no-such-plugin",
                "the registry has no plugin of this name",
                value=name,
                expected="the name of a plugin that was submitted",
                advice="search at /api/v1/plugins?q=",
            )
        )
    return row


def find(session: Session, name: str, number: str) -> Version:
    """Return one version, its number in any spelling that PEP 440 takes for the same.

    Raises:
        NotFound: there is none.
    """
    plugin = find_plugin(session, name)
    try:
        canonical = str(Pep440(number))
    except InvalidVersion:
        canonical = ""
    row = session.scalar(
        select(Version).where(Version.plugin_id == plugin.id, Version.number == canonical)
    )
    if row is None:
        raise NotFound(
            problem(
                "registry.no-such-version",
                f"{plugin.name} has no such version",
                value=number,
                expected="a version that was submitted",
                advice=f"see the list at /api/v1/plugins/{plugin.name}",
            )
        )
    return row


def no_such_file(path: str) -> NotFound:
    """Return the refusal of a path that is not in a version's wheel."""
    return NotFound(
        problem(
            "review.no-such-file",
            "this version has no such file",
            value=path,
            expected="the path of a file in the wheel",
            advice="choose a file from the list on the review page",
        )
    )
