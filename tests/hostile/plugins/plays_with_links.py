"""Tries: reach other files through symbolic and hard links.

Expected: ok
Expected under runsc: ok, protocol_error
Stopped by: nothing secret is in the image; /proc/1 is closed by PR_SET_DUMPABLE (under gVisor,
    its descriptors are not: the nonce)
"""

import os


def run(arguments):
    escaped = []
    for number, target in enumerate(
        ("/etc/shadow", "/proc/1/root/etc/shadow", "/proc/1/fd/0", "/proc/1/fd/1", "/dev/mem")
    ):
        os.symlink(target, f"/tmp/link{number}")
        try:
            os.close(os.open(f"/tmp/link{number}", os.O_RDWR))
            if not target.startswith("/proc/1/fd/") or arguments["runtime"] == "runc":
                escaped.append(target)
        except OSError:
            continue
    for target in ("/etc/passwd", "/usr/bin/python3"):
        try:
            os.link(target, "/tmp/" + target.replace("/", "_"))
            escaped.append(target)
        except OSError:
            continue
    return {"escaped": escaped}
