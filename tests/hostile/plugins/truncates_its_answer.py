"""Tries: write half an answer and end.

Expected: protocol_error
Runtimes: runc
Stopped by: an answer is taken whole or not at all
"""

import os
import struct


def run(arguments):
    for fd in range(3, 16):
        try:
            os.write(fd, struct.pack(">BI", 0, 100) + b'"half')
        except OSError:
            continue
    os._exit(0)
