"""Tries: answer with a string that never ends, whose every quote a careless reader starts from.

Expected: plugin_error
Runtimes: runc
Stopped by: strict JSON: each character is looked at once
"""

import os
import struct
import time


def run(arguments):
    body = b"[]" * 65 + b'"' + b'\\"' * 120_000
    frame = memoryview(struct.pack(">BI", 0, len(body)) + body)
    for fd in range(3, 16):
        try:
            rest = frame
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            continue
    time.sleep(60)
