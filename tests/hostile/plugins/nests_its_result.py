"""Tries: answer with JSON half a million levels deep.

Expected: plugin_error
Runtimes: runc
Stopped by: strict JSON: bounded depth
"""

import os
import struct
import time


def run(arguments):
    body = b"[" * 100000 + b"]" * 100000
    frame = memoryview(struct.pack(">BI", 0, len(body)) + body)
    for fd in range(3, 16):
        try:
            rest = frame
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            continue
    time.sleep(60)
