"""Tries: use up all descriptors.

Expected: ok
Stopped by: RLIMIT_NOFILE (256)
"""

import os


def run(arguments):
    held = []
    try:
        while len(held) < 100000:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for fd in held:
        os.close(fd)
    return {"escaped": [] if len(held) <= 256 else [len(held)]}
