"""Tries: leave or find System V and POSIX shared objects.

Expected: ok
Machine: x86_64
Stopped by: the seccomp profile, IPC mode none
"""

import ctypes
import errno

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
BUFFER = ctypes.create_string_buffer(256)


def attempt(number, *arguments):
    """Return the name of the error, or None if the kernel said yes."""
    ctypes.set_errno(0)
    values = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if LIBC.syscall(ctypes.c_long(number), *values) >= 0:
        return None
    return errno.errorcode.get(ctypes.get_errno(), "?")


CALLS = {
    "shmget": (29, 0, 4096, 0o1600),
    "shmget key": (29, 1, 4096, 0o1600),
    "msgget": (68, 1, 0o1600),
    "semget": (64, 1, 1, 0o1600),
    "mq_open": (240, b"x", 0o102, 0o600, 0),
}
REFUSALS = ("EPERM", "ENOSYS")


def run(arguments):
    outcomes = {name: attempt(*call) for name, call in CALLS.items()}
    bad = [f"{name}: {why}" for name, why in outcomes.items() if why not in REFUSALS]
    gvisor = arguments["runtime"] == "runsc"
    return {"escaped": [] if gvisor else bad, "outcomes": outcomes}
