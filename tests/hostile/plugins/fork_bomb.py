"""Tries: fork in every process, for ever.

Expected: timeout
Expected under runsc: timeout, resource_limit
Stopped by: the pids limit, CPU time of the whole container
"""

import os


def run(arguments):
    while True:
        try:
            os.fork()
        except OSError:
            continue
