"""Tries: fill /tmp by size.

Expected: ok
Stopped by: the size of the tmpfs (16 MiB)
"""

import errno


def run(arguments):
    written, why = 0, None
    try:
        for number in range(64):
            with open(f"/tmp/{number}", "wb", buffering=0) as file:
                for _ in range(1024):
                    written += file.write(b"x" * 1024)
    except OSError as error:
        why = errno.errorcode[error.errno]
    return {"escaped": [] if 15 << 20 < written <= 16 << 20 else [written], "why": why}
