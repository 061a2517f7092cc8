"""`OciDriver`: bundles, processes and cgroups of one sandbox, and what dead ones left."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runner.sandbox import orphans
from runner.sandbox.driver import LABEL_REQUEST, Host
from runner.sandbox.engine import ENGINE_ERRORS, Engine
from runner.sandbox.errors import SandboxUnavailable, unavailable
from runner.sandbox.events import Death
from runner.sandbox.image import harness_digest
from runner.sandbox.oci import runtime as oci_runtime
from runner.sandbox.oci.cgroups import Cgroups, hierarchies
from runner.sandbox.oci.container import OciContainer
from runner.sandbox.oci.root import Root, open_root
from runner.sandbox.oci.runtime import Process, Runtime
from runner.sandbox.oci.spec import runtime_spec
from runner.sandbox.options import Hardening
from runner.sandbox.processes import Processes
from trust.errors import problem

RUN = Path("/run/sealgate-oci")
"""Bundles and the runtime's state; a file system that a restart of the machine empties."""
SWEEP_ATTEMPTS, SWEEP_SECONDS = 100, 0.01
"""How often to try to remove a dead runner's container, and the pause between, in seconds."""
APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
APPARMOR_PROFILES = Path("/sys/kernel/security/apparmor/profiles")
APPARMOR_PROFILE = "docker-default"
_HOLDING = ("enforce", "kill")
"""Modes in which a profile stops anything."""


def _refuse(what: str, value: object, expected: str, advice: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        problem("sandbox.oci", what, value=value, expected=expected, advice=advice)
    )


def _apparmor_is_on() -> bool:
    try:
        return APPARMOR.read_text().strip() == "Y"
    except FileNotFoundError:
        return False


def _apparmor(wanted: str = "") -> str:
    """Return the profile that goes around a container; "" on a host without AppArmor.

    Args:
        wanted: the profile's name; "" is the one that an engine would put around a container.

    Raises:
        SandboxUnavailable: the host has AppArmor and not this profile, or a container asks for a
            profile and the host has no AppArmor.
    """
    if not _apparmor_is_on():
        if wanted:
            raise _refuse(
                "a container asks for an AppArmor profile, and this host has no AppArmor",
                wanted,
                "no profile",
                "start the runner again, which looks whether there is AppArmor",
            )
        return ""
    name = wanted or APPARMOR_PROFILE
    try:
        loaded = APPARMOR_PROFILES.read_text().splitlines()
    except FileNotFoundError:
        loaded = []
    if not any(f"{name} ({mode})" in loaded for mode in _HOLDING):
        raise _refuse(
            "this host has AppArmor, but not the profile that the container needs",
            f"{name} is not among those in {APPARMOR_PROFILES}",
            f"the profile {name}, in the mode enforce",
            "load it (`docker-default`: start the engine once), or use the driver `engine`",
        )
    return name


