"""Tries: open sockets of every family.

Expected: ok
Stopped by: the seccomp profile (EAFNOSUPPORT); under gVisor, an empty network of its own
"""

import socket

FAMILIES = {
    "tcp": (2, 1, 0),
    "udp": (2, 2, 0),
    "ping": (2, 2, 1),
    "raw": (2, 3, 1),
    "sctp": (2, 1, 132),
    "mptcp": (2, 1, 262),
    "tcp6": (10, 1, 0),
    "unix": (1, 1, 0),
    "netlink": (16, 3, 0),
    "packet": (17, 3, 768),
    "key": (15, 3, 2),
    "rds": (21, 5, 0),
    "can": (29, 3, 1),
    "tipc": (30, 2, 0),
    "bluetooth": (31, 3, 1),
    "alg": (38, 5, 0),
    "vsock": (40, 1, 0),
    "kcm": (41, 5, 0),
    "qipcrtr": (42, 2, 0),
    "smc": (43, 1, 0),
    "xdp": (44, 3, 0),
}
HARMLESS_IN_GVISOR = {"tcp", "udp", "tcp6", "unix", "netlink", "ping"}


def run(arguments):
    opened = []
    for name, parameters in FAMILIES.items():
        try:
            socket.socket(*parameters).close()
            opened.append(name)
        except OSError:
            continue
    if arguments["runtime"] == "runsc":
        opened = [name for name in opened if name not in HARMLESS_IN_GVISOR]
    return {"escaped": opened}
