"""Tries: write an answer of its own before the worker does.

Expected: ok
Runtimes: runc
Stopped by: the first answer counts: it is the plugin's claim either way
"""

import os
import struct


def run(arguments):
    body = b'{"escaped": []}'
    for fd in range(3, 16):
        try:
            os.write(fd, struct.pack(">BI", 0, len(body)) + body)
        except OSError:
            continue
    return {"escaped": ["the second answer"]}
