"""Tries: make a sparse file of a terabyte.

Expected: ok
Runtimes: runc
Stopped by: RLIMIT_FSIZE and the size of the tmpfs
"""

import os


def run(arguments):
    escaped = []
    fd = os.open("/tmp/giant", os.O_CREAT | os.O_RDWR)
    for size in (1 << 40, 1 << 30, 17 << 20):
        try:
            os.ftruncate(fd, size)
            escaped.append(size)
        except OSError:
            continue
    return {"escaped": escaped}
