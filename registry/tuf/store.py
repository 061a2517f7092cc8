"""The repository's files: written whole, and never in another order than they depend on.

    metadata/timestamp.json, metadata/N.ROLE.json
    targets/DIRECTORIES/SHA256.NAME

Any static file server can serve this folder or a copy of it (TUF specification 6.2, consistent
snapshots). A file that was replaced stays for `KEEP`, for clients that are still reading.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from registry.errors import Unavailable
from trust.errors import problem

KEEP: Final = timedelta(days=1)
METADATA_NAME: Final = re.compile(r"(?:(?P<version>[1-9][0-9]{0,9})\.)?(?P<role>[a-z0-9-]+)\.json")


def _unavailable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        problem(
            "registry.tuf-store",
            "a file of the TUF repository cannot be read or written",
            value=f"{path.name}: {error.strerror}",
            expected="a folder that the worker may write and the web process may read",
            advice="mend the folder that SEALGATE_REGISTRY_TUF_DIR names; the worker tries again",
        )
    )


class Store:
    """One repository's folder.

    `ceremony` is a file that is touched when a ceremony has brought new offline metadata.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"
        self.ceremony = folder / "ceremony"
        for each in (folder, self.metadata, self.targets):
            each.mkdir(mode=0o755, parents=True, exist_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock: one writer at a time, also between processes."""
        with (self.folder / "lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def read(self, name: str) -> bytes | None:
        """Return a metadata file, None where there is none.

        Raises:
            Unavailable: it cannot be read.
        """
        path = self.metadata / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(path, error) from error

    def roots_after(self, version: int) -> Iterator[bytes]:
        """Yield the roots that follow a version, without a gap."""
        while (data := self.read(f"{version + 1}.root.json")) is not None:
            yield data
            version += 1

    def versions(self) -> dict[str, int]:
        """Return role -> the newest version that is there; the timestamp's is what it says."""
        found: dict[str, int] = {}
        for path in self.metadata.iterdir():
            match = METADATA_NAME.fullmatch(path.name)
            if match and match["version"]:
                found[match["role"]] = max(int(match["version"]), found.get(match["role"], 0))
        try:
            found["timestamp"] = int(
                json.loads(self.read("timestamp.json") or b"")["signed"]["version"]
            )
        except (ValueError, TypeError, KeyError):
            found.pop("timestamp", None)
        return found

    def write(self, name: str, data: bytes) -> None:
        """Write a metadata file, whole or not at all.

        Raises:
            Unavailable: it cannot be written.
        """
        self._write(self.metadata / name, data)

    def put(self, path: str, sha256: str, data: bytes) -> None:
        """Write a target under its name with the digest before it; keep one that is there."""
        place = self.target(path, sha256)
        if not place.exists() or place.stat().st_size != len(data):
            self._write(place, data)

    def target(self, path: str, sha256: str) -> Path:
        """Return where a target is."""
        folder, _, name = path.rpartition("/")
        return self.targets / folder / f"{sha256}.{name}"

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _unavailable(path, error) from error

    def supersede(self, path: Path) -> None:
        """Let the time that a replaced file is kept begin now."""
        if path.exists():
            os.utime(path)

    def prune(self, current: Collection[str], now: float) -> int:
        """Remove metadata that was replaced longer than `KEEP` ago; roots stay for ever.

        Args:
            current: names of the files that stay.
            now: seconds since the epoch.

        Returns:
            How many files were removed.
        """
        removed = 0
        for path in self.metadata.iterdir():
            found = METADATA_NAME.fullmatch(path.name)
            if path.name in current or (found and found["role"] == "root"):
                continue
            if now - path.stat().st_mtime > KEEP.total_seconds():
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def prune_beside(self, path: Path, now: float) -> None:
        """Remove older files of one target (other digests of the same name)."""
        name = path.name.partition(".")[2]
        for other in path.parent.glob(f"*.{name}"):
            if other != path and now - other.stat().st_mtime > KEEP.total_seconds():
                other.unlink(missing_ok=True)
