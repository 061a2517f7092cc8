"""Tries: fork until the kernel says no.

Expected: ok
Expected under runsc: ok, resource_limit, timeout
Stopped by: the pids limit; under gVisor, the threads of its kernel
"""

import os
import time


def run(arguments):
    made = 0
    while True:
        try:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        except OSError:
            return {"escaped": [] if made < 16 else [made]}
        made += 1
