"""The ceremony's folder, which is carried around: public keys, the old metadata, the new drafts.

    keys/ROLE-NAME.pem    public keys; NAME is a word for people
    old/root.json, old/targets.json       what is in force; absent before the first ceremony
    new/root.json, new/targets.json       drafts with the signatures so far
    files/trust/...       what the new targets vouch for

There is nothing secret in it. Whoever changes it on the way can only make the ceremony fail: each
signer sees in words what the draft says, and signatures are counted before anything is published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined] # declares no exports
from tuf.api.metadata import Metadata, Root, Targets

from sealgate.ceremony.keyfiles import create, read, refuse
from trust.tuf import checks, names

ROLES = (*names.OFFLINE, *names.ONLINE)
NAME = re.compile(r"[a-z0-9][a-z0-9.@_-]{0,63}")
_FILE = re.compile(rf"({'|'.join(ROLES)})-({NAME.pattern})")


class Folder:
    """One ceremony."""

    def __init__(self, path: Path, *, dry_run: bool = False) -> None:
        """Take the folder; with `dry_run` nothing is written."""
        self.path = path
        self.dry_run = dry_run
        self._pretended: dict[Path, bytes] = {}

    # --- keys

    def key_file(self, role: str, name: str) -> Path:
        """Return where a public key is.

        Raises:
            CeremonyRefused: the name cannot be a file's.
        """
        if role not in ROLES or not NAME.fullmatch(name):
            raise refuse(
                "keys.name",
                "a key cannot have this role or name",
                f"{role} {name}",
                f"one of {', '.join(ROLES)}; a short word in lower case",
                "choose another name",
            )
        return self.path / "keys" / f"{role}-{name}.pem"

    def keys(self, role: str) -> dict[str, SSlibKey]:
        """Return name -> public key of a role, by name.

        Raises:
            SealgateError: a file is no key, or two files are the same key.
        """
        found: dict[str, SSlibKey] = {}
        seen: dict[str, str] = {}
        for path in sorted((self.path / "keys").glob("*.pem")):
            match = _FILE.fullmatch(path.stem)
            if match is None:
                continue
            key = checks.read_public(read(path))
            if key.keyid in seen:
                raise refuse(
                    "keys.twice",
                    "one key stands under two names",
                    f"{seen[key.keyid]} and {path.name}",
                    "a key of its own for every role and person",
                    "make another key with `sealgate keys new`",
                )
            seen[key.keyid] = path.name
            if match[1] == role:
                found[match[2]] = key
        return found

    def names(self) -> dict[str, str]:
        """Return key id -> a word for people, for every key in the folder."""
        return {
            key.keyid: f"{name} ({role})" for role in ROLES for name, key in self.keys(role).items()
        }

    # --- metadata

    def old_root(self) -> Metadata[Root] | None:
        """Return the root in force."""
        data = self._read("old", "root.json")
        return checks.read(Root, data) if data is not None else None

    def old_targets(self) -> Metadata[Targets] | None:
        """Return the targets in force."""
        data = self._read("old", "targets.json")
        return checks.read(Targets, data) if data is not None else None

    def new_root(self) -> Metadata[Root] | None:
        """Return the draft of a root."""
        data = self._read("new", "root.json")
        return checks.read(Root, data) if data is not None else None

    def new_targets(self) -> Metadata[Targets] | None:
        """Return the draft of targets."""
        data = self._read("new", "targets.json")
        return checks.read(Targets, data) if data is not None else None

    def root(self) -> Metadata[Root]:
        """Return the root that will be in force after this ceremony.

        Raises:
            CeremonyRefused: there is none.
        """
        found = self.new_root() or self.old_root()
        if found is None:
            raise refuse(
                "keys.no-root",
                "the folder has no root",
                self.path,
                "old/root.json or new/root.json",
                "begin with `sealgate keys init`, or `sealgate keys open` for a repository",
            )
        return found

    def _read(self, *parts: str) -> bytes | None:
        path = self.path.joinpath(*parts)
        if path in self._pretended:
            return self._pretended[path]
        return read(path) if path.exists() else None

    def keep_old(self, name: str, data: bytes) -> None:
        """Put down what is in force.

        Raises:
            CeremonyRefused: there is something already.
        """
        self._create(self.path / "old" / name, data)

    def draft(self, metadata: Metadata[Any]) -> None:
        """Put down a draft, in the place of one that nobody has signed.

        Raises:
            CeremonyRefused: somebody has signed the draft that is there.
        """
        path = self.path / "new" / f"{metadata.signed.type}.json"
        current = self._read("new", path.name)
        if current is not None:
            kind = Root if metadata.signed.type == "root" else Targets
            if checks.read(kind, current).signatures:  # type: ignore[type-var]
                raise refuse(
                    "keys.signed",
                    "somebody has signed this draft: changing it would void the signature",
                    path,
                    "a draft that nobody has signed",
                    f"finish this ceremony first, or remove {path} and tell those who signed it",
                )
        self.replace(path, metadata.to_bytes())

    def sign(self, metadata: Metadata[Any]) -> None:
        """Put a draft down with one more signature."""
        self.replace(self.path / "new" / f"{metadata.signed.type}.json", metadata.to_bytes())

    def put_file(self, path: str, data: bytes) -> None:
        """Put down a file that the new targets vouch for."""
        self.replace(self.path / "files" / path, data)

    def files(self) -> Mapping[str, bytes]:
        """Return path -> content of what the new targets vouch for and the folder has."""
        found = {}
        for path in names.TRUST_TARGETS:
            data = self._read("files", path)
            if data is not None:
                found[path] = data
        return found

    def replace(self, path: Path, data: bytes) -> None:
        """Write one of the folder's own working files in one step."""
        if self.dry_run:
            self._pretended[path] = data
            return
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        create(temporary, data)
        temporary.replace(path)

    def _create(self, path: Path, data: bytes) -> None:
        if self.dry_run and not path.exists():
            self._pretended[path] = data
            return
        create(path, data)
