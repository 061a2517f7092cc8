"""Which driver a new deployment is to have: found out by trying, and said with the reason."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runner.sandbox.errors import SandboxUnavailable
from runner.sandbox.execution import DriverName
from runner.sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Choice:
    """A driver, and why it is this one, for the operator."""

    driver: DriverName
    why: str


def choose_driver(image: str, runtime: str = "runc") -> Choice:
    """Return `oci` where this user can make containers by it on this machine, else `engine`.

    Only for a policy that is being written; a runner never chooses (docs/adr/0025).

    Args:
        image: the runtime image's id.
        runtime: the OCI runtime that the policy is to name.
    """
    if os.geteuid() != 0:
        return Choice("engine", "the runner is not to be root's")
    with tempfile.TemporaryDirectory(prefix="sealgate-driver-") as folder:
        try:
            Sandbox.connect(image, runtime, driver="oci", folder=Path(folder)).close()
        except SandboxUnavailable as error:
            found = error.problem
            return Choice("engine", f"oci does not work here: {found.what} ({found.value})")
    return Choice("oci", "the runner is to be root's, and a container was made by it")
