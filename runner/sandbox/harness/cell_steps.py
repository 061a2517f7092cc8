"""What is done to a process before it may touch a plugin: one named step for each wall.

`Steps` has them all, and all are on; only a test makes one that leaves a step out, by starting
the container with another command. A step that fails raises `StepFailed`, and there is no cell.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import resource
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
BARE = MS_NOSUID | MS_NODEV | MS_NOEXEC

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63

EXIT_ORPHAN = 79
STACK_BYTES = 8 << 20
NICE = 5
DEVICES = ("null", "zero", "full", "random", "urandom")
_NUMBERS = {"x86_64": (56, 155, 126), "aarch64": (220, 41, 91)}
"""clone, pivot_root, capset."""

_libc = ctypes.CDLL(None, use_errno=True)
_held = ctypes.PyDLL(None, use_errno=True)
"""The same library, called with the interpreter's lock held, as a fork must be."""
_held.syscall.argtypes = [ctypes.c_long] * 6
_held.syscall.restype = ctypes.c_long
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_fork_child = ctypes.pythonapi.PyOS_AfterFork_Child
_CLONE, _PIVOT_ROOT, _CAPSET = _NUMBERS[os.uname().machine]
_SIGCHLD = int(signal.SIGCHLD)
_UID, _GID = os.getuid(), os.getgid()
"""Asked before there is a user namespace without maps, where both are the overflow ids."""

SEAL, CLONE, IDENTITY, SACRIFICE, TMP, LIMITS, CAPABILITIES, PRIVILEGES, FILTER, DESCRIPTORS = (
    range(1, 11)
)
"""The numbers of the steps, as a failure names them; 0 is no failure."""
LOST = 11
"""A cell ended before it said that it is ready."""
NETWORK = 12
"""A berth got no network namespace of its own."""


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends; `parent` is that one's PID."""
    _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(EXIT_ORPHAN)


class StepFailed(Exception):
    """A step could not be taken; `step` is its number, `number` the errno."""

    def __init__(self, step: int, number: int) -> None:
        super().__init__(step, number)
        self.step = step
        self.number = number