class OciDriver:
    """The OCI runtime makes the containers, called by this process, which must be root's."""

    name = "oci"

    def __init__(self, image: str, root: Root, binary: str, serial: int) -> None:
        self.image = image
        self.identity = orphans.runner_identity(serial)
        token = hashlib.sha256(self.identity.encode()).hexdigest()[:16]
        self._root = root
        self._folder = RUN / token
        self._cgroups = Cgroups(token, hierarchies())
        self._runtime = Runtime(binary, self._folder / "state")
        self._apparmor = _apparmor()
        self._processes = Processes()
        RUN.mkdir(mode=0o700, exist_ok=True)
        for folder in (self._folder, self._folder / "bundles", self._folder / "state"):
            folder.mkdir(mode=0o700)
        (self._folder / "identity").write_text(self.identity)
        oci_runtime.adopt(True)

    @classmethod
    def connect(
        cls, image: str, runtime: str, folder: Path, serial: int, base_url: str | None = None
    ) -> OciDriver:
        """Check everything that it needs, and start one container to see that it works.

        Args:
            image: the pinned image's id.
            runtime: `runc`.
            folder: where the image's root is kept, private to the runner.
            serial: tells the sandboxes of one process apart.
            base_url: the engine that hands the image out, once.

        Raises:
            SandboxUnavailable: not root, no such runtime, another image, or no container started.
        """
        if os.geteuid() != 0:
            raise _refuse(
                "the driver `oci` makes containers itself, which only root can",
                f"uid {os.geteuid()}",
                "uid 0",
                "run the runner as root, or use the driver `engine`",
            )
        binary = oci_runtime.find(runtime)

        def fetch() -> object:
            try:
                return Engine(base_url).client.get_image(image)
            except ENGINE_ERRORS as error:
                raise unavailable(
                    "image-missing", "the engine does not hand out the runtime image", value=error
                ) from error

        root = open_root(folder, image, fetch)  # type: ignore[arg-type] # docker-py is untyped
        if root.harness != harness_digest():
            raise _refuse(
                "the image has another harness than this runner's",
                root.harness or "none",
                harness_digest(),
                "run `sealgate image build` and `sealgate image pin`",
            )
        sweep()
        driver = cls(image, root, binary, serial)
        try:
            driver.start(Hardening(runtime=runtime)).destroy()
        except BaseException:
            driver.close()
            raise
        return driver

    def summary(self, hardening: Hardening) -> dict[str, Any]:
        """Return what a record says of the controls in force."""
        return hardening.summary()

    def host(self) -> Host:
        """Return this host's kernel: the containers have no other."""
        return Host(platform.machine(), os.uname().release, _apparmor_is_on())

    def start(
        self,
        hardening: Hardening,
        request_id: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> OciContainer:
        """Start a container and wait until it is ready.

        Raises:
            SandboxUnavailable: it did not become ready.
        """
        container = secrets.token_hex(16)
        marks = {**(labels or {}), **({LABEL_REQUEST: request_id} if request_id else {})}
        try:
            self._write_bundle(container, hardening, marks)
            return OciContainer.launch(self, container, hardening)
        except BaseException:
            shutil.rmtree(self._bundle(container), ignore_errors=True)
            raise

    def _bundle(self, container: str) -> Path:
        return self._folder / "bundles" / container

    def _write_bundle(
        self, container: str, hardening: Hardening, labels: Mapping[str, str]
    ) -> None:
        document = runtime_spec(
            hardening,
            root=str(self._root.path),
            command=self._root.command,
            container=container,
            cgroup=self._cgroups.path(container),
            apparmor=_apparmor(hardening.apparmor) if hardening.apparmor else self._apparmor,
            labels=labels,
        )
        bundle = self._bundle(container)
        try:
            bundle.mkdir(mode=0o700)
            (bundle / "config.json").write_text(json.dumps(document))
        except OSError as error:
            raise unavailable("create", "no bundle could be written", value=error) from error

    def launch(
        self, container: str, hardening: Hardening, stream: socket.socket, errors: int
    ) -> Process:
        """Start the first process of a container, whose bundle is there, on those descriptors.

        Raises:
            SandboxUnavailable: the runtime refused.
        """
        process = self._runtime.run(container, self._bundle(container), stream, errors)
        return self._processes.add(container, process)

    def remove(self, container: str) -> bool:
        """End and remove a container; return whether it is gone."""
        if self._processes.get(container) is None:
            self._cgroups.kill(container)
        elif not self._processes.kill(container):
            return False
        if not self._cgroups.remove(container):
            return False
        self._runtime.forget(container)
        shutil.rmtree(self._bundle(container), ignore_errors=True)
        self._processes.forget(container)
        return True

    def ended(self, container: str, seconds: float) -> Death:
        """Return how a container ended, waiting at most `seconds` for its end."""
        process = self._processes.ended(container, seconds)
        if process is None:
            return Death(None, False)
        return Death(process.exit_code, self._cgroups.out_of_memory(container))

    def containers(self) -> list[str]:
        """Return the ids of the containers that there are, in whatever state."""
        with suppress(FileNotFoundError):
            found = {entry.name for entry in os.scandir(self._folder / "bundles")}
            return sorted(found | self._cgroups.names())
        return sorted(self._cgroups.names())

    def check(self) -> None:
        """Raise SandboxUnavailable if the runtime or the root is no longer there."""
        for path in (Path(self._runtime.binary), self._root.path / self._root.command[0][1:]):
            if not path.exists():
                raise unavailable("oci", "the driver `oci` misses a file", value=path)

    def sweep(self) -> int:
        """Remove what dead runners of this host left; return how many containers those were."""
        return sweep()

    def close(self) -> None:
        """Remove what is left, and stop being the parent of containers."""
        for container in self.containers():
            self.remove(container)
        self._cgroups.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        oci_runtime.adopt(False)


def sweep() -> int:
    """Remove the containers of dead runners of this host; return how many there were."""
    mounts = hierarchies()
    count = 0
    for folder in RUN.glob("*"):
        try:
            identity = (folder / "identity").read_text()
        except OSError:
            continue
        if not orphans.is_dead(identity):
            continue
        cgroups = Cgroups(folder.name, mounts)
        names = cgroups.names() | {bundle.name for bundle in (folder / "bundles").glob("*")}
        for container in names:
            for _ in range(SWEEP_ATTEMPTS):
                cgroups.kill(container)
                if cgroups.remove(container):
                    count += 1
                    break
                time.sleep(SWEEP_SECONDS)
        cgroups.close()
        if not cgroups.names():
            shutil.rmtree(folder, ignore_errors=True)
    return count
