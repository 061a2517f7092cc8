"""Tries: end without a result while a child holds every pipe open.

Expected: plugin_error
Stopped by: the supervisor waits for the process, not for its pipes
"""

import os
import time


def run(arguments):
    if os.fork() == 0:
        os.setsid()
        while True:
            time.sleep(1)
    os._exit(0)
