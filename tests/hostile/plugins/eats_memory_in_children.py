"""Tries: take all memory with many processes at once.

Expected: ok, resource_limit, timeout
Stopped by: one memory limit for the whole container
"""

import os
import time


def run(arguments):
    children = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            kept = []
            while len(kept) < 32:
                kept.append(bytearray(1 << 20))
            time.sleep(60)
        children.append(pid)
    killed = 0
    for _ in range(7):
        _, status = os.wait()
        killed += os.waitstatus_to_exitcode(status) == -9
    return {"escaped": [] if killed >= 7 else [killed]}
