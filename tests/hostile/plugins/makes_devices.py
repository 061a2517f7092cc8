"""Tries: make device nodes and open the host's disks.

Expected: ok
Stopped by: no CAP_MKNOD, the device cgroup, nodev on the tmpfs; under gVisor, devices are its own
"""

import os
import stat


def run(arguments):
    escaped = []
    for major, minor in ((1, 1), (8, 0), (254, 0), (10, 200)):
        for kind in (stat.S_IFBLK, stat.S_IFCHR):
            path = f"/tmp/{kind}-{major}-{minor}"
            try:
                os.mknod(path, kind | 0o666, os.makedev(major, minor))
                os.close(os.open(path, os.O_RDWR))
                if (major, minor) != (10, 200) or arguments["runtime"] == "runc":
                    escaped.append(path)
            except OSError:
                continue
    for path in ("/dev/mem", "/dev/kmem", "/dev/kvm", "/dev/sda", "/dev/vda", "/dev/kmsg"):
        try:
            os.close(os.open(path, os.O_RDONLY))
            escaped.append(path)
        except OSError:
            continue
    return {"escaped": escaped}
