"""Tries: write an answer byte by byte, so slowly that it never ends.

Expected: timeout
Runtimes: runc
Stopped by: the wall clock
"""

import os
import struct
import time


def run(arguments):
    frame = struct.pack(">BI", 0, 1000)
    while True:
        for byte in frame:
            for fd in range(3, 16):
                try:
                    os.write(fd, bytes([byte]))
                except OSError:
                    continue
            time.sleep(0.1)
        frame = b" "
