"""The hardening of a container: one named field for each control, so that a test can remove one.

Every option here is enforced by the engine or the kernel, on cgroup v1 and v2 alike. What the
supervisor enforces beside them (output, CPU seconds, first victim of the OOM killer) is in
`harness`; the wall clock is the runner's own.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

LABEL_RUNNER = "org.sealgate.runner"
LABEL_OWNER = "org.sealgate.owner"

TMP_MAX_BYTES = 16 << 20
TMP_INODES = 1024
OPEN_FILES = 256


@dataclass(frozen=True, slots=True)
class Overhead:
    """What a runtime itself needs inside the limits: processes and threads, and bytes."""

    processes: int
    memory_bytes: int


OVERHEADS = {
    "bubblewrap": Overhead(0, 0),
    "runc": Overhead(1, 0),
    "runsc": Overhead(64, 32 << 20),
}
"""Under runc the supervisor alone; under gVisor the user-space kernel is in the same cgroup too."""

MASKED_PATHS = (
    # the engine's own list
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
    # what tells about the host, its name servers among it
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc/cmdline",
    "/proc/kallsyms",
    "/proc/modules",
    "/proc/partitions",
    "/sys/block",
    "/sys/bus",
    "/sys/class",
    "/sys/dev",
    "/sys/devices",
    "/sys/kernel",
    "/sys/module",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@cache
def seccomp_profile() -> str:
    """Return our seccomp profile as the engine takes it: one line of JSON."""
    source = importlib.resources.files("runner.sandbox").joinpath("seccomp.json")
    return json.dumps(json.loads(source.read_bytes()), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Hardening:
    """Every control of one container. The defaults are what calls run with.

    Attributes:
        network: the network mode; `none` has a loopback device only.
        read_only: mount the root file system read-only.
        tmpfs: mount options of /tmp, the one writable place; "" takes the file system away.
        user: uid and gid of every process.
        drop_capabilities: drop every capability.
        no_new_privileges: setuid bits and file capabilities have no effect.
        seccomp: the profile, JSON; "unconfined" takes it away.
        memory_bytes: memory of all processes, page cache and tmpfs together; 0 is no bound.
        swap: allow swap beside the memory.
        pids: processes and threads at one time; 0 is no bound.
        nano_cpus: CPU time per second of elapsed time, in 10^-9 CPUs; 0 is no bound.
        ipc: the IPC mode; `none` has neither System V IPC of others nor /dev/shm.
        log_driver: `none` keeps nothing of what a container writes on the host's disk.
        open_files: descriptors of one process; 0 leaves the engine's default.
        file_bytes: size of one file, in bytes; 0 is no bound.
        core_dumps: allow core dumps.
        message_queues: allow POSIX message queues, which /dev/mqueue makes without a system call
            that a profile could refuse.
        masked_paths: paths of /proc and /sys that read as empty.
        readonly_paths: paths of /proc that cannot be written.
        stdin_once: the container's stdin ends when the runner's connection does.
        auto_remove: the engine removes the container when it ends.
        hostname: what every container is called.
        runtime: the OCI runtime, `runc` or `runsc` (gVisor).
    """

    network: str = "none"
    read_only: bool = True
    tmpfs: str = f"rw,noexec,nosuid,nodev,size={TMP_MAX_BYTES},nr_inodes={TMP_INODES},mode=1777"
    user: str = "65534:65534"
    drop_capabilities: bool = True
    no_new_privileges: bool = True
    seccomp: str = dataclasses.field(default_factory=seccomp_profile)
    memory_bytes: int = 128 << 20
    swap: bool = False
    pids: int = 17
    nano_cpus: int = 1_000_000_000
    ipc: str = "none"
    log_driver: str = "none"
    open_files: int = OPEN_FILES
    file_bytes: int = TMP_MAX_BYTES
    core_dumps: bool = False
    message_queues: bool = False
    masked_paths: tuple[str, ...] = MASKED_PATHS
    readonly_paths: tuple[str, ...] = READONLY_PATHS
    stdin_once: bool = True
    auto_remove: bool = True
    hostname: str = "sandbox"
    runtime: str = "runc"

    @property
    def command(self) -> tuple[str, ...]:
        """What the container executes instead of the image's own command; () is that."""
        return ()

    @property
    def apparmor(self) -> str:
        """The AppArmor profile around the container; "" is the one that an engine takes."""
        return ""

    def _ulimits(self) -> list[dict[str, Any]]:
        limits = []
        if not self.message_queues:
            limits.append({"Name": "msgqueue", "Soft": 0, "Hard": 0})
        if not self.core_dumps:
            limits.append({"Name": "core", "Soft": 0, "Hard": 0})
        if self.open_files:
            limits.append({"Name": "nofile", "Soft": self.open_files, "Hard": self.open_files})
        if self.file_bytes:
            limits.append({"Name": "fsize", "Soft": self.file_bytes, "Hard": self.file_bytes})
        return limits

    def container_config(self, image: str, labels: dict[str, str]) -> dict[str, Any]:
        """Return the body of the engine's `POST /containers/create`.

        Args:
            image: the image's id; its configuration has the entry point.
            labels: what the container is marked with.
        """
        security = [f"seccomp={self.seccomp}"]
        if self.no_new_privileges:
            security.append("no-new-privileges")
        if self.apparmor:
            security.append(f"apparmor={self.apparmor}")
        host: dict[str, Any] = {
            "NetworkMode": self.network,
            "ReadonlyRootfs": self.read_only,
            "CapDrop": ["ALL"] if self.drop_capabilities else [],
            "SecurityOpt": security,
            "IpcMode": self.ipc,
            "LogConfig": {"Type": self.log_driver, "Config": {}},
            "Ulimits": self._ulimits(),
            "MaskedPaths": list(self.masked_paths),
            "ReadonlyPaths": list(self.readonly_paths),
            "AutoRemove": self.auto_remove,
            "Runtime": self.runtime,
            "Init": False,
            "OomScoreAdj": 0,
        }
        if self.tmpfs:
            host["Tmpfs"] = {"/tmp": self.tmpfs}  # noqa: S108 - in the container
        if self.memory_bytes:
            host["Memory"] = self.memory_bytes
            host["MemorySwap"] = -1 if self.swap else self.memory_bytes
        if self.pids:
            host["PidsLimit"] = self.pids
        if self.nano_cpus:
            host["NanoCpus"] = self.nano_cpus
        config: dict[str, Any] = {
            "Image": image,
            "User": self.user,
            "Hostname": self.hostname,
            "Env": [],
            "OpenStdin": True,
            "StdinOnce": self.stdin_once,
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": False,
            "NetworkDisabled": False,
            "Labels": labels,
            "HostConfig": host,
        }
        if self.command:
            config["Entrypoint"] = list(self.command)
        return config

    def summary(self) -> dict[str, Any]:
        """Return what a record says of the controls in force."""
        data = dataclasses.asdict(self)
        del data["seccomp"], data["masked_paths"], data["readonly_paths"]
        data["seccomp"] = "unconfined" if self.seccomp == "unconfined" else "sealgate"
        return data


def for_limits(base: Hardening, *, memory_bytes: int, processes: int) -> Hardening:
    """Return `base` with the limits that one plugin was granted.

    Args:
        base: the controls that do not depend on the plugin.
        memory_bytes: memory of the whole container, the harness included, in bytes.
        processes: processes and threads of the plugin.
    """
    extra = OVERHEADS.get(base.runtime, OVERHEADS["runsc"])
    return dataclasses.replace(
        base,
        memory_bytes=memory_bytes + extra.memory_bytes if base.memory_bytes else 0,
        pids=processes + extra.processes if base.pids else 0,
    )
