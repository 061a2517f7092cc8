"""Tries: stop itself and everything else with SIGSTOP.

Expected: timeout
Stopped by: the wall clock; PID 1 takes no signal from inside its namespace
"""

import os
import signal


def run(arguments):
    try:
        os.kill(1, signal.SIGSTOP)
        os.kill(-1, signal.SIGSTOP)
    finally:
        os.kill(os.getpid(), signal.SIGSTOP)
