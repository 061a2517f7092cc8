"""Tries: write without end to the answer pipe.

Expected: protocol_error
Runtimes: runc
Stopped by: what is not an answer ends the call
"""

import os


def run(arguments):
    while True:
        for fd in range(3, 16):
            try:
                os.write(fd, b"x" * 65536)
            except OSError:
                continue
