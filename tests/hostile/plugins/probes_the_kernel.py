"""Tries: reach the parts of the kernel that break most often.

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
    "io_uring_setup": (425, 1, BUFFER),
    "io_uring_enter": (426, 0, 0, 0, 0, 0, 0),
    "userfaultfd": (323, 1),
    "bpf": (321, 0, 0, 0),
    "keyctl": (250, 0, -3, 1),
    "add_key": (248, b"user", b"k", b"v", 1, -2),
    "request_key": (249, b"user", b"k", 0, -2),
    "memfd_create": (319, b"x", 0),
    "memfd_secret": (447, 0),
    "seccomp": (317, 0, 0, 0),
    "landlock": (444, 0, 0, 1),
    "fanotify_init": (300, 0, 0),
    "inotify_init": (294, 0),
    "vmsplice": (278, -1, 0, 0, 0),
    "splice": (275, -1, 0, -1, 0, 0, 0),
    "tee": (276, 0, 0, 0, 0),
    "personality": (135, 0x40000),
    "modify_ldt": (154, 0, 0, 0),
    "iopl": (172, 3),
    "ioperm": (173, 0, 1, 1),
    "mbind": (237, 0, 0, 0, 0, 0, 0),
    "move_pages": (279, 0, 0, 0, 0, 0, 0),
    "io_setup": (206, 1, BUFFER),
    "timer_create": (222, 0, 0, BUFFER),
    "mlockall": (151, 3),
    "quotactl": (179, 0, 0, 0, 0),
    "lookup_dcookie": (212, 0, 0, 0),
    "uselib": (134, b"x"),
    "remap_file_pages": (216, 0, 0, 0, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "init_module": (175, 0, 0, b""),
    "finit_module": (313, -1, b"", 0),
    "delete_module": (176, b"x", 0),
    "syslog": (103, 3, BUFFER, 64),
    "acct": (163, 0),
    "swapon": (167, b"/x", 0),
}
REFUSALS = ("EPERM", "ENOSYS")


def run(arguments):
    outcomes = {name: attempt(*call) for name, call in CALLS.items()}
    bad = [f"{name}: {why}" for name, why in outcomes.items() if why not in REFUSALS]
    gvisor = arguments["runtime"] == "runsc"
    return {"escaped": [] if gvisor else bad, "outcomes": outcomes}
