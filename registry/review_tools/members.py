"""The files of a stored wheel, one by one.

Intake read the whole wheel strictly and refused what two readers could read differently; the blob
store hands out bytes only with the digest that they had then. So here the standard library's
reader is good enough, and opens one file of two thousand without inflating the others.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache

from registry.blobs import BlobStore


class Members(Mapping[str, bytes]):
    """Path -> content of a wheel that was accepted; a content is read when it is asked for."""

    def __init__(self, wheel: bytes, like: Members | None = None) -> None:
        """Open a wheel.

        Args:
            wheel: the bytes of an accepted wheel.
            like: name the `.dist-info` folder (PEP 427: the version is in its name) as this wheel
                does, so that the two can be compared.
        """
        self._zip = zipfile.ZipFile(io.BytesIO(wheel))
        names = [name for name in self._zip.namelist() if not name.endswith("/")]
        self.dist_info = _dist_info(names)
        new = like.dist_info if like is not None else ""
        self._names = {
            new + name.removeprefix(self.dist_info)
            if new and self.dist_info and name.startswith(self.dist_info)
            else name: name
            for name in names
        }

    def __getitem__(self, path: str) -> bytes:
        return self._zip.read(self._names[path])

    def __contains__(self, path: object) -> bool:
        return path in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@lru_cache(maxsize=6)
def members_of(blobs: BlobStore, sha256: str, like: str | None = None) -> Members:
    """Return the files of a stored wheel; the wheels opened last stay open, in memory.

    Args:
        blobs: the blob store.
        sha256: the wheel's digest, which is checked when it is read.
        like: the digest of the wheel after which its `.dist-info` folder is named.

    Raises:
        NotFound: there is no such blob.
        Damaged: the blob has another digest.
    """
    return Members(blobs.read(sha256), None if like is None else members_of(blobs, like))


def _dist_info(names: list[str]) -> str:
    suffix = ".dist-info/METADATA"
    return next((n.removesuffix("METADATA") for n in names if n.endswith(suffix)), "")
