"""Tries: sys.exit in a thread, atexit, os.abort in a child.

Expected: ok
Runtimes: runc
Stopped by: only the worker's answer counts
"""

import atexit
import os
import sys
import threading


def run(arguments):
    atexit.register(os._exit, 3)
    thread = threading.Thread(target=sys.exit, args=(4,))
    thread.start()
    thread.join()
    pid = os.fork()
    if pid == 0:
        os.abort()
    os.waitpid(pid, 0)
    return {"escaped": []}
