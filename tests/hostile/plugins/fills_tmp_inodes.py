"""Tries: use up the inodes of /tmp.

Expected: ok
Not held by the fallback: bubblewrap bounds the bytes of a tmpfs, not its inodes
Stopped by: the nr_inodes of the tmpfs (1024); under gVisor, its memory limit
"""

import os


def run(arguments):
    made = 0
    try:
        while made < 20000:
            os.mkdir(f"/tmp/{made}")
            made += 1
    except OSError:
        pass
    most = 1024 if arguments["runtime"] == "runc" else 20000
    return {"escaped": [] if 1000 < made <= most else [made]}
