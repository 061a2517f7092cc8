"""Tries: read what is left on stdin, its own and PID 1's.

Expected: ok
Stopped by: stdin is /dev/null; /proc/1/fd is closed
"""

import os


def run(arguments):
    escaped = []
    if os.read(0, 1):
        escaped.append("own stdin")
    for number in range(16):
        try:
            fd = os.open(f"/proc/1/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
            if os.read(fd, 1):
                escaped.append(number)
        except OSError:
            continue
    return {"escaped": escaped}
