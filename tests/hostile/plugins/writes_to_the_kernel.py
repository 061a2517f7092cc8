"""Tries: write kernel settings and its own limits.

Expected: ok
Stopped by: read-only /proc/sys and cgroup file system, no capabilities
"""

import glob
import resource


def run(arguments):
    escaped = []
    places = {
        "/proc/sys/kernel/core_pattern": "|/tmp/x",
        "/proc/sys/kernel/hostname": "x",
        "/proc/sys/vm/drop_caches": "1",
        "/proc/sysrq-trigger": "s",
        "/proc/self/oom_score_adj": "-1000",
        "/proc/self/uid_map": "0 65534 1",
        "/proc/self/attr/current": "unconfined",
        "/proc/1/oom_score_adj": "1000",
    }
    for pattern in ("memory.max", "pids.max", "cpu.max", "release_agent", "cgroup.procs"):
        for path in glob.glob(f"/sys/fs/cgroup/**/{pattern}", recursive=True):
            places[path] = "max"
    for pattern in ("*limit_in_bytes", "tasks", "notify_on_release", "devices.allow"):
        for path in glob.glob(f"/sys/fs/cgroup/*/{pattern}"):
            places[path] = "1"
    for path, text in places.items():
        try:
            with open(path, "w") as file:
                file.write(text)
        except (OSError, ValueError):
            continue
        if arguments["runtime"] == "runc" or not path.startswith("/proc/"):
            escaped.append(path)
    for name in ("NOFILE", "FSIZE", "CORE", "STACK", "CPU"):
        which = getattr(resource, f"RLIMIT_{name}")
        soft, hard = resource.getrlimit(which)
        try:
            resource.setrlimit(which, (hard + 1, hard + 1))
            escaped.append(name)
        except (OSError, ValueError):
            continue
    return {"escaped": escaped}
