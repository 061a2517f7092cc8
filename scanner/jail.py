"""Confinement of the current process, entered before it sees a byte of the wheel.

The process must have imported everything that it will ever need: afterwards it can open no file
and no socket, sees an empty root directory, an empty network and nobody else's memory, and holds
no privilege. Nothing here can be undone by the process itself.

Linux only: namespaces(7), capabilities(7), setrlimit(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import resource
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
"""The unprivileged user and group that the process becomes."""

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9
_CAPABILITY_VERSION_3 = 0x20080522
_FIRST_FREE_DESCRIPTOR = 3


class JailRefused(Exception):
    """The host does not permit a part of the confinement; the message says which."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the process may use.

    Attributes:
        cpu_seconds: processor time from now on, in whole seconds.
        memory_bytes: address space, in bytes.
        require_network_isolation: whether to refuse where no network namespace is granted.
    """

    cpu_seconds: int
    memory_bytes: int
    require_network_isolation: bool


def enter(scratch: Path, bounds: Bounds) -> None:
    """Confine the current process for good; it must have one thread only.

    Args:
        scratch: an empty directory, which becomes the root directory.
        bounds: the limits.

    Raises:
        JailRefused: a part of it is not permitted here. The process is then only partly confined
            and must not read hostile input.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    isolated = _unshare(libc)
    if not isolated and bounds.require_network_isolation:
        raise JailRefused(
            "the host grants no network namespace, neither to this user nor in a user namespace"
        )
    _change_root(scratch, required=isolated)
    _limit(bounds)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _drop_capabilities(libc)
    _check(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    _check(libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "pdeathsig")


def _check(status: int, what: str) -> None:
    if status != 0:
        raise JailRefused(f"{what}: {os.strerror(ctypes.get_errno())}")


def _unshare(libc: ctypes.CDLL) -> bool:
    """Leave the host's network and IPC; as a user, by a user namespace of our own."""
    if os.geteuid() == 0 and libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC) == 0:
        return True
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")
    except OSError as error:
        raise JailRefused(f"user namespace: {error.strerror}") from error
    return True


def _change_root(scratch: Path, *, required: bool) -> None:
    try:
        os.chroot(scratch)
    except OSError as error:
        if required:
            raise JailRefused(f"chroot: {error.strerror}") from error
    os.chdir("/")


def _limit(bounds: Bounds) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    seconds = bounds.cpu_seconds + spent
    limits = {
        resource.RLIMIT_CPU: (seconds, seconds + 1),
        resource.RLIMIT_AS: (bounds.memory_bytes, bounds.memory_bytes),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_NOFILE: (_FIRST_FREE_DESCRIPTOR, _FIRST_FREE_DESCRIPTOR),
    }
    try:
        for limit, pair in limits.items():
            resource.setrlimit(limit, pair)
    except (OSError, ValueError) as error:
        raise JailRefused(f"rlimits: {error}") from error


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(libc.capset(ctypes.byref(header), ctypes.byref(nothing)), "capabilities")
