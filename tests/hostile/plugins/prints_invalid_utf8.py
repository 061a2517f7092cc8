"""Tries: write every byte value to stdout and stderr.

Expected: ok
Runtimes: runc
Stopped by: undecodable bytes are replaced
"""

import os


def run(arguments):
    os.write(1, bytes(range(256)) * 4)
    os.write(2, bytes(range(255, -1, -1)) * 4)
    print("\ud800")
    return {"escaped": []}
