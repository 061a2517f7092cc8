"""Connects the driver that a policy names, checked. There is no other driver instead."""

from __future__ import annotations

import itertools
from pathlib import Path

from runner.sandbox import image, orphans
from runner.sandbox.driver import CellDriver, EngineDriver
from runner.sandbox.engine import Engine
from runner.sandbox.errors import SandboxUnavailable, unavailable
from runner.sandbox.execution import DriverName
from runner.sandbox.oci import OciDriver
from trust.errors import problem

serials = itertools.count()
"""Tells the sandboxes of this process apart, whatever makes their containers."""


def connect(
    driver: DriverName,
    image_id: str,
    runtime: str = "runc",
    *,
    base_url: str | None = None,
    engine_seconds: float = 20.0,
    folder: Path | None = None,
) -> CellDriver:
    """Connect to what makes containers, check image and runtime, remove what dead runners left.

    Args:
        driver: `engine` or `oci`.
        image_id: the pinned image's id, `sha256:` and 64 hexadecimal digits.
        runtime: the OCI runtime: `runc` or `runsc`; for the driver `oci` only `runc`.
        base_url: where the engine is; None means DOCKER_HOST or the usual socket.
        engine_seconds: how long the engine may take for one request.
        folder: where the driver `oci` keeps the image's root, private to the runner.

    Raises:
        SandboxUnavailable: no engine, no such image, an image with another harness than this
            runner's, or no such runtime; or the driver cannot work here.
        ValueError: no folder for the driver `oci`, or a driver that makes no containers.
    """
    if driver == "oci":
        if folder is None:
            raise ValueError("the driver `oci` needs a folder for the image's root")
        return OciDriver.connect(image_id, runtime, folder, next(serials), base_url)
    if driver != "engine":
        raise ValueError(f"the driver {driver!r} makes no containers")
    engine = Engine(base_url, engine_seconds)
    check_image(engine, image_id)
    if runtime not in (known := engine.runtimes()):
        raise unavailable(
            "runtime",
            "the engine does not have the runtime that the policy asks for",
            value=f"{runtime}, known: {', '.join(known)}",
            advice="install it and name it in the engine's configuration, or change the policy",
        )
    orphans.sweep(engine)
    return EngineDriver(engine, image_id, next(serials))


def check_image(engine: Engine, wanted: str) -> None:
    """Refuse an image that is not this runner's, named by its id.

    Raises:
        SandboxUnavailable: no such image, another harness, or no engine.
    """
    info = image.describe(engine.client, wanted)
    ours = image.harness_digest()
    if info.id != wanted or info.harness != ours:
        raise SandboxUnavailable(
            problem(
                "sandbox.image-other",
                "the image is not this runner's runtime image, named by its id",
                value=f"{wanted}: id {info.id}, harness {info.harness or 'none'}",
                expected=f"an image id, and the harness {ours}",
                advice="run `sealgate image build` and `sealgate image pin`",
            )
        )
