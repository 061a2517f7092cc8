"""Tries: write a response of the supervisor's to PID 1's stdout.

Expected: ok
Expected under runsc: ok, protocol_error
Stopped by: PR_SET_DUMPABLE closes /proc/1/fd; under gVisor, only the nonce
"""

import os
import struct


def run(arguments):
    body = b'{"escaped": ["forged"]}'
    frame = struct.pack(
        ">4sBBxxIIIiIIII32s", b"SGA1", 0, 1, len(body), 0, 0, 0, 0, 0, 0, 0, bytes(32)
    )
    escaped = []
    places = [f"/proc/1/fd/{number}" for number in range(64)]
    for path in [*places, "/dev/stdout", "/dev/console", "/dev/tty", "/dev/pts/0"]:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            os.write(fd, frame + body)
            if path.startswith("/proc/1"):
                escaped.append(path)
        except OSError:
            continue
    return {"escaped": escaped}
