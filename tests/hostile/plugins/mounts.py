"""Tries: mount, move, unmount and change roots.

Expected: ok
Machine: x86_64
Stopped by: the seccomp profile, no CAP_SYS_ADMIN
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
    "mount tmpfs": (165, b"none", b"/tmp", b"tmpfs", 0, 0),
    "remount rw": (165, b"none", b"/", 0, 0x20, 0),
    "mount proc": (165, b"proc", b"/tmp", b"proc", 0, 0),
    "umount": (166, b"/proc/kcore", 2),
    "fsopen": (430, b"tmpfs", 0),
    "open_tree": (428, -100, b"/", 1),
    "move_mount": (429, -1, b"", -1, b"", 0),
    "fsmount": (432, -1, 0, 0),
    "mount_setattr": (442, -1, b"/", 0, 0, 0),
    "pivot_root": (155, b"/", b"/"),
    "chroot": (161, b"/tmp"),
    "open_by_handle_at": (304, -1, 0, 0),
    "name_to_handle_at": (303, -1, b"", 0, 0, 0),
}
REFUSALS = ("EPERM", "ENOSYS")


def run(arguments):
    outcomes = {name: attempt(*call) for name, call in CALLS.items()}
    bad = [f"{name}: {why}" for name, why in outcomes.items() if why not in REFUSALS]
    gvisor = arguments["runtime"] == "runsc"
    return {"escaped": [] if gvisor else bad, "outcomes": outcomes}
