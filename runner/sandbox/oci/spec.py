"""From a `Hardening` to the OCI runtime's configuration. Pure.

Source: OCI Runtime Specification 1.0.2, config.md and config-linux.md. Mounts, devices and
capabilities are those that Docker's engine gives a container with the same options.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from runner.sandbox.errors import SandboxUnavailable
from runner.sandbox.options import Hardening
from trust.errors import problem

OCI_VERSION = "1.0.2"
PERIOD_MICROS = 100_000
"""The kernel's accounting period of the CPU quota."""

_BARE = ["nosuid", "noexec", "nodev"]
_ENGINE_CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
]  # fmt: skip
_DEVICES = ((1, 3), (1, 5), (1, 8), (1, 9), (5, 0), (5, 1))
"""null, zero, random, urandom, tty, console."""
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}


_TRANSLATED = frozenset(
    {
        "apparmor", "auto_remove", "command", "core_dumps", "drop_capabilities", "file_bytes",
        "hostname", "ipc", "log_driver", "masked_paths", "memory_bytes", "message_queues",
        "nano_cpus", "network", "no_new_privileges", "open_files", "pids", "read_only",
        "readonly_paths", "runtime", "seccomp", "stdin_once", "swap", "tmpfs", "user",
    }
)  # fmt: skip
"""Every option that this module knows what to do with; one that is not here is refused."""
_WITHOUT_MEANING = frozenset({"cells"})
"""How many calls run at one time: the limits on memory and processes say it to the kernel."""


def _refuse(what: str, value: object, expected: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        problem(
            "sandbox.oci-option",
            what,
            value=value,
            expected=expected,
            advice="use the driver `engine` for a container with this option",
        )
    )


@lru_cache(maxsize=8)
def _seccomp(profile: str, machine: str) -> dict[str, Any]:
    """Translate an engine's profile: it has a map of architectures and comments, the OCI's not."""
    source = json.loads(profile)
    wanted = _ARCHITECTURES.get(machine, machine)
    found = [
        [entry["architecture"], *entry["subArchitectures"]]
        for entry in source["archMap"]
        if entry["architecture"] == wanted
    ]
    if not found:
        raise _refuse("the profile does not know this machine", machine, ", ".join(_ARCHITECTURES))
    syscalls = []
    for rule in source["syscalls"]:
        if unknown := set(rule) - {"comment", "names", "action", "args", "errnoRet"}:
            raise _refuse("a rule of the profile is not unconditional", unknown, "plain rules only")
        syscalls.append({key: rule[key] for key in rule if key != "comment"})
    return {
        "defaultAction": source["defaultAction"],
        "defaultErrnoRet": source["defaultErrnoRet"],
        "architectures": found[0],
        "syscalls": syscalls,
    }


def _mounts(hardening: Hardening) -> Iterator[dict[str, Any]]:
    def mount(where: str, kind: str, options: list[str], source: str = "") -> dict[str, Any]:
        return {"destination": where, "type": kind, "source": source or kind, "options": options}

    yield mount("/proc", "proc", _BARE)
    yield mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"])
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    yield mount("/dev/pts", "devpts", terminals)
    yield mount("/sys", "sysfs", [*_BARE, "ro"])
    yield mount("/sys/fs/cgroup", "cgroup", [*_BARE, "ro"])
    yield mount("/dev/mqueue", "mqueue", _BARE)
    if hardening.ipc == "private":
        yield mount("/dev/shm", "tmpfs", [*_BARE, "mode=1777", "size=65536k"], "shm")  # noqa: S108
    elif hardening.ipc != "none":
        raise _refuse("no such IPC mode here", hardening.ipc, "none or private")
    if hardening.tmpfs:
        own = [] if {"exec", "suid", "dev"} & set(hardening.tmpfs.split(",")) else ["rprivate"]
        yield mount("/tmp", "tmpfs", [*own, *hardening.tmpfs.split(",")])  # noqa: S108


def _namespaces(hardening: Hardening) -> list[dict[str, str]]:
    kinds = ["mount", "uts", "pid", "ipc", "cgroup"]
    if hardening.network == "none":
        kinds.append("network")
    elif hardening.network != "host":
        raise _refuse("no such network here", hardening.network, "none")
    return [{"type": kind} for kind in kinds]


