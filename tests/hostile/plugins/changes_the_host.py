"""Tries: set the clock, the host name, or reboot.

Expected: ok
Machine: x86_64
Stopped by: the seccomp profile, no capabilities
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
    "sethostname": (170, b"x", 1),
    "setdomainname": (171, b"x", 1),
    "clock_settime": (227, 0, BUFFER),
    "settimeofday": (164, BUFFER, 0),
    "adjtimex": (159, BUFFER),
    "clock_adjtime": (305, 0, BUFFER),
    "reboot": (169, 0xFEE1DEAD, 672274793, 0),
    "vhangup": (153,),
    "setrlimit prlimit of PID 1": (302, 1, 7, BUFFER, 0),
}
REFUSALS = ("EPERM", "ENOSYS", "EACCES")


def run(arguments):
    outcomes = {name: attempt(*call) for name, call in CALLS.items()}
    bad = [f"{name}: {why}" for name, why in outcomes.items() if why not in REFUSALS]
    gvisor = arguments["runtime"] == "runsc"
    return {"escaped": [] if gvisor else bad, "outcomes": outcomes}
