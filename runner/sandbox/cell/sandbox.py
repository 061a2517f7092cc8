"""`CellSandbox`: run one method of one verified wheel in a cell of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from runner.sandbox import drivers, options, verdict
from runner.sandbox.cell import bpf, endings, probe
from runner.sandbox.cell.container import CellContainer
from runner.sandbox.cell.homes import CellState, Home, Renewal
from runner.sandbox.cell.options import CellHardening
from runner.sandbox.control import CallStopped
from runner.sandbox.deadline import TooLate
from runner.sandbox.driver import CellDriver
from runner.sandbox.errors import ContainerGone, NoResponse, SandboxUnavailable, unavailable
from runner.sandbox.execution import DriverName, Execution, Job
from runner.sandbox.harness import cell_protocol, protocol
from runner.sandbox.reaper import Reaper
from runner.sandbox.sandbox import DEATH_SECONDS
from trust.wheel import Limits

LABEL_WHEEL = "org.sealgate.wheel"
REMEMBERED_DIGESTS = 64
REMEMBERED_LIMITS = 256
JANITOR_SECONDS = 5.0
_EXPECTED_ENDINGS = (
    protocol.RESULT,
    protocol.EXCEPTION,
    protocol.RESULT_LIMIT,
    protocol.OUTPUT_LIMIT,
    protocol.WALL_LIMIT,
    protocol.CPU_LIMIT,
)

_logger = logging.getLogger(__name__)


class CellSandbox:
    """Runs jobs in cells; safe to share between threads. Make it with `connect`, then `close` it.

    A host that cannot make cells is found out by `probe`, which `connect` calls: from then on
    every call is answered `unavailable` with what to change. No call ever runs at another level.
    """

    def __init__(
        self,
        driver: CellDriver,
        image_id: str,
        hardening: CellHardening | None = None,
        renewal: Renewal | None = None,
    ) -> None:
        """Take what makes the containers; the sandbox ends it when it is closed.

        Args:
            driver: what makes the containers.
            image_id: the pinned image's id.
            hardening: other controls than the default ones, for tests.
            renewal: when containers are replaced.

        Raises:
            SandboxUnavailable: the driver does not say what it runs on, or no filter for the
                cells can be made for it.
        """
        self.driver = driver
        self.image = image_id
        self.host = driver.host()
        profile = probe.APPARMOR_PROFILE if self.host.apparmor else ""
        self.hardening = hardening or CellHardening(apparmor=profile)
        self.renewal = renewal or Renewal()
        self.identity = driver.identity
        self.refusal: SandboxUnavailable | None = None
        self._program = self._compile_filter()
        self._reaper = Reaper(driver)
        self._lock = threading.Lock()
        self._homes: OrderedDict[tuple[str, Limits], Home] = OrderedDict()
        self._digests: OrderedDict[int, tuple[bytes, str]] = OrderedDict()
        self._summaries: dict[Limits, dict[str, Any]] = {}
        self._closed = threading.Event()
        self._janitor = threading.Thread(target=self._tidy, name="cells-janitor", daemon=True)
        self._janitor.start()

    @classmethod
    def connect(
        cls,
        image: str,
        runtime: str = "runc",
        *,
        base_url: str | None = None,
        hardening: CellHardening | None = None,
        renewal: Renewal | None = None,
        engine_seconds: float = 20.0,
        driver: DriverName = "engine",
        folder: Path | None = None,
    ) -> CellSandbox:
        """Connect to what makes containers, and make one cell to see that it works.

        Args:
            image: the pinned image's id, `sha256:` and 64 hexadecimal digits.
            runtime: the OCI runtime.
            base_url: where the engine is; None means DOCKER_HOST or the usual socket.
            hardening: other controls than the default ones, for tests.
            renewal: when containers are replaced.
            engine_seconds: how long the engine may take for one request.
            driver: what makes the containers: `engine` or `oci`.
            folder: where the driver `oci` keeps the image's root, private to the runner.

        Raises:
            SandboxUnavailable: no such driver here, or no such image. There is no other driver
                instead. A host that forbids cells is not among these: see `refusal`.
        """
        made = drivers.connect(
            driver,
            image,
            runtime,
            base_url=base_url,
            engine_seconds=engine_seconds,
            folder=folder,
        )
        try:
            sandbox = cls(made, image, hardening, renewal)
        except BaseException:
            made.close()
            raise
        if hardening is None:
            sandbox.hardening = dataclasses.replace(sandbox.hardening, runtime=runtime)
        try:
            sandbox.probe()
        except SandboxUnavailable as error:
            sandbox.refusal = error
            _logger.error("calls of the level `cell` are refused: %s", error)
        return sandbox

    def why_not(self) -> SandboxUnavailable | None:
        """Return why no cells are made, for all that is known without making one; None if they are.

        The engine is asked elsewhere, and in less time than a driver gives it.
        """
        if self.refusal is not None or self.driver.name == "engine":
            return self.refusal
        try:
            self.driver.check()
        except SandboxUnavailable as error:
            return error
        return None

    def state(self) -> CellState:
        """Return how many containers there are, and how many calls run in them, for metrics."""
        with self._lock:
            homes = list(self._homes.values())
        states = [home.state() for home in homes]
        return CellState(sum(s.containers for s in states), sum(s.running for s in states))

    def _compile_filter(self) -> bytes:
        """Return the cells' filter for the image's machine, from the container level's profile."""
        profile = json.loads(options.seccomp_profile())
        try:
            return bpf.compile_profile(profile, self.host.machine)
        except bpf.UnsupportedProfile as error:
            raise unavailable("cells-filter", "no filter for the cells", value=error) from error

    def probe(self) -> None:
        """Make one container with one cell in it, and remove it.

        Raises:
            SandboxUnavailable: no cell came into being; the advice says what to change.
        """
        probe.check_kernel(self.host.kernel)
        container = self._start(probe.WHEEL, "probe", Limits())
        self._reaper.bury(container)

    def _start(self, wheel: bytes, digest: str, limits: Limits) -> CellContainer:
        hardening = self.hardening.for_limits(limits)
        try:
            warm = self.driver.start(hardening, labels={LABEL_WHEEL: digest})
        except SandboxUnavailable as error:
            raise probe.not_started(error, hardening) from error
        try:
            container = CellContainer(warm, hardening.cells)
        except (ContainerGone, OSError) as error:
            warm.destroy()
            raise _not_ready(error) from error
        try:
            ready = container.set_up(wheel, self._program, limits)
            if ready.step:
                raise probe.refused(ready.step, ready.number)
        except NoResponse as error:
            self._reaper.bury(container)
            raise _not_ready(error) from error
        except BaseException:
            self._reaper.bury(container)
            raise
        return container

    def _digest(self, wheel: bytes) -> str:
        """Return a wheel's SHA-256; the same object is not hashed twice."""
        with self._lock:
            known = self._digests.get(id(wheel))
            # the object is kept, so that nothing else can come to have its identity
            if known is not None and known[0] is wheel:
                return known[1]
        digest = hashlib.sha256(wheel).hexdigest()
        with self._lock:
            self._digests[id(wheel)] = (wheel, digest)
            while len(self._digests) > REMEMBERED_DIGESTS:
                self._digests.popitem(last=False)
        return digest

    def _home(self, job: Job) -> Home:
        digest = self._digest(job.wheel)
        key = (digest, job.limits)
        with self._lock:
            home = self._homes.get(key)
            if home is not None:
                self._homes.move_to_end(key)
                return home
            for other, candidate in list(self._homes.items()):
                if len(self._homes) < self.renewal.containers:
                    break
                if candidate.close(only_if_idle=True):
                    del self._homes[other]
            if len(self._homes) >= self.renewal.containers:
                raise unavailable(
                    "cells-full",
                    "every container for cells is in use by other plugin versions",
                    value=str(len(self._homes)),
                    advice="call again later, or let the runner have more",
                )
            wheel, limits = job.wheel, job.limits
            home = Home(lambda: self._start(wheel, digest, limits), self._reaper.bury, self.renewal)
            self._homes[key] = home
            return home

    def _told(self, job: Job) -> dict[str, Any]:
        """Return what record and reply say of the sandbox; the same for all calls with limits."""
        known = self._summaries.get(job.limits)
        if known is None:
            hardening = self.hardening.for_limits(job.limits)
            known = job.told(
                self.image,
                hardening.runtime,
                self.driver.summary(hardening),
                driver=self.driver.name,
            )
            if len(self._summaries) < REMEMBERED_LIMITS:
                self._summaries[job.limits] = known
        return dict(known)

    def execute(self, job: Job) -> Execution:
        """Run one job in a cell of its own; never raises for what a plugin or the engine does.

        A cell has all but the arguments when `job.clear` is called, and no line of the plugin has
        run; what that raises is raised. It does not begin after the job's deadline.

        Raises:
            ValueError: the job does not fit the protocol (an empty wheel, a name too long), or is
                of another level.
        """
        if job.level != "cell":
            raise ValueError(f"a sandbox of cells, asked for the level {job.level!r}")
        told = self._told(job)
        began = time.monotonic()
        try:
            if self.refusal is not None:
                raise self.refusal
            container, home = self._take(job, began + self.renewal.queue_seconds)
        except TooLate as late:
            context = verdict.Context(job.limits, 0.0, told, time.monotonic() - began)
            return verdict.too_late(late.deadline, context)
        except CallStopped:
            context = verdict.Context(job.limits, 0.0, told, time.monotonic() - began)
            return verdict.without_response("stopped", verdict.NOT_BEGUN, context)
        except SandboxUnavailable as error:
            context = verdict.Context(job.limits, 0.0, told, time.monotonic() - began)
            parts = (error.problem.what, error.problem.value, error.problem.advice)
            detail = ": ".join(filter(None, parts))
            if job.deadline is not None and job.deadline.passed:
                return verdict.too_late(job.deadline, context, detail)
            return verdict.without_response("unavailable", detail, context)
        waited = time.monotonic() - began
        try:
            return self._call(container, job, told, waited)
        except TooLate as late:
            context = verdict.Context(job.limits, 0.0, told, waited)
            return verdict.too_late(late.deadline, context)
        finally:
            home.give_back(container)

    def _take(self, job: Job, end: float) -> tuple[CellContainer, Home]:
        """Return a container with a free cell; wait for one no longer than the job's deadline."""
        if job.deadline is None:
            home = self._home(job)
            return home.take(end, job.control), home
        job.deadline.left()
        home = self._home(job)
        return home.take(min(end, job.deadline.at), job.control, brief=True), home

    def _call(
        self, container: CellContainer, job: Job, told: dict[str, Any], waited: float
    ) -> Execution:
        request = job.request()
        granted = job.limits.wall_seconds
        began: float | None = None

        def clear() -> float:
            nonlocal began, request
            job.clear()
            request = job.still(request)
            began = time.monotonic()
            return request.wall_seconds

        def context() -> verdict.Context:
            seconds = 0.0 if began is None else time.monotonic() - began
            # what leaves the call less time than its plugin was granted
            deadline = job.deadline if request.wall_seconds < granted else None
            return verdict.Context(job.limits, seconds, told, waited, deadline)

        try:
            response = container.call(request, job.control, job.ask, clear)
        except CallStopped:
            unbegun = verdict.Context(job.limits, 0.0, told, waited)
            return verdict.without_response("stopped", verdict.NOT_BEGUN, unbegun)
        except NoResponse as error:
            return verdict.of_failure(
                error,
                context(),
                stopped=job.control.stopped,
                death=lambda: self.driver.ended(container.id, DEATH_SECONDS),
            )
        if response.ending == cell_protocol.STOPPED and job.control.stopped:
            return endings.stopped(response, context())
        if response.ending not in _EXPECTED_ENDINGS:
            container.surprise = container.surprise or f"a call ended with {response.ending}"
        return endings.told_apart(verdict.of_response(endings.attributed(response), context()))

    def _tidy(self) -> None:
        """Let go of containers that nobody uses."""
        while not self._closed.wait(JANITOR_SECONDS):
            now = time.monotonic()
            with self._lock:
                for key, home in list(self._homes.items()):
                    if now - home.used >= self.renewal.idle_seconds and home.close(
                        only_if_idle=True
                    ):
                        del self._homes[key]

    def drain(self) -> None:
        """Wait until every container that is out of use is gone."""
        self._reaper.drain()

    def close(self) -> None:
        """Remove every container and let go of what makes them."""
        self._closed.set()
        with self._lock:
            homes, self._homes = list(self._homes.values()), OrderedDict()
        for home in homes:
            home.close()
        self._reaper.close()
        self._janitor.join()
        self.driver.close()

    def __enter__(self) -> CellSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _not_ready(error: Exception) -> SandboxUnavailable:
    return unavailable("cells-start", "the container for cells did not become ready", value=error)
