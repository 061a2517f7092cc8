"""Tries: read what tells about the host.

Expected: ok
Stopped by: masked paths, an image without secrets
"""

import os


def run(arguments):
    escaped = []
    for path in (
        "/proc/kcore",
        "/proc/keys",
        "/proc/kallsyms",
        "/proc/modules",
        "/proc/cmdline",
        "/proc/partitions",
        "/proc/sched_debug",
        "/proc/timer_list",
        "/proc/interrupts",
        "/proc/kmsg",
        "/dev/kmsg",
        "/sys/kernel/notes",
        "/sys/class/dmi/id/product_name",
        "/sys/firmware/dmi/tables/DMI",
        "/sys/kernel/debug",
        "/etc/shadow",
        "/etc/resolv.conf",
        "/etc/hosts",
        "/var/run/docker.sock",
        "/root",
    ):
        try:
            if os.path.isdir(path):
                data = os.listdir(path)
            else:
                with open(path, "rb", buffering=0) as file:
                    data = file.read(64)
        except OSError:
            continue
        if data and arguments["runtime"] == "runc":
            escaped.append(path)
    if set(os.environ) - {"HOME", "TMPDIR", "LANG"}:
        escaped.append(f"environment {sorted(os.environ)}")
    if os.uname().nodename != "sandbox":
        escaped.append(os.uname().nodename)
    others = [name for name in os.listdir("/proc") if name.isdecimal()]
    if len(others) > 2:
        escaped.append(f"processes {others}")
    return {"escaped": escaped}
