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
            # how many bubblewrap itself needs varies by one
            most = 17 if arguments.get("kind") == "subprocess" else 16
            return {"escaped": [] if made < most else [made]}
        made += 1