@contextmanager
def step(number: int) -> Iterator[None]:
    """Turn what goes wrong inside into a `StepFailed` of that step."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise StepFailed(number, getattr(error, "errno", 0) or 0) from error


@dataclasses.dataclass(frozen=True, slots=True)
class Steps:
    """Every wall around a cell. What each stops is in docs/sandbox.md.

    Attributes:
        sealed_root: PID 1 leaves the container's root for one with the interpreter, five devices
            and nothing else: no /proc, no /sys, no harness.
        user_namespace, pid_namespace, mount_namespace, ipc_namespace, uts_namespace: each cell
            has its own.
        network_namespace: each berth has its own, in which one cell is at a time.
        own_tmp: an empty, bounded /tmp of the cell's own.
        sacrifice: the cell is the OOM killer's first victim, and gives way to PID 1.
        address_space, cpu, open_files, file_size, core, stack, processes, queues: resource limits.
        drop_capabilities: no capability in any set, in the cell's user namespace either.
        no_new_privileges: nothing that is executed gains any.
        seccomp: the filter of the container level.
        close_descriptors: nothing but the five descriptors that the cell needs.
        clean_environment: three variables and no more.
    """

    sealed_root: bool = True
    user_namespace: bool = True
    pid_namespace: bool = True
    mount_namespace: bool = True
    ipc_namespace: bool = True
    uts_namespace: bool = True
    network_namespace: bool = True
    own_tmp: bool = True
    sacrifice: bool = True
    address_space: bool = True
    cpu: bool = True
    open_files: bool = True
    file_size: bool = True
    core: bool = True
    stack: bool = True
    processes: bool = True
    queues: bool = True
    drop_capabilities: bool = True
    no_new_privileges: bool = True
    seccomp: bool = True
    close_descriptors: bool = True
    clean_environment: bool = True

    def namespaces(self) -> int:
        """Return the flags of clone(2)."""
        return (
            CLONE_NEWUSER * self.user_namespace
            | CLONE_NEWPID * self.pid_namespace
            | CLONE_NEWNS * self.mount_namespace
            | CLONE_NEWIPC * self.ipc_namespace
            | CLONE_NEWUTS * self.uts_namespace
            # a berth makes its own only together with a user namespace
            | CLONE_NEWNET * (self.network_namespace and not self.user_namespace)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class CellLimits:
    """The limits of one cell: bytes, seconds and counts, as in `cell_protocol.SETUP`."""

    memory_bytes: int
    processes: int
    cpu_seconds: int
    output_bytes: int
    open_files: int
    file_bytes: int
    tmp_bytes: int
    tmp_inodes: int


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    _check(
        _libc.mount(
            source.encode(),
            target.encode(),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            data.encode() or None,
        )
    )


def _write_at(folder: int, path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _map_identity(proc: int, uid: int, gid: int) -> None:
    """Be the same user in the new user namespace, and nobody else (user_namespaces(7))."""
    _write_at(proc, "self/setgroups", "deny")
    _write_at(proc, "self/uid_map", f"{uid} {uid} 1")
    _write_at(proc, "self/gid_map", f"{gid} {gid} 1")


def seal_root(proc: int) -> None:
    """Leave the container's root for a small read-only one, in namespaces of our own.

    Only the caller's descriptor `proc` leads back to /proc; cells close it.
    """
    with step(SEAL):
        _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
        _map_identity(proc, _UID, _GID)
        _mount("none", "/", None, MS_REC | MS_PRIVATE)
        root = Path("/tmp")  # noqa: S108 - the container's own, as the place to build in
        _mount("tmpfs", str(root), "tmpfs", BARE, "size=64k,nr_inodes=32,mode=755")
        for name in ("etc", "dev", "tmp", "proc", "sys"):
            (root / name).mkdir(0o755)
        for folder in (Path("/usr"), Path("/lib"), Path("/lib64")):
            copy = root / folder.name
            if folder.is_symlink():
                copy.symlink_to(folder.readlink())
            elif folder.is_dir():
                copy.mkdir(0o755)
                _mount(str(folder), str(copy), None, MS_BIND | MS_REC)
        for name in ("passwd", "group"):
            (root / "etc" / name).write_bytes(Path("/etc", name).read_bytes())
        for name in DEVICES:
            os.close(os.open(f"{root}/dev/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
            _mount(f"/dev/{name}", f"{root}/dev/{name}", None, MS_BIND)
        os.chdir(root)
        here = ctypes.c_char_p(b".")
        _check(_libc.syscall(ctypes.c_long(_PIVOT_ROOT), here, here))
        _check(_libc.umount2(here, MNT_DETACH))
        os.chdir("/")
        _mount("none", "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | BARE)


def clone(flags: int) -> int:
    """Fork into new namespaces; returns the child's PID, and 0 in the child.

    Raises:
        StepFailed: the kernel makes no such process.
    """
    _before_fork()
    pid = int(_held.syscall(_CLONE, flags | _SIGCHLD, 0, 0, 0, 0))
    if pid == 0:
        _after_fork_child()
        return 0
    number = ctypes.get_errno()
    _after_fork_parent()
    if pid < 0:
        raise StepFailed(CLONE, number)
    return pid


def _limit(kind: int, value: int) -> None:
    resource.setrlimit(kind, (value, value))


def _inherited_limits(steps: Steps, limits: CellLimits) -> None:
    if steps.core:
        _limit(resource.RLIMIT_CORE, 0)
    if steps.stack:
        _limit(resource.RLIMIT_STACK, STACK_BYTES)
    if steps.open_files:
        _limit(resource.RLIMIT_NOFILE, limits.open_files)
    if steps.file_size:
        _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    if steps.queues:
        _limit(resource.RLIMIT_MSGQUEUE, 0)
        _limit(resource.RLIMIT_MEMLOCK, 0)


def _own_limits(steps: Steps, limits: CellLimits, mapped: int) -> None:
    if steps.cpu:
        # an init that takes no SIGXCPU from its own namespace: only the certain signal counts
        _limit(resource.RLIMIT_CPU, limits.cpu_seconds)
    if steps.processes:
        # counted in the cell's own user namespace since Linux 5.14
        _limit(resource.RLIMIT_NPROC, limits.processes)
    if steps.address_space:
        _limit(resource.RLIMIT_AS, mapped + limits.memory_bytes)


def mapped_bytes(proc: int) -> int:
    """Return the address space that this process has, in bytes; `proc` is a descriptor of /proc.

    Raises:
        StepFailed: it cannot be read.
    """
    with step(LIMITS):
        fd = os.open("self/statm", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            return int(os.read(fd, 100).split()[0]) * resource.getpagesize()
        finally:
            os.close(fd)


def drop_capabilities() -> None:
    """Give up every capability in the user namespace that the process is in.

    Raises:
        StepFailed: the kernel refused.
    """
    with step(CAPABILITIES):
        for capability in range(LAST_CAPABILITY + 1):
            if _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                break  # EINVAL: the kernel knows no more
        _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
        header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
        _check(_libc.syscall(ctypes.c_long(_CAPSET), header, bytes(24)))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class Filter:
    """A seccomp filter, laid out for the kernel once and installed by each cell."""

    def __init__(self, program: bytes) -> None:
        """Take the program.

        Raises:
            ValueError: it is none.
        """
        if not program or len(program) % 8:
            raise ValueError("no filter")
        self._code = ctypes.create_string_buffer(program, len(program))
        held = ctypes.cast(self._code, ctypes.c_void_p)
        self._program = _Program(len(program) // 8, held)
        self._pointer = ctypes.byref(self._program)

    def install(self) -> None:
        """Put it on this process, for good; raises OSError."""
        _check(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, self._pointer, 0, 0))


def prepare(steps: Steps, limits: CellLimits, proc: int) -> None:
    """Take the steps that cells inherit: called in the zygote and, again, in each berth.

    The network namespace is the caller's, in a user namespace above that of its cells in which
    nobody has a capability from here on: no cell could change it, even before it drops its own.

    Args:
        steps: which walls; all of them.
        limits: of each cell.
        proc: a descriptor of /proc.

    Raises:
        StepFailed: with the step and the errno.
    """
    if steps.user_namespace:
        with step(NETWORK):
            if steps.network_namespace:
                _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNET))
                _map_identity(proc, _UID, _GID)
        if steps.drop_capabilities:
            # what a cell needs, it has in the user namespace that it is made in
            drop_capabilities()
    with step(SACRIFICE):
        if steps.sacrifice:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
            # whoever wakes a cell, or kills it, goes on first (sched(7), SCHED_BATCH)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with step(LIMITS):
        _inherited_limits(steps, limits)
    if steps.clean_environment:
        os.environ.clear()
        os.environ.update({"HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8"})  # noqa: S108


def enter(
    steps: Steps, limits: CellLimits, program: Filter, proc: int, mapped: int, keep: int
) -> None:
    """Become a cell: called in a fresh clone, before any byte of a plugin is looked at.

    Args:
        steps: which walls; all of them.
        limits: of this cell.
        program: the seccomp filter.
        proc: a descriptor of /proc, which is closed.
        mapped: the address space that it has to begin with, in bytes.
        keep: descriptors below this number stay open.

    Raises:
        StepFailed: with the step and the errno.
    """
    with step(IDENTITY):
        if steps.user_namespace:
            _map_identity(proc, _UID, _GID)
    with step(SACRIFICE):
        if steps.sacrifice:
            _write_at(proc, "self/oom_score_adj", "1000")
    with step(TMP):
        if steps.own_tmp:
            data = f"size={limits.tmp_bytes},nr_inodes={limits.tmp_inodes},mode=1777"
            _mount("tmpfs", "/tmp", "tmpfs", BARE, data)  # noqa: S108 - the cell's own
    with step(LIMITS):
        _own_limits(steps, limits, mapped)
    if steps.drop_capabilities:
        drop_capabilities()
    with step(DESCRIPTORS):
        if steps.close_descriptors:
            os.closerange(keep, 1024)
    with step(PRIVILEGES):
        if steps.no_new_privileges:
            _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    with step(FILTER):
        if steps.seccomp:
            program.install()
