"""Tries: answer with one member name twice.

Expected: plugin_error
Runtimes: runc
Stopped by: strict JSON
"""

import os
import struct
import time


def run(arguments):
    body = b'{"a": 1, "a": 2}'
    for fd in range(3, 16):
        try:
            os.write(fd, struct.pack(">BI", 0, len(body)) + body)
        except OSError:
            continue
    time.sleep(60)
