"""A registry with many published versions, and the same wheels in a folder for the others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from registry.models import Plugin, Version
from registry.names import confusable
from registry.pypi.published import file_statement, names_statement, project_statement
from registry.services import Services
from registry.settings import Settings
from registry.states import State
from tests.support.evidence import TrustFixture
from tests.support.registry import settings_for
from tests.support.wheels import make_wheel

MOST_FILES = 10_000
"""Wheels that are written for the others."""


@dataclass(frozen=True)
class Shop:
    """What is published.

    Attributes:
        settings: the registry's settings.
        names: the plugins' names, each with ten versions.
        folder: the wheels themselves, for the others; None where there are too many.
    """

    settings: Settings
    names: Sequence[str]
    folder: Path | None


def fill(folder: Path, trust: TrustFixture, counts: Sequence[int]) -> Shop:
    """Publish one plugin for each of `counts`, with so many versions."""
    folder.mkdir()
    settings = settings_for(trust, folder)
    services = Services.open(settings)
    wheels = folder / "wheels" if sum(counts) <= MOST_FILES else None
    if wheels is not None:
        wheels.mkdir()
    names = [f"plugin-{n:05d}" for n in range(len(counts))]
    began = datetime.now(UTC)
    for number, (name, count) in enumerate(zip(names, counts, strict=True), 1):
        rows = [row(name, number, f"1.{n}.0", wheels, began) for n in range(count)]
        with services.database.write() as session:
            session.execute(insert(Plugin), [owner(name, number, trust)])
            session.execute(insert(Version), rows)
    services.close()
    return Shop(settings, names, wheels)


def owner(name: str, number: int, trust: TrustFixture) -> dict[str, Any]:
    """Return the row of a plugin."""
    return {
        "id": number,
        "name": name,
        "confusable": confusable(name) + f"#{number}",
        "owner_issuer": trust.issuer,
        "owner_subject": trust.author.subject,
        "claimed_at": datetime.now(UTC),
    }


def row(name: str, number: int, text: str, wheels: Path | None, at: datetime) -> dict[str, Any]:
    """Return the row of a published version, and write its wheel where there is a folder."""
    filename = f"{name.replace('-', '_')}-{text}-py3-none-any.whl"
    digest, size = hashlib.sha256(filename.encode()).hexdigest(), 2000
    if wheels is not None:
        _, data = make_wheel(name, text)
        (wheels / filename).write_bytes(data)
        digest, size = hashlib.sha256(data).hexdigest(), len(data)
    return {
        "plugin_id": number,
        "number": text,
        "filename": filename,
        "sha256": digest,
        "size": size,
        "package": name.replace("-", "_"),
        "summary": "A small plugin for tests.",
        "manifest": {},
        "author_issuer": "https://authority.test",
        "author_subject": "alice@example.com",
        "state": State.PUBLISHED,
        "submitted_at": at - timedelta(days=1),
        "published_at": at,
        "attempts": 1,
        "metadata_sha256": hashlib.sha256(digest.encode()).hexdigest(),
        "requires_python": ">=3.11",
    }


def plans(settings: Settings, name: str) -> dict[str, list[str]]:
    """Return SQLite's plan of each query of the index."""
    services = Services.open(settings)
    found = {}
    with services.database.engine.connect() as connection:
        for label, statement in (
            ("/simple/", names_statement()),
            ("/simple/NAME/", project_statement(name)),
            ("/files/SHA256/NAME", file_statement("0" * 64)),
        ):
            engine = services.database.engine
            text = statement.compile(engine, compile_kwargs={"literal_binds": True})
            lines = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
            found[label] = [line[3] for line in lines]
    services.close()
    return found
