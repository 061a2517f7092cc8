"""Known vulnerabilities of locked dependencies, from a file in the OSV format; no network.

The database is what https://osv.dev exports for an ecosystem (`PyPI/all.zip`: one JSON record a
vulnerability), or one JSON record a line, or a folder of records. Versions are compared as the OSV
schema 1.6 says for `ECOSYSTEM` ranges, with PEP 440's order. The report names the database by its
digest and by the date of its newest record: a database says nothing about what came later.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scanner.model import Finding, Rule
from trust.errors import SealgateError, problem, shown
from trust.wheel import Dependency

KNOWN = Rule(
    "SG701",
    "KnownVulnerability",
    "medium",
    "A locked dependency has a known vulnerability.",
    "Lock a version in which it is mended. If it cannot be reached from the plugin, a reviewer "
    "must say so.",
)
RULES = (KNOWN,)

MAX_DATABASE_BYTES = 512 << 20
MAX_RECORD_BYTES = 8 << 20


class DatabaseUnusable(SealgateError):
    """The database of vulnerabilities cannot be read: nothing can be said, so the scan is not."""


@dataclass(frozen=True, slots=True)
class Database:
    """The records of the packages that were asked for.

    Attributes:
        sha256: the digest of the file, or of all files of the folder in the order of their names.
        modified: the newest record's date, RFC 3339.
        records: how many records it has in all.
        by_package: normalised name -> the records about it.
    """

    sha256: str
    modified: str
    records: int
    by_package: Mapping[str, Sequence[Mapping[str, Any]]]

    def as_dict(self) -> dict[str, Any]:
        """Return what the report says of the database."""
        return {"sha256": self.sha256, "modified": self.modified, "records": self.records}


def _unusable(path: Path, value: object) -> DatabaseUnusable:
    return DatabaseUnusable(
        problem(
            "scan.osv-unusable",
            "the database of known vulnerabilities cannot be read",
            value=value,
            expected="a zip, a folder or lines of JSON records in the OSV format",
            advice="fetch the ecosystem's export again, or take the setting away",
            where=path.name,
        )
    )


def load(path: Path, names: Iterable[str]) -> Database:
    """Read a database.

    Args:
        path: the file or folder.
        names: the normalised names whose records are kept.

    Raises:
        DatabaseUnusable: it cannot be read whole, or has no record.
    """
    wanted = frozenset(names)
    digest = hashlib.sha256()
    kept: dict[str, list[Mapping[str, Any]]] = {}
    newest, count = "", 0
    try:
        for text in _texts(path, digest):
            record = json.loads(text)
            count += 1
            newest = max(newest, str(record["modified"]))
            if record.get("withdrawn"):
                continue
            about = {
                canonicalize_name(str(affected["package"]["name"]))
                for affected in record.get("affected", ())
                if affected.get("package", {}).get("ecosystem") == "PyPI"
            }
            for name in about & wanted:
                kept.setdefault(name, []).append(record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise _unusable(path, f"{type(error).__name__}: {error}") from error
    if not count:
        raise _unusable(path, "no record")
    return Database(digest.hexdigest(), newest, count, kept)


def _texts(path: Path, digest: Any) -> Iterator[bytes]:
    if path.is_dir():
        for file in sorted(path.glob("*.json")):
            data = file.read_bytes()
            digest.update(hashlib.sha256(data).digest())
            yield data
        return
    if path.stat().st_size > MAX_DATABASE_BYTES:
        raise ValueError(f"more than {MAX_DATABASE_BYTES} bytes")
    data = path.read_bytes()
    digest.update(data)
    if not zipfile.is_zipfile(io.BytesIO(data)):
        yield from (line for line in data.splitlines() if line.strip())
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".json"):
                if info.file_size > MAX_RECORD_BYTES:
                    raise ValueError(f"{info.filename} has {info.file_size} bytes")
                yield archive.read(info)


def affects(record: Mapping[str, Any], name: str, version: str) -> bool:
    """Tell whether a record is about this version (OSV schema, "Evaluation").

    Raises:
        InvalidVersion: a version of the record is none that can be compared.
    """
    wanted = Version(version)
    for affected in record.get("affected", ()):
        package = affected.get("package", {})
        if package.get("ecosystem") != "PyPI" or canonicalize_name(package["name"]) != name:
            continue
        if any(_same(listed, wanted) for listed in affected.get("versions", ())):
            return True
        ranges = affected.get("ranges", ())
        if any(_within(r["events"], wanted) for r in ranges if r.get("type") == "ECOSYSTEM"):
            return True
    return False


def _same(listed: str, wanted: Version) -> bool:
    try:
        return Version(listed) == wanted
    except InvalidVersion:
        return False


def _within(events: Sequence[Mapping[str, str]], wanted: Version) -> bool:
    def at(text: str) -> Version:
        return Version("0.dev0") if text == "0" else Version(text)

    steps = [(at(text), kind) for event in events for kind, text in event.items()]
    order = {"introduced": 2, "last_affected": 1, "fixed": 0, "limit": 0}
    inside = False
    for version, kind in sorted(steps, key=lambda step: (step[0], order[step[1]])):
        if kind == "introduced" and version <= wanted:
            inside = True
        elif (kind in ("fixed", "limit") and version <= wanted) or (
            kind == "last_affected" and version < wanted
        ):
            inside = False
    return inside


def findings(
    database: Database, dependencies: Iterable[Dependency], places: Mapping[str, str]
) -> list[Finding]:
    """Return a finding for each vulnerability that is known of a locked version.

    Args:
        database: the records.
        dependencies: what is locked.
        places: SHA-256 of a dependency -> the path in the report to show it at.

    Raises:
        DatabaseUnusable: a record cannot be compared.
    """
    found = []
    for dependency in dependencies:
        for record in database.by_package.get(dependency.name, ()):
            try:
                hit = affects(record, dependency.name, dependency.version)
            except (InvalidVersion, KeyError, TypeError, AttributeError) as error:
                raise _unusable(Path(str(record.get("id"))), error) from error
            if hit:
                found.append(_finding(record, dependency, places[dependency.sha256]))
    return found


def _finding(record: Mapping[str, Any], dependency: Dependency, path: str) -> Finding:
    names = " ".join([str(record.get("id")), *map(str, record.get("aliases", ()))])
    what = str(record.get("summary") or record.get("details") or "no summary").split("\n")[0]
    subject = f"{dependency.name} {dependency.version}"
    return Finding(
        KNOWN.id,
        KNOWN.severity,
        path,
        0,
        shown(f"{subject}: {names}: {what}"),
        KNOWN.help,
        "",
        hashlib.sha256(f"{subject}\0{record.get('id')}".encode()).hexdigest(),
    )
