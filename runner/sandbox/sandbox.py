"""`Sandbox`: run one method of one verified wheel in a container of its own."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from runner.sandbox import drivers, frames, options, verdict
from runner.sandbox.container import WarmContainer
from runner.sandbox.control import CallStopped
from runner.sandbox.deadline import TooLate
from runner.sandbox.driver import Driver
from runner.sandbox.errors import NoResponse, SandboxUnavailable
from runner.sandbox.execution import DriverName, Execution, Job
from runner.sandbox.pool import Pool, PoolSettings, PoolState
from runner.sandbox.reaper import Reaper
from trust.wheel import Limits

REMEMBERED_LIMITS = 256
DEATH_SECONDS = 2.0
"""How long to wait for the engine to tell how a container ended, in seconds."""


class Sandbox:
    """Runs jobs; safe to share between threads. Make it with `connect`, end it with `close`."""

    def __init__(
        self,
        driver: Driver,
        image_id: str,
        hardening: options.Hardening,
        pool: PoolSettings | None = None,
    ) -> None:
        self.driver = driver
        self.image = image_id
        self.hardening = hardening
        self.identity = driver.identity
        self._reaper = Reaper(driver)
        self._grants: dict[Limits, tuple[options.Hardening, dict[str, Any]]] = {}
        self._pool: Pool[WarmContainer] | None = None
        self._queue_seconds = 0.0 if pool is None else pool.queue_seconds
        if pool is not None:
            default = self._hardening_for(Limits())
            self._pool = Pool(self._start, self._reaper.bury, default, pool)

    @classmethod
    def connect(
        cls,
        image: str,
        runtime: str = "runc",
        *,
        base_url: str | None = None,
        hardening: options.Hardening | None = None,
        engine_seconds: float = 20.0,
        pool: PoolSettings | None = None,
        driver: DriverName = "engine",
        folder: Path | None = None,
    ) -> Sandbox:
        """Connect to what makes containers, check image and runtime, remove what dead runners left.

        Args:
            image: the pinned image's id, `sha256:` and 64 hexadecimal digits.
            runtime: the OCI runtime: `runc` or `runsc`; for the driver `oci` only `runc`.
            base_url: where the engine is; None means DOCKER_HOST or the usual socket.
            hardening: other controls than the default ones, for tests.
            engine_seconds: how long the engine may take for one request.
            pool: keep warm containers; None starts each when its call comes.
            driver: what makes the containers: the `engine`, or the `oci` runtime called directly;
                `subprocess` makes none, and confines a process with bubblewrap.
            folder: where the driver `oci` keeps the image's root, private to the runner.

        Raises:
            SandboxUnavailable: no engine, no such image, an image with another harness than this
                runner's, or no such runtime; or the driver cannot work here. There is no other
                driver instead.
        """
        base = hardening or options.Hardening(runtime=runtime)
        if driver == "subprocess":
            from runner.sandbox.bubblewrap import SubprocessDriver  # it needs the cells' filter

            confined = dataclasses.replace(base, runtime="bubblewrap")
            return cls(
                SubprocessDriver.connect(next(drivers.serials), confined), image, confined, pool
            )
        made = drivers.connect(
            driver,
            image,
            runtime,
            base_url=base_url,
            engine_seconds=engine_seconds,
            folder=folder,
        )
        return cls(made, image, base, pool)

    def _hardening_for(self, limits: Limits) -> options.Hardening:
        return options.for_limits(
            self.hardening, memory_bytes=limits.memory_bytes, processes=limits.processes
        )

    def _grant(self, limits: Limits) -> tuple[options.Hardening, dict[str, Any]]:
        """Return the controls of a plugin with those limits, and what a record says of them."""
        known = self._grants.get(limits)
        if known is None:
            hardening = self._hardening_for(limits)
            known = hardening, self.driver.summary(hardening)
            if len(self._grants) < REMEMBERED_LIMITS:
                self._grants[limits] = known
        return known

    def start_container(self, limits: Limits, request_id: str) -> WarmContainer:
        """Start a container for one call with those limits; the caller must destroy it.

        Raises:
            SandboxUnavailable: it did not become ready.
        """
        return self._start(self._hardening_for(limits), request_id)

    def _start(self, hardening: options.Hardening, request_id: str = "") -> WarmContainer:
        return self.driver.start(hardening, request_id)

    def execute(self, job: Job) -> Execution:
        """Run one job in a container of its own; never raises for what a plugin or the engine does.

        The container has all but the arguments when `job.clear` is called, and no line of the
        plugin has run; what that raises is raised. It does not begin after the job's deadline.

        Raises:
            ValueError: the job does not fit the protocol (an empty wheel, a name too long), or is
                of another level.
        """
        if job.level != "container":
            raise ValueError(f"a sandbox of containers, asked for the level {job.level!r}")
        hardening, summary = self._grant(job.limits)
        told = job.told(self.image, hardening.runtime, summary, driver=self.driver.name)
        began = time.monotonic()
        try:
            container = self._take(hardening, job)
        except TooLate as late:
            context = verdict.Context(job.limits, 0.0, told, time.monotonic() - began)
            return verdict.too_late(late.deadline, context)
        except CallStopped:
            context = verdict.Context(job.limits, 0.0, told, time.monotonic() - began)
            return verdict.without_response("stopped", verdict.NOT_BEGUN, context)
        except SandboxUnavailable as error:
            context = verdict.Context(job.limits, 0.0, told, time.monotonic() - began)
            detail = f"{error.problem.what}: {error.problem.value}"
            if job.deadline is not None and job.deadline.passed:
                return verdict.too_late(job.deadline, context, detail)
            return verdict.without_response("unavailable", detail, context)
        try:
            with job.control.attached(container.kill):
                request = job.request()
                waited = time.monotonic() - began
                job.ask()
                container.prepare(request)
                job.clear()
                job.control.check()
                return self._call(container, job.still(request), job, told, waited)
        except TooLate as late:
            context = verdict.Context(job.limits, 0.0, told, time.monotonic() - began)
            return verdict.too_late(late.deadline, context)
        except CallStopped:
            context = verdict.Context(job.limits, 0.0, told, time.monotonic() - began)
            return verdict.without_response("stopped", verdict.NOT_BEGUN, context)
        finally:
            if self._pool is not None:
                self._pool.done(hardening, container)
            else:
                self._reaper.bury(container)

    def _take(self, hardening: options.Hardening, job: Job) -> WarmContainer:
        """Return a container for the call; wait for one no longer than its deadline."""
        if self._pool is None:
            if job.deadline is not None:
                job.deadline.left()
            return self._start(hardening, job.request_id)
        if job.deadline is None:
            return self._pool.take(hardening, control=job.control)
        seconds = min(self._queue_seconds, job.deadline.left())
        return self._pool.take(hardening, seconds, job.control)

    def _call(
        self,
        container: WarmContainer,
        request: frames.Request,
        job: Job,
        told: dict[str, Any],
        waited: float,
    ) -> Execution:
        began = time.monotonic()
        # what leaves the call less time than its plugin was granted
        deadline = job.deadline if request.wall_seconds < job.limits.wall_seconds else None

        def context() -> verdict.Context:
            return verdict.Context(job.limits, time.monotonic() - began, told, waited, deadline)

        try:
            return verdict.of_response(container.call(request), context())
        except NoResponse as error:
            return verdict.of_failure(
                error,
                context(),
                stopped=job.control.stopped,
                death=lambda: self.driver.ended(container.id, DEATH_SECONDS),
            )

    def sweep(self) -> int:
        """Remove containers of runners of this host that are dead; return how many."""
        return self.driver.sweep()

    def pool_state(self) -> PoolState | None:
        """Return how the pool stands, for metrics; None without a pool."""
        return None if self._pool is None else self._pool.state()

    def drain(self) -> None:
        """Wait until every used container is gone."""
        self._reaper.drain()

    def close(self) -> None:
        """Turn waiting calls away, remove what is left, and let go of the engine."""
        if self._pool is not None:
            self._pool.close()
        self._reaper.close()
        self.driver.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
