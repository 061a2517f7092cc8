"""Tries: take the CPU from others: priority, real time, affinity.

Expected: ok
Stopped by: no CAP_SYS_NICE, the seccomp profile
"""

import os


def run(arguments):
    escaped = []
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    except OSError:
        pass
    # gVisor keeps the number and does nothing with it
    if os.getpriority(os.PRIO_PROCESS, 0) < before and arguments["runtime"] == "runc":
        escaped.append("priority")
    for policy in (os.SCHED_FIFO, os.SCHED_RR):
        try:
            os.sched_setscheduler(0, policy, os.sched_param(1))
            escaped.append(f"scheduler {policy}")
        except OSError:
            continue
    return {"escaped": escaped}
