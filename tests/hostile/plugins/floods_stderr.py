"""Tries: write without end to stderr, byte by byte.

Expected: resource_limit
Expected under runsc: resource_limit, timeout
Stopped by: the supervisor's output cap
"""

import os


def run(arguments):
    while True:
        os.write(2, b"x")
