"""The cgroups of our own containers: counted, emptied and removed, on cgroup v1 and v2 alike."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

PARENT = "sealgate-oci"
"""Below this one, each sandbox has a cgroup of its own, and in it one for each container."""


def hierarchies() -> tuple[Path, ...]:
    """Return where cgroups are mounted: one place (v2), or one for each controller (v1)."""
    found: dict[Path, None] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split(" ", 1)[0] in ("cgroup", "cgroup2"):
            found[Path(before.split(" ")[4])] = None
    return tuple(found)


class Cgroups:
    """The cgroups below one path, in every hierarchy.

    Args:
        name: one path component.
        mounts: where cgroups are mounted.
    """

    def __init__(self, name: str, mounts: tuple[Path, ...]) -> None:
        self._mounts = mounts
        self._name = name

    def path(self, container: str) -> str:
        """Return a container's cgroup, as the OCI runtime takes it."""
        return f"/{PARENT}/{self._name}/{container}"

    def _folders(self, container: str) -> list[Path]:
        return [mount / PARENT / self._name / container for mount in self._mounts]

    def names(self) -> set[str]:
        """Return the containers that have a cgroup in any hierarchy."""
        found: set[str] = set()
        for folder in self._folders(""):
            with suppress(OSError):
                found |= {entry.name for entry in os.scandir(folder) if entry.is_dir()}
        return found

    def out_of_memory(self, container: str) -> bool:
        """Whether the kernel's OOM killer struck in the container."""
        for folder in self._folders(container):
            for file in ("memory.events", "memory.oom_control"):
                with suppress(OSError):
                    for line in (folder / file).read_text().splitlines():
                        name, _, count = line.partition(" ")
                        if name == "oom_kill" and count.strip() != "0":
                            return True
        return False

    def kill(self, container: str) -> None:
        """Kill every process in the container."""
        for folder in self._folders(container):
            with suppress(OSError):
                for pid in (folder / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)

    def remove(self, container: str) -> bool:
        """Remove the container's cgroup everywhere; return whether all are gone."""
        gone = True
        for folder in self._folders(container):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:  # a process in it has not quite ended
                gone = False
        return gone

    def close(self) -> None:
        """Remove the sandbox's own cgroup, and the parent of all if nobody else has one."""
        for mount in self._mounts:
            for folder in (mount / PARENT / self._name, mount / PARENT):
                with suppress(OSError):
                    folder.rmdir()
