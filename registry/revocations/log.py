"""The worker's part: appending revocations to the log, and signing its fresh head.

The log is a file (`trust.log.MerkleLog`) that only the worker writes; the rows say what waits. A
worker that dies between the append and the row finds its entry in the log and does not repeat it.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from registry.errors import Unavailable
from registry.revocations.models import RevocationHead, RevocationRow
from registry.revocations.settings import LogKeeping
from registry.services import Services
from trust.errors import SealgateError, problem
from trust.log import Checkpoint, MerkleLog, NoteSigner
from trust.revocation import FreshHead
from trust.revocation.keyfile import load_signer

log = logging.getLogger("registry.revocations")


@contextmanager
def opened(path: Path, signer: NoteSigner | None) -> Iterator[MerkleLog]:
    """Hold the log's file open.

    Raises:
        LogError: it cannot be read, or contradicts itself.
    """
    merkle = MerkleLog(path, signer)
    try:
        yield merkle
    finally:
        merkle.close()


@dataclass(frozen=True, slots=True)
class LogKeeper:
    """Appends what waits and signs heads.

    Attributes:
        services: the registry's parts.
        path: the log's file.
        signer: the log's key; the worker's alone.
        head_seconds: the pause between two heads, in seconds.
    """

    services: Services
    path: Path
    signer: NoteSigner
    head_seconds: float = 2.0

    @classmethod
    def of(cls, services: Services, keeping: LogKeeping) -> LogKeeper | None:
        """Return the keeper that the worker's settings describe, or None.

        Raises:
            KeyUnusable: the log's key cannot be used.
        """
        path = services.settings.revocations.log
        if keeping.key is None or path is None:
            return None
        return cls(services, path, load_signer(keeping.key), keeping.head_seconds)

    def once(self) -> FreshHead:
        """Append every revocation that waits, then sign and store a fresh head.

        Raises:
            SealgateError: the log or the database cannot be used; what was appended stays.
        """
        with opened(self.path, self.signer) as merkle:
            self._append(merkle)
            size = merkle.size
            checkpoint = Checkpoint(self.signer.origin, size, merkle.root(size))
        head = FreshHead(checkpoint, self.services.clock().replace(microsecond=0))
        with self.services.database.write() as session:
            row = session.get(RevocationHead, 1) or RevocationHead(id=1)
            row.note, row.size, row.signed_at = head.sign(self.signer), size, head.signed_at
            session.add(row)
        return head

    def _append(self, merkle: MerkleLog) -> None:
        with self.services.database.write() as session:
            logged = session.scalar(
                select(func.count()).where(RevocationRow.log_index.is_not(None))
            )
            waiting = {
                row.bundle_sha256: row
                for row in session.scalars(
                    select(RevocationRow)
                    .where(RevocationRow.log_index.is_(None))
                    .order_by(RevocationRow.id)
                )
            }
            first = logged or 0
            for index, entry in enumerate(merkle.entries(first, merkle.size - first), first):
                row = waiting.pop(hashlib.sha256(entry).hexdigest(), None)
                if row is None:
                    raise _foreign(index)
                row.log_index = index
            for row in waiting.values():
                row.log_index = merkle.append(row.bundle.encode())
                log.warning("%s of %s is in the log", row.action, row.revocation.target)

    def run(self, stop: threading.Event) -> None:
        """Do `once` again and again until `stop` is set; trouble is logged."""
        while not stop.is_set():
            try:
                self.once()
            except SealgateError as error:
                log.error("the revocation log's head is not renewed: %s", error.diagnostics())
            except Exception:
                log.exception("the revocation log's head is not renewed")
            stop.wait(self.head_seconds)


def _foreign(index: int) -> Unavailable:
    return Unavailable(
        problem(
            "registry.revocation-log-foreign",
            "the revocation log has an entry that the database does not know",
            value=f"entry {index}",
            expected="one entry for each row",
            advice="put log and database back from one and the same backup",
        )
    )