def _rlimits(hardening: Hardening) -> list[dict[str, Any]]:
    limits = {}
    if not hardening.message_queues:
        limits["RLIMIT_MSGQUEUE"] = 0
    if not hardening.core_dumps:
        limits["RLIMIT_CORE"] = 0
    if hardening.open_files:
        limits["RLIMIT_NOFILE"] = hardening.open_files
    if hardening.file_bytes:
        limits["RLIMIT_FSIZE"] = hardening.file_bytes
    return [{"type": kind, "soft": value, "hard": value} for kind, value in limits.items()]


def _resources(hardening: Hardening) -> dict[str, Any]:
    devices: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    devices += [
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
        for major, minor in _DEVICES
    ]
    resources: dict[str, Any] = {"devices": devices}
    if hardening.memory_bytes:
        swap = -1 if hardening.swap else hardening.memory_bytes
        resources["memory"] = {"limit": hardening.memory_bytes, "swap": swap}
    if hardening.pids:
        resources["pids"] = {"limit": hardening.pids}
    if hardening.nano_cpus:
        quota = hardening.nano_cpus * PERIOD_MICROS // 1_000_000_000
        resources["cpu"] = {"quota": quota, "period": PERIOD_MICROS}
    return resources


def _check_options(hardening: Hardening) -> None:
    names = {field.name for field in dataclasses.fields(hardening)}
    if unknown := names - _TRANSLATED - _WITHOUT_MEANING:
        raise _refuse("options that this driver does not know", sorted(unknown), "none")
    wanted = {"stdin_once": True, "auto_remove": True, "log_driver": "none", "runtime": "runc"}
    for name, value in wanted.items():
        if getattr(hardening, name) != value:
            raise _refuse(f"`{name}` cannot be changed", getattr(hardening, name), str(value))


def runtime_spec(
    hardening: Hardening,
    *,
    root: str,
    command: tuple[str, ...],
    container: str,
    cgroup: str,
    apparmor: str = "",
    machine: str = "",
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the document that `config.json` of a bundle has.

    Args:
        hardening: every control, of either level.
        root: the root file system's folder.
        command: the image's own command, for a hardening that names none.
        container: the container's id, for its host name where no other is wanted.
        cgroup: the container's own cgroup, an absolute path in each hierarchy.
        apparmor: the AppArmor profile that was found to be loaded; "" is none.
        machine: as `platform.machine()` tells it; "" is this one.
        labels: what the container is marked with, as annotations.

    Raises:
        SandboxUnavailable: an option has a value that only an engine knows, or that would leave
            something behind: every container of this driver ends with its stream, is removed, and
            writes no log. Or there is an option that this function does not know.
    """
    _check_options(hardening)
    if hardening.apparmor and hardening.apparmor != apparmor:
        raise _refuse("the AppArmor profile is another one", apparmor, hardening.apparmor)
    uid, _, gid = hardening.user.partition(":")
    kept = [] if hardening.drop_capabilities else _ENGINE_CAPABILITIES
    sets = ("bounding", "effective", "permitted", "inheritable", "ambient")
    process: dict[str, Any] = {
        "terminal": False,
        "user": {"uid": int(uid), "gid": int(gid), "additionalGids": [int(gid)]},
        "args": list(hardening.command or command),
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "cwd": "/",
        "capabilities": {each: kept if each in sets[:3] else [] for each in sets},
        "rlimits": _rlimits(hardening),
        "noNewPrivileges": hardening.no_new_privileges,
        "oomScoreAdj": 0,
    }
    if apparmor:
        process["apparmorProfile"] = apparmor
    linux: dict[str, Any] = {
        "cgroupsPath": cgroup,
        "namespaces": _namespaces(hardening),
        "resources": _resources(hardening),
        "rootfsPropagation": "private",
        "maskedPaths": list(hardening.masked_paths),
        "readonlyPaths": list(hardening.readonly_paths),
    }
    if hardening.seccomp != "unconfined":
        linux["seccomp"] = _seccomp(hardening.seccomp, machine or platform.machine())
    return {
        "ociVersion": OCI_VERSION,
        "process": process,
        "root": {"path": root, "readonly": hardening.read_only},
        "hostname": hardening.hostname or container,
        "mounts": list(_mounts(hardening)),
        "linux": linux,
        "annotations": dict(labels or {}),
    }
