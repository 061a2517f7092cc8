"""Tries: leave a process behind that goes on for ever.

Expected: ok
Stopped by: the container dies with the call
"""

import os
import time


def run(arguments):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                time.sleep(1)
        os._exit(0)
    return {"escaped": []}
