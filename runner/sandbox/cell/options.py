"""The container of the cell level: the hardening of the container level, and what differs.

PID 1 must make namespaces and mounts for the cells, which the profile of the container level does
not let anybody do. `container_profile` adds exactly that; each cell's own filter, made from the
unchanged `seccomp.json`, takes it away again before a plugin's first line.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from runner.sandbox import options
from runner.sandbox.harness import cell_steps
from runner.sandbox.image import ENTRYPOINT
from trust.wheel import Limits

CELLS = 4
"""Calls of one plugin version that run at one time."""
BASE_MEMORY_BYTES = 64 << 20
"""PID 1, the zygote, the compiled code and the kernel's share of the namespaces."""
BASE_PROCESSES = 16
OPEN_FILES = 1024
"""Of PID 1, which holds five for each cell; a cell's own limit is that of the container level."""

COMMAND = (*ENTRYPOINT[:-1], "/sealgate/_sealgate_harness/cell_start.py")

_CELL_FLAGS = (
    cell_steps.CLONE_NEWUSER
    | cell_steps.CLONE_NEWPID
    | cell_steps.CLONE_NEWNS
    | cell_steps.CLONE_NEWIPC
    | cell_steps.CLONE_NEWUTS
    | cell_steps.CLONE_NEWNET
)


def _when(names: list[str], comment: str, *conditions: tuple[int, str, int, int]) -> dict[str, Any]:
    return {
        "comment": comment,
        "names": names,
        "action": "SCMP_ACT_ALLOW",
        "args": [
            {"index": index, "op": operator, "value": value, "valueTwo": other}
            for index, operator, value, other in conditions
        ],
    }


def container_profile(base: str | None = None) -> str:
    """Return the profile that is put around a container of this level, JSON.

    Args:
        base: the profile of the container level; None means ours.
    """
    profile = copy.deepcopy(json.loads(base or options.seccomp_profile()))
    for rule in profile["syscalls"]:
        if rule["names"] == ["clone"]:
            argument = rule["args"][0]
            argument["value"] &= ~_CELL_FLAGS
    profile["syscalls"] += [
        _when(
            ["unshare"],
            "PID 1 leaves the container's root, once",
            (0, "SCMP_CMP_EQ", cell_steps.CLONE_NEWUSER | cell_steps.CLONE_NEWNS, 0),
        ),
        _when(
            ["unshare"],
            "the network namespace of a berth",
            (0, "SCMP_CMP_EQ", cell_steps.CLONE_NEWUSER | cell_steps.CLONE_NEWNET, 0),
        ),
        _when(["pidfd_open", "pidfd_send_signal"], "to end a cell, and never another process"),
        _when(["sendmsg", "recvmsg"], "a berth hands a cell's pipes to PID 1"),
        _when(["mount", "umount2", "pivot_root"], "in namespaces of PID 1 and of cells"),
        _when(["capset"], "to give capabilities up"),
        _when(
            ["sched_setscheduler"],
            "cells give way to who waits for their answer",
            (1, "SCMP_CMP_EQ", os.SCHED_BATCH, 0),
        ),
    ]
    return json.dumps(profile, separators=(",", ":"))


@cache
def default_profile() -> str:
    """Return `container_profile()`, made once."""
    return container_profile()


@dataclass(frozen=True, slots=True)
class CellHardening(options.Hardening):
    """Every control of a container of this level; the cells' own are `harness.cell_steps.Steps`.

    Attributes:
        cells: calls that may run at one time.
        apparmor: the AppArmor profile; "" is the one that an engine takes.
        command: what the container executes. The image's own command of this level takes no
            options; tests start another one.
    """

    seccomp: str = dataclasses.field(default_factory=default_profile)
    open_files: int = OPEN_FILES
    cells: int = CELLS
    apparmor: str = ""
    command: tuple[str, ...] = COMMAND

    def for_limits(self, limits: Limits) -> CellHardening:
        """Return the hardening of a container whose calls have these limits."""
        each = limits.memory_bytes + options.TMP_MAX_BYTES
        return dataclasses.replace(
            self,
            memory_bytes=BASE_MEMORY_BYTES + self.cells * each,
            # a call's processes may still be ending while the next one runs; and the berths
            pids=BASE_PROCESSES + self.cells + 2 * self.cells * (limits.processes + 1),
            nano_cpus=1_000_000_000 * min(self.cells, os.cpu_count() or 1),
        )

    def summary(self) -> dict[str, Any]:
        """Return what a record says of the controls in force."""
        told = options.Hardening.summary(self)
        told["seccomp"] = "sealgate-cell" if self.seccomp == default_profile() else "other"
        del told["command"]
        told["walls"] = [field.name for field in dataclasses.fields(cell_steps.Steps)]
        return told
