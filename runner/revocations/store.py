"""What a runner keeps of revocations: a copy of the log, its youngest head, and what was handed.

Both are append-only Merkle logs on disk, the copy under the name of the log's key: another key is
another log. What was handed over directly does not depend on any registry.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from trust.errors import SealgateError, problem
from trust.log import LogUnavailable, MerkleLog, NoteVerifier
from trust.log.tree import frontier
from trust.revocation import FreshHead
from trust.revocation.follow import Known


class Store:
    """The files; used by one thread at a time."""

    def __init__(self, folder: Path, key: NoteVerifier) -> None:
        """Open the files, and make them if need be.

        Args:
            folder: the runner's private state.
            key: the log's pinned key.

        Raises:
            LogError: a file cannot be read, or contradicts itself.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"revocations-{key.key_id.hex()}"
        self._key = key
        self._head = folder / f"{name}.head"
        self._log = MerkleLog(folder / f"{name}.sqlite", None)
        self._handed = MerkleLog(folder / "revocations-handed.sqlite", None)
        self._recorded = folder / "revocations-handed.recorded"

    def close(self) -> None:
        """Close the files."""
        self._log.close()
        self._handed.close()

    def known(self) -> Known:
        """Return how far the log is known."""
        size = self._log.size
        edge = tuple(self._log.hashes(level, index, 1)[0] for level, index in frontier(size))
        return Known(size, edge, self._read_head())

    def _read_head(self) -> FreshHead | None:
        """Return the head that was kept; one that the key did not sign is as good as none."""
        try:
            return FreshHead.verify(self._head.read_text(encoding="utf-8"), self._key)
        except (OSError, UnicodeDecodeError, SealgateError):
            return None

    def extend(self, entries: Sequence[bytes], note: str) -> None:
        """Keep entries that were checked, and then the head under which they stand."""
        if entries:
            self._log.append_many(entries)
        _write(self._head, note)

    def hand(self, bundle: bytes) -> None:
        """Keep a bundle that was handed over; returns when it is on disk."""
        self._handed.append(bundle)

    @property
    def handed(self) -> int:
        """How many bundles were handed over."""
        return self._handed.size

    def unrecorded(self) -> list[tuple[int, str]]:
        """Return index and digest of what was handed over and is not noted as on record."""
        first, end = self._noted(), self._handed.size
        entries = self._handed.entries(first, max(0, end - first))
        return [(first + n, hashlib.sha256(entry).hexdigest()) for n, entry in enumerate(entries)]

    def note_recorded(self, done: Collection[int]) -> None:
        """Note how far, from the first, what was handed over is on record.

        Args:
            done: indexes of what is.

        Raises:
            LogUnavailable: it cannot be noted; it will be recorded once more.
        """
        before = end = self._noted()
        while end in done:
            end += 1
        if end > before:
            try:
                _write(self._recorded, str(end))
            except OSError as error:
                raise LogUnavailable(
                    problem(
                        "revocation.store",
                        "it cannot be noted that a revocation is on record",
                        value=f"{self._recorded}: {error}",
                        expected="a file that can be written",
                        advice="the operator should look at the disk of the runner's state",
                    )
                ) from error

    def _noted(self) -> int:
        """Return how many are noted; what cannot be read is noted as nothing."""
        try:
            text = self._recorded.read_text(encoding="ascii")
            return int(text) if text.isdigit() else 0
        except (OSError, UnicodeDecodeError):
            return 0

    def bundles(self) -> list[bytes]:
        """Return every bundle, of the log and handed over."""
        return [
            *self._log.entries(0, self._log.size),
            *self._handed.entries(0, self._handed.size),
        ]


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
