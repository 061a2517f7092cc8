"""Tries: announce an answer of 4 GB.

Expected: resource_limit
Runtimes: runc
Stopped by: lengths are checked before anything is read
"""

import os
import struct
import time


def run(arguments):
    for fd in range(3, 16):
        try:
            os.write(fd, struct.pack(">BI", 0, 0xFFFFFFFF))
        except OSError:
            continue
    time.sleep(60)
