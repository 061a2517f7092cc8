"""Tries: answer with bytes that are not UTF-8.

Expected: plugin_error
Runtimes: runc
Stopped by: strict JSON
"""

import os
import struct
import time


def run(arguments):
    body = b'{"a": "\xff\xfe"}'
    for fd in range(3, 16):
        try:
            os.write(fd, struct.pack(">BI", 0, len(body)) + body)
        except OSError:
            continue
    time.sleep(60)
