"""Tries: make or join namespaces.

Expected: ok
Machine: x86_64
Stopped by: the seccomp profile (clone is masked, clone3 does not exist)
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
    "unshare user": (272, 0x10000000),
    "unshare mount": (272, 0x20000),
    "unshare net": (272, 0x40000000),
    "unshare pid": (272, 0x20000000),
    "unshare time": (272, 0x80),
    "setns": (308, -1, 0),
    "clone3": (435, 0, 0),
    "clone user": (56, 0x10000011, 0, 0, 0, 0),
    "clone mount": (56, 0x20011, 0, 0, 0, 0),
    "clone cgroup": (56, 0x02000011, 0, 0, 0, 0),
}
REFUSALS = ("EPERM", "ENOSYS")


def run(arguments):
    outcomes = {name: attempt(*call) for name, call in CALLS.items()}
    bad = [f"{name}: {why}" for name, why in outcomes.items() if why not in REFUSALS]
    gvisor = arguments["runtime"] == "runsc"
    return {"escaped": [] if gvisor else bad, "outcomes": outcomes}
