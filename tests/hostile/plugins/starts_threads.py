"""Tries: start thousands of threads.

Expected: ok
Expected under runsc: ok, resource_limit, timeout
Stopped by: the pids limit counts threads
"""

import threading
import time


def run(arguments):
    made = 0
    try:
        while made < 5000:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            made += 1
    except RuntimeError:
        pass
    return {"escaped": [] if made < 16 else [made]}
