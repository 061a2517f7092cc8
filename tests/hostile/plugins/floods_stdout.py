"""Tries: write without end to stdout.

Expected: resource_limit
Stopped by: the supervisor's output cap; the log driver keeps nothing
"""

import os


def run(arguments):
    while True:
        os.write(1, b"x" * 65536)
