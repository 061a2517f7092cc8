"""Tries: answer, and go on working in a thread and a child.

Expected: ok
Stopped by: one answer ends the call, and the call ends the container
"""

import os
import threading


def spin():
    while True:
        pass


def run(arguments):
    threading.Thread(target=spin, daemon=False).start()
    if os.fork() == 0:
        spin()
    return {"escaped": []}
