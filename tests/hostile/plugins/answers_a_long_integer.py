"""Tries: answer with an integer of 5000 digits.

Expected: plugin_error
Runtimes: runc
Stopped by: strict JSON
"""

import os
import struct
import time


def run(arguments):
    body = b"1" * 5000
    for fd in range(3, 16):
        try:
            os.write(fd, struct.pack(">BI", 0, len(body)) + body)
        except OSError:
            continue
    time.sleep(60)
