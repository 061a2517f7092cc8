"""The blob store: files named by the SHA-256 of their contents.

A blob appears whole or not at all: it is written to a temporary file, flushed to the disk, renamed
into place, and its folder is flushed too. Reading hashes what was read and refuses anything else.
One lock file keeps writers and the collector of orphans apart, also between processes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.errors import Damaged, NotFound, OutOfSpace, Unavailable
from trust.errors import problem

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FULL = (errno.ENOSPC, errno.EDQUOT)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Batch:
    """Blobs written under the store's lock; `created` are those that were not there before."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self.created: list[str] = []

    def put(self, data: bytes) -> str:
        """Store `data` and return its digest (64 lower-case hexadecimal digits).

        Raises:
            OutOfSpace: the disk is full; nothing is left behind.
            Unavailable: the folder cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self._store.path(digest)
        if path.exists():
            return digest
        try:
            self._write(path, data)
        except OSError as error:
            raise _translated(error) from error
        self.created.append(digest)
        return digest

    def _write(self, path: Path, data: bytes) -> None:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700)
            _sync_folder(path.parent.parent)
        handle, name = tempfile.mkstemp(dir=self._store.temporary)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).rename(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def _translated(error: OSError) -> OutOfSpace | Unavailable:
    if error.errno in _FULL:
        return OutOfSpace(
            problem(
                "registry.out-of-space",
                "the registry has no space left and stored nothing",
                value=error.strerror or "",
                expected="free space on the registry's disk",
                advice="tell the registry's operator; send the same request again afterwards",
            )
        )
    return Unavailable(
        problem(
            "registry.store-unavailable",
            "the registry's blob store cannot be written; nothing was stored",
            value=error.strerror or "",
            expected="a folder that the registry may write",
            advice="tell the registry's operator; send the same request again afterwards",
        )
    )


class BlobStore:
    """A folder of blobs, two characters of the digest per subfolder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.temporary = root / "tmp"
        self._blobs = root / "sha256"
        self._lock = root / "lock"
        for folder in (root, self.temporary, self._blobs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Return where the blob of this digest is or would be.

        Raises:
            NotFound: `digest` is not 64 lower-case hexadecimal digits.
        """
        if not _DIGEST.match(digest):
            raise self._missing(digest)
        return self._blobs / digest[:2] / digest

    @contextmanager
    def writing(self, referenced: Callable[[], Collection[str]]) -> Iterator[Batch]:
        """Hold the lock and write blobs; if the block fails, remove those that it created.

        Args:
            referenced: called when the block failed; returns the digests that committed rows
                name all the same. Those stay, and if it fails itself, everything stays, for
                `collect` to decide later.

        Raises:
            Unavailable: the lock file cannot be opened.
        """
        try:
            handle = self._lock.open("a")
        except OSError as error:
            raise _translated(error) from error
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            batch = Batch(self)
            try:
                yield batch
            except BaseException:
                with suppress(Exception):
                    keep = set(referenced())
                    for digest in batch.created:
                        if digest not in keep:
                            self.path(digest).unlink(missing_ok=True)
                raise

    def has(self, digest: str) -> bool:
        """Tell whether there is a blob of this digest."""
        return self.path(digest).is_file()

    def read(self, digest: str) -> bytes:
        """Return the blob.

        Raises:
            NotFound: there is none.
            Damaged: the file's contents have another digest.
            Unavailable: the file cannot be read.
        """
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise self._missing(digest) from error
        except OSError as error:
            raise _translated(error) from error
        actual = hashlib.sha256(data).hexdigest()
        if actual != digest:
            raise Damaged(
                problem(
                    "registry.blob-damaged",
                    "a stored blob is not what was stored",
                    value=actual,
                    expected=digest,
                    advice="restore the blob store from a backup",
                )
            )
        return data

    def collect(self, referenced: Callable[[], Collection[str]]) -> tuple[str, ...]:
        """Remove blobs that no row names, and left-over temporary files; return the digests.

        `referenced` is called under the lock, so that no write is half-way.
        """
        removed = []
        with self._lock.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            for path in self.temporary.iterdir():
                path.unlink(missing_ok=True)
            keep = set(referenced())
            for path in sorted(self._blobs.glob("??/*")):
                if path.name not in keep:
                    path.unlink(missing_ok=True)
                    removed.append(path.name)
        return tuple(removed)

    def check_writable(self) -> None:
        """Write and remove one byte.

        Raises:
            OutOfSpace: the disk is full.
            Unavailable: the folder cannot be written.
        """
        try:
            with tempfile.TemporaryFile(dir=self.temporary) as file:
                file.write(b"\0")
                file.flush()
        except OSError as error:
            raise _translated(error) from error

    @staticmethod
    def _missing(digest: str) -> NotFound:
        return NotFound(
            problem(
                "registry.no-such-blob",
                "the registry has no blob with this digest",
                value=digest,
                expected="the SHA-256 of a stored file, 64 lower-case hexadecimal digits",
                advice="take the address from the version's JSON",
            )
        )
