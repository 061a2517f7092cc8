"""Why a host makes no cells, and what to change there.

`CellSandbox.probe` makes one container and one cell in it. What fails names its step and the errno,
and this module knows what that means. Only one thing is taken from the kernel's version: whether
RLIMIT_NPROC counts in each user namespace by itself.
"""

from __future__ import annotations

import errno
import io
import re
import zipfile

from runner.sandbox.cell.options import CellHardening
from runner.sandbox.errors import SandboxUnavailable
from runner.sandbox.harness import cell_steps
from trust.errors import problem

APPARMOR_PROFILE = "sealgate-cell"
OLDEST_KERNEL = (5, 14)


def _empty_wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("probe.py"), "")
    return buffer.getvalue()


WHEEL = _empty_wheel()
"""What the probe's container holds: one empty module, which is never called."""

_STEPS = {
    cell_steps.SEAL: "PID 1 could not leave the container's root",
    cell_steps.CLONE: "the kernel made no process in namespaces of its own",
    cell_steps.IDENTITY: "the user could not be mapped into the cell's user namespace",
    cell_steps.SACRIFICE: "the cell could not be made the OOM killer's first victim",
    cell_steps.TMP: "the cell's own /tmp could not be mounted",
    cell_steps.LIMITS: "the cell's resource limits could not be set",
    cell_steps.CAPABILITIES: "the cell's capabilities could not be dropped",
    cell_steps.PRIVILEGES: "no-new-privileges could not be set",
    cell_steps.FILTER: "the cell's seccomp filter could not be installed",
    cell_steps.DESCRIPTORS: "the cell's descriptors could not be closed",
    cell_steps.NETWORK: "no network namespace could be made",
    cell_steps.LOST: "the cell ended before it was ready",
}
_NAMESPACES = (
    "let unprivileged processes make user namespaces: `sysctl user.max_user_namespaces=15000`, on "
    "Debian `kernel.unprivileged_userns_clone=1`, on Ubuntu 24.04 and later load "
    "deploy/apparmor/sealgate-cell-abi4"
)
_ABOUT_NAMESPACES = (cell_steps.CLONE, cell_steps.IDENTITY, cell_steps.NETWORK)
_MOUNTS = (
    "let the container mount inside its own namespaces: load the AppArmor profile with "
    "`apparmor_parser -r deploy/apparmor/sealgate-cell`; under SELinux or another security "
    "module, let containers mount in user namespaces"
)


def refused(step: int, number: int) -> SandboxUnavailable:
    """Return the refusal of a host where a step of the first cell failed."""
    name = errno.errorcode.get(number, str(number)) if number else "no errno"
    advice = _NAMESPACES if step in _ABOUT_NAMESPACES else _MOUNTS
    if step == cell_steps.SEAL and number in (errno.EPERM, errno.ENOSPC, errno.EUSERS):
        advice = f"{_NAMESPACES}; and {_MOUNTS}"
    return _refusal(_STEPS.get(step, f"step {step} failed"), name, advice)


def _refusal(what: str, value: str, advice: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        problem(
            "sandbox.cells",
            f"this host makes no cells: {what}",
            value=value,
            expected="unprivileged user namespaces, with mounts inside them, in a container",
            advice=f"{advice}; or allow the plugin at the level `container` only",
        )
    )


def not_started(error: SandboxUnavailable, hardening: CellHardening) -> SandboxUnavailable:
    """Return what an operator must know if the container did not start."""
    if hardening.apparmor and "apparmor" in error.problem.value.lower():
        return _refusal("its AppArmor profile is not loaded", error.problem.value, _MOUNTS)
    return error


def check_kernel(release: str) -> None:
    """Refuse a kernel in which all cells and the whole host share one count of processes.

    Args:
        release: as `uname -r` tells it; "" where nobody knows.

    Raises:
        SandboxUnavailable: the kernel is too old, or its version is not known.
    """
    match = re.match(r"(\d+)\.(\d+)", release)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_KERNEL:
        raise _refusal(
            "its kernel counts the processes of all cells together",
            release or "no version",
            f"run Linux {'.'.join(map(str, OLDEST_KERNEL))} or later",
        )
