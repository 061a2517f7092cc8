"""The command line of one confined process: prlimit(1), bwrap(1), Python, the harness. Pure.

bubblewrap gives new user, mount, PID, IPC, UTS, network and cgroup namespaces, drops every
capability and sets no-new-privileges; the seccomp filter is the cells' (`cell.bpf`), made of the
same profile as the containers'. Limits are the kernel's per process or per user (setrlimit(2)):
there is no cgroup, so nothing bounds the memory of all processes together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.sandbox.image import ENTRYPOINT
from runner.sandbox.options import MASKED_PATHS, TMP_MAX_BYTES, Hardening

OWN_PROCESSES = 3
"""bwrap twice while it starts, and the supervisor; the worker is among the plugin's."""


@dataclass(frozen=True, slots=True)
class Programs:
    """What is executed.

    Attributes:
        prlimit: util-linux's prlimit.
        bwrap: bubblewrap.
        python: the interpreter, under /usr.
    """

    prlimit: str
    bwrap: str
    python: str


def command(
    programs: Programs, hardening: Hardening, harness: Path, *, seccomp: int, count_processes: bool
) -> list[str]:
    """Return the command of one process.

    Args:
        programs: what is executed.
        hardening: the limits.
        harness: a folder with `start.py` and `_sealgate_harness`, which everybody may read.
        seccomp: the descriptor with the compiled filter; below 0 takes the filter away.
        count_processes: bound the processes of the user that it runs as, who is then nobody
            else's.
    """
    return [
        programs.prlimit,
        *_limits(hardening, count_processes),
        programs.bwrap,
        *_confinement(harness, seccomp),
        programs.python,
        *ENTRYPOINT[1:],
    ]


def _limits(hardening: Hardening, count_processes: bool) -> Iterator[str]:
    yield "--core=0"
    yield "--msgqueue=0"
    yield f"--nofile={hardening.open_files}"
    yield f"--fsize={hardening.file_bytes}"
    yield f"--as={hardening.memory_bytes}"
    if count_processes:
        yield f"--nproc={hardening.pids + OWN_PROCESSES}"


def _confinement(harness: Path, seccomp: int) -> Iterator[str]:
    yield from ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session")
    yield from ("--as-pid-1", "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534")
    yield from ("--hostname", "sandbox", "--clearenv", "--chdir", "/")
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("bin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            yield from ("--symlink", f"usr/{name}", f"/{name}")
        elif Path("/", name).exists():
            yield from ("--ro-bind", f"/{name}", f"/{name}")
    yield from ("--ro-bind", str(harness), "/sealgate")
    yield from ("--proc", "/proc", "--dev", "/dev")
    for path in map(Path, MASKED_PATHS):
        if path.parts[1] == "proc" and path.exists():
            yield from _empty(path) if path.is_dir() else _nothing(path)
    yield from ("--remount-ro", "/dev")
    yield from ("--size", str(TMP_MAX_BYTES), "--perms", "1777", "--tmpfs", "/tmp")  # noqa: S108
    yield from ("--remount-ro", "/")
    if seccomp >= 0:
        yield from ("--seccomp", str(seccomp))


def _empty(path: Path) -> tuple[str, ...]:
    return ("--tmpfs", str(path), "--remount-ro", str(path))


def _nothing(path: Path) -> tuple[str, ...]:
    return ("--ro-bind", "/dev/null", str(path))
