"""Tries: hide memory in pipes and sockets, which the kernel holds.

Expected: ok, resource_limit
Stopped by: few descriptors (RLIMIT_NOFILE), kernel memory counts as the container's
"""

import fcntl
import os
import socket


def run(arguments):
    held = 0
    try:
        while True:
            _, end = os.pipe()
            os.set_blocking(end, False)
            try:
                fcntl.fcntl(end, 1031, 1 << 20)
            except OSError:
                pass
            try:
                while True:
                    held += os.write(end, b"x" * 65536)
            except BlockingIOError:
                continue
    except OSError:
        pass
    try:
        while True:
            left, right = socket.socketpair()
            left.setblocking(False)
            try:
                while True:
                    held += left.send(b"x" * 65536)
            except BlockingIOError:
                continue
    except OSError:
        pass
    return {"escaped": [] if held < 96 << 20 else [held]}
