"""Tries: compute for ever in as many processes as it may have.

Expected: timeout
Expected under runsc: timeout, resource_limit
Stopped by: CPU time is counted for the whole container; the supervisor has the higher priority
"""

import os


def run(arguments):
    for _ in range(15):
        try:
            if os.fork() == 0:
                break
        except OSError:
            break
    while True:
        pass
