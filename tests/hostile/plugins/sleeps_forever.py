"""Tries: sleep for ever, deaf to every signal.

Expected: timeout
Stopped by: the wall clock; SIGKILL cannot be ignored
"""

import signal
import time


def run(arguments):
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    while True:
        time.sleep(60)
