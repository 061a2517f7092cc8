"""The worker: a process of its own that scans and publishes. It alone has signing accounts."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from dataclasses import dataclass

from registry.clock import Clock, utc_now
from registry.publishing import Publishing
from registry.review_tools.preparing import Preparing
from registry.revocations.effects import Effects
from registry.revocations.log import LogKeeper
from registry.scanning import Scanning
from registry.services import Services
from registry.tuf import distribution
from registry.tuf.distribution import Distribution
from registry.worker_settings import WorkerSettings
from registry.workload import Workload
from trust.errors import SealgateError

log = logging.getLogger("registry.worker")


@dataclass(frozen=True, slots=True)
class Worker:
    """Does what waits, one thing after the other.

    Attributes:
        services: the registry's parts.
        scanning: scans; None where this worker has no scanner's account.
        publishing: publishes; None where this worker has no registry's account.
        poll_seconds: the pause when nothing waits, in seconds.
        distribution: keeps the TUF repository; None where this worker has no key of it.
        revocation_log: keeps the revocation log; None where this worker has no key of it.
        effects: acts on what was revoked; None where the registry keeps no revocation log.
    """

    services: Services
    scanning: Scanning | None
    publishing: Publishing | None
    poll_seconds: float = 0.5
    distribution: Distribution | None = None
    revocation_log: LogKeeper | None = None
    effects: Effects | None = None

    @classmethod
    def open(cls, settings: WorkerSettings, clock: Clock = utc_now) -> Worker:
        """Make the worker that the settings describe.

        Raises:
            Unavailable: the database or the blob store cannot be used.
        """
        services = Services.open(settings.registry, clock)
        lease = settings.lease_seconds
        scanner, publisher = settings.scanner, settings.publisher
        scanning = (
            Scanning(services, Workload.of(settings, scanner), lease, settings.max_attempts)
            if scanner
            else None
        )
        return cls(
            services,
            scanning,
            Publishing(services, Workload.of(settings, publisher), lease) if publisher else None,
            settings.poll_seconds,
            distribution.open_for(settings, services),
            LogKeeper.of(services, settings.revocation_log),
            Effects.of(services, scanning),
        )

    def run_once(self) -> bool:
        """Do one scan and one publication, if any waits; return whether anything did.

        What was revoked leaves the shelf first; what is in review is prepared for the reviewers'
        pages in between.

        Raises:
            Unavailable: the database does not answer.
        """
        acted = self.effects.once() if self.effects else False
        scanned = self.scanning.once() if self.scanning else False
        prepared = Preparing(self.services).once()
        published = self.publishing.once() if self.publishing else False
        distributed = self.distribution.once() if self.distribution else False
        return acted or scanned or prepared or published or distributed

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. Trouble is logged, and the work goes on after a pause.

        The revocation log is kept by a thread of its own: its head is signed anew while a long
        scan goes on.
        """
        keeper = self.revocation_log
        if keeper is not None:
            threading.Thread(target=keeper.run, args=(stop,), name="revocation-log").start()
        while not stop.is_set():
            try:
                busy = self.run_once()
            except SealgateError as error:
                log.error("the worker pauses: %s", error.diagnostics())
                busy = False
                stop.wait(self.poll_seconds * 4)
            except Exception:
                log.exception("the worker pauses after an unexpected error")
                busy = False
                stop.wait(self.poll_seconds * 4)
            if not busy:
                stop.wait(self.poll_seconds)


def main(settings: WorkerSettings) -> None:
    """Run a worker until SIGTERM or SIGINT; the work at hand is ended first.

    Orphaned blobs, which a crash may have left, are collected at the start.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stdout,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )
    logging.getLogger("tuf").setLevel(logging.WARNING)
    worker = Worker.open(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    removed = worker.services.blobs.collect(worker.services.referenced)
    if worker.revocation_log is not None:
        worker.revocation_log.once()
    log.info("ready; %d orphaned blobs removed", len(removed))
    try:
        worker.run(stop)
    finally:
        worker.services.close()
    log.info("stopped")
