"""Tries: become root, or get a capability back.

Expected: ok
Expected in the fallback: ok, timeout
Not held by the fallback: the host's /usr has setuid files, without effect under no-new-privileges
Stopped by: uid 65534, no capabilities, no-new-privileges, no setuid file in the image
"""

import os
import stat


def run(arguments):
    escaped = []
    for name, arguments_ in (
        ("setuid", (0,)),
        ("setgid", (0,)),
        ("setreuid", (0, 0)),
        ("setresuid", (0, 0, 0)),
        ("setgroups", ([0],)),
    ):
        try:
            getattr(os, name)(*arguments_)
            escaped.append(name)
        except OSError:
            continue
    with open("/proc/self/status") as file:
        status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(status.get(name, "0"), 16):
            escaped.append(f"{name} {status[name]}")
    for folder, _, names in os.walk("/usr"):
        for name in names:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if mode & (stat.S_ISUID | stat.S_ISGID):
                escaped.append(os.path.join(folder, name))
    if os.getuid() != 65534 or os.getgid() != 65534:
        escaped.append("uid")
    return {"escaped": escaped}
