"""The seam between the sandbox and what makes its containers.

A driver starts hardened containers from the pinned image, removes them, and knows how they ended.
`EngineDriver` asks a Docker engine; `oci.OciDriver` calls the OCI runtime itself. Which of them is
used is the policy's choice, for both isolation levels; neither ever stands in for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from runner.sandbox import options, orphans
from runner.sandbox.container import WarmContainer
from runner.sandbox.engine import ENGINE_ERRORS, Engine
from runner.sandbox.errors import unavailable
from runner.sandbox.events import Death, Obituaries

LABEL_REQUEST = "org.sealgate.request"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""An image's architecture, as `platform.machine()` tells it."""


@dataclass(frozen=True, slots=True)
class Host:
    """The kernel under a driver's containers.

    Attributes:
        machine: what programs of the image are made for, as `platform.machine()` tells it.
        kernel: the kernel's release.
        apparmor: whether AppArmor confines containers.
    """

    machine: str
    kernel: str
    apparmor: bool


class Driver(Protocol):
    """Makes containers; safe to share between threads."""

    @property
    def name(self) -> str:
        """What records and replies call it."""

    @property
    def identity(self) -> str:
        """Whose containers they are: see `orphans`."""

    def summary(self, hardening: options.Hardening) -> dict[str, Any]:
        """Return what a record says of the controls in force."""

    def start(self, hardening: options.Hardening, request_id: str = "") -> WarmContainer:
        """Start a container and wait until it is ready; raises SandboxUnavailable."""

    def remove(self, container: str) -> bool:
        """End and remove a container; return whether it is gone."""

    def ended(self, container: str, seconds: float) -> Death:
        """Return how a container ended, waiting at most `seconds` to learn it."""

    def containers(self) -> list[str]:
        """Return the ids of the containers that there are; raises SandboxUnavailable."""

    def check(self) -> None:
        """Raise SandboxUnavailable where containers certainly cannot be made now."""

    def sweep(self) -> int:
        """Remove what dead runners of this host left; return how many containers those were."""

    def close(self) -> None:
        """Let go of everything; every container was removed before."""


class CellDriver(Driver, Protocol):
    """A driver whose containers can hold cells."""

    def start(
        self,
        hardening: options.Hardening,
        request_id: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> WarmContainer:
        """As `Driver.start`; the container is marked with `labels` too, for the operator."""

    def host(self) -> Host:
        """Return the kernel that the containers run on; raises SandboxUnavailable."""


class EngineDriver:
    """A Docker engine makes the containers."""

    name = "engine"

    def __init__(self, engine: Engine, image: str, serial: int) -> None:
        self.identity = orphans.runner_identity(serial)
        self._engine = engine
        self._image = image
        self._label = f"{options.LABEL_RUNNER}={self.identity}"
        self._obituaries = Obituaries(engine, self._label)

    def summary(self, hardening: options.Hardening) -> dict[str, Any]:
        """Return what a record says of the controls in force."""
        return hardening.summary()

    def start(
        self,
        hardening: options.Hardening,
        request_id: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> WarmContainer:
        """Start a container and wait until it is ready.

        Raises:
            SandboxUnavailable: it did not become ready.
        """
        marks = {**(labels or {}), options.LABEL_RUNNER: self.identity}
        if request_id:
            marks[LABEL_REQUEST] = request_id
        return WarmContainer.start(self._engine, self._image, hardening, marks)

    def host(self) -> Host:
        """Return the kernel that the engine's containers run on, as the engine tells it.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        try:
            info = self._engine.client.info()
            image = self._engine.client.inspect_image(self._image)
        except ENGINE_ERRORS as error:
            raise unavailable("engine", "the Docker engine does not answer", value=error) from error
        architecture = str(image.get("Architecture", ""))
        return Host(
            machine=_MACHINES.get(architecture, architecture),
            kernel=str(info.get("KernelVersion", "")),
            apparmor=any("name=apparmor" in each for each in info.get("SecurityOptions") or []),
        )

    def remove(self, container: str) -> bool:
        """End and remove a container; return whether it is gone."""
        return self._engine.remove(container)

    def ended(self, container: str, seconds: float) -> Death:
        """Return how a container ended, waiting at most `seconds` for the engine to say so."""
        return self._obituaries.of(container, seconds)

    def containers(self) -> list[str]:
        """Return the ids of the containers that the engine has for this runner.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        try:
            found = self._engine.client.containers(all=True, filters={"label": self._label})
        except ENGINE_ERRORS as error:
            raise unavailable("engine", "the Docker engine does not answer", value=error) from error
        return [str(each["Id"]) for each in found]

    def check(self) -> None:
        """Raise SandboxUnavailable if the engine does not answer, or has no such image."""
        from runner.sandbox import image

        image.describe(self._engine.client, self._image)

    def sweep(self) -> int:
        """Remove containers of runners of this host that are dead; return how many.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        return orphans.sweep(self._engine)

    def close(self) -> None:
        """Stop listening to the engine."""
        self._obituaries.close()
