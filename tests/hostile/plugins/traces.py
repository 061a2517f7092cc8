"""Tries: trace or read other processes.

Expected: ok
Machine: x86_64
Stopped by: the seccomp profile
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
    "ptrace traceme": (101, 0, 0, 0, 0),
    "ptrace attach": (101, 16, 1, 0, 0),
    "ptrace seize": (101, 0x4206, 1, 0, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "process_vm_writev": (311, 1, 0, 0, 0, 0, 0),
    "pidfd_getfd": (438, 3, 0, 0),
    "kcmp": (312, 1, 1, 0, 0, 0),
    "perf_event_open": (298, BUFFER, 0, -1, -1, 0),
    "process_madvise": (440, -1, 0, 0, 0, 0),
}
REFUSALS = ("EPERM", "ENOSYS")


def run(arguments):
    outcomes = {name: attempt(*call) for name, call in CALLS.items()}
    bad = [f"{name}: {why}" for name, why in outcomes.items() if why not in REFUSALS]
    gvisor = arguments["runtime"] == "runsc"
    return {"escaped": [] if gvisor else bad, "outcomes": outcomes}
